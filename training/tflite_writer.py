"""Writes a .tflite file operator by operator with the schema that ai-edge-litert's own wheel carries. No TensorFlow.

Only what the project's nets need. Tensors are NHWC, weights are stored as float16 (DEQUANTIZE at load) or float32.
A file that loads proves nothing: `training.export` compares every output with torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Array = NDArray[Any]
HALF_FROM = 64  # smaller constants stay float32


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data is aligned to 16 bytes, as the schema asks; the generated Pack() forgets that."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        vector = None
        if self.data is not None:
            raw = self.data.tobytes()
            builder.StartVector(1, len(raw), 16)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Tensor:
    """A value in the graph."""

    index: int
    shape: tuple[int, ...]


class Graph:
    """One subgraph under construction. Methods add one operator and return its output."""

    def __init__(self, name: str, *, half: bool = True) -> None:
        self._half = half
        self._graph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[], name="main")
        self._model = schema.ModelT(
            version=3, operatorCodes=[], subgraphs=[self._graph], description=name, buffers=[_Buffer()]
        )
        self._codes: dict[str, int] = {}
        self._names: dict[str, list[tuple[str, int]]] = {"in": [], "out": []}

    def input(self, name: str, shape: Sequence[int]) -> Tensor:
        """The graph's input, float32."""
        tensor = self._tensor(shape, np.float32, name)
        self._graph.inputs.append(tensor.index)
        self._names["in"].append((name, tensor.index))
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Make a value an output, under a name."""
        self._graph.tensors[tensor.index].name = name
        self._graph.outputs.append(tensor.index)
        self._names["out"].append((name, tensor.index))

    def conv(
        self, x: Tensor, weight: Array, bias: Array, stride: int = 1, *, relu: bool = False, same: bool = True
    ) -> Tensor:
        """weight in torch's order (out, in, kh, kw). With stride 2, torch's padding 1 is a PAD in front (not SAME)."""
        out, _, kh, kw = weight.shape
        n, h, w, _ = x.shape
        if same and stride > 1:  # TFLite's SAME would put the padding last
            ph, pw = kh // 2, kw // 2
            x = self.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
            same, (n, h, w, _) = False, x.shape
        shape = (n, h, w, out) if same else (n, (h - kh) // stride + 1, (w - kw) // stride + 1, out)
        kernel = self._constant(np.ascontiguousarray(weight.transpose(0, 2, 3, 1)))
        return self._add(
            "CONV_2D",
            [x, kernel, self._constant(bias)],
            shape,
            "Conv2DOptions",
            padding=schema.Padding.SAME if same else schema.Padding.VALID,
            strideH=stride,
            strideW=stride,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=schema.ActivationFunctionType.RELU if relu else 0,
        )

    def dense(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        """weight (out, in), over the last axis."""
        inputs = [x, self._constant(weight), self._constant(bias)]
        shape = (*x.shape[:-1], len(weight))
        return self._add(
            "FULLY_CONNECTED", inputs, shape, "FullyConnectedOptions", version=5, keepNumDims=len(x.shape) > 2
        )

    def pad(self, x: Tensor, spec: Sequence[tuple[int, int]]) -> Tensor:
        shape = [n + a + b for n, (a, b) in zip(x.shape, spec, strict=True)]
        return self._add("PAD", [x, self._constant(np.array(spec, np.int32))], shape, "PadOptions")

    def max_pool(self, x: Tensor, height: int, width: int) -> Tensor:
        n, h, w, c = x.shape
        return self._add(
            "MAX_POOL_2D",
            [x],
            (n, h // height, w // width, c),
            "Pool2DOptions",
            padding=schema.Padding.VALID,
            strideH=height,
            strideW=width,
            filterHeight=height,
            filterWidth=width,
        )

    def mean(self, x: Tensor) -> Tensor:
        """Over height and width: (n, c)."""
        axes = self._constant(np.array([1, 2], np.int32))
        return self._add("MEAN", [x, axes], (x.shape[0], x.shape[3]), "ReducerOptions", keepDims=False)

    def twice(self, x: Tensor) -> Tensor:
        """Nearest neighbour, twice the size."""
        n, h, w, c = x.shape
        size = self._constant(np.array([2 * h, 2 * w], np.int32))
        return self._add("RESIZE_NEAREST_NEIGHBOR", [x, size], (n, 2 * h, 2 * w, c), "ResizeNearestNeighborOptions")

    def add(self, a: Tensor, b: Tensor, *, relu: bool = False) -> Tensor:
        return self._add("ADD", [a, b], a.shape, "AddOptions", fusedActivationFunction=int(relu))

    def plus(self, x: Tensor, constant: Array) -> Tensor:
        return self._add("ADD", [x, self._constant(constant)], x.shape, "AddOptions", fusedActivationFunction=0)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        size = self._constant(np.array(shape, np.int32))
        return self._add("RESHAPE", [x, size], shape, "ReshapeOptions", newShape=list(shape))

    def transpose(self, x: Tensor, order: Sequence[int]) -> Tensor:
        axes = self._constant(np.array(order, np.int32))
        return self._add("TRANSPOSE", [x, axes], [x.shape[k] for k in order], "TransposeOptions")

    def softmax(self, x: Tensor) -> Tensor:
        return self._add("SOFTMAX", [x], x.shape, "SoftmaxOptions", beta=1.0)

    def sigmoid(self, x: Tensor) -> Tensor:
        return self._add("LOGISTIC", [x], x.shape, None)

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        shape = (*a.shape[:-1], b.shape[-1])
        return self._add("BATCH_MATMUL", [a, b], shape, "BatchMatMulOptions", adjX=False, adjY=False)

    def write(self) -> bytes:
        """The file."""
        maps = [[schema.TensorMapT(n, i) for n, i in self._names[way]] for way in ("in", "out")]
        self._model.signatureDefs = [schema.SignatureDefT(*maps, "serving_default")]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, shape: Sequence[int], dtype: Any, name: str | None = None, data: Array | None = None) -> Tensor:
        number = len(self._graph.tensors)
        self._graph.tensors.append(
            schema.TensorT(
                shape=[int(v) for v in shape],
                type=getattr(schema.TensorType, np.dtype(dtype).name.upper()),
                hasRank=True,
                name=name or f"t{number}",
            )
        )
        if data is not None:
            self._graph.tensors[-1].buffer = len(self._model.buffers)
            self._model.buffers.append(_Buffer())
            self._model.buffers[-1].data = np.ascontiguousarray(data, dtype)
        return Tensor(number, tuple(int(v) for v in shape))

    def _constant(self, data: Array) -> Tensor:
        if data.dtype == np.int32:
            return self._tensor(data.shape, np.int32, data=data)
        half = self._half and data.ndim > 1 and data.size > HALF_FROM and np.abs(data).max() < 65504
        if not half:
            return self._tensor(data.shape, np.float32, data=data)
        stored = self._tensor(data.shape, np.float16, data=data)
        return self._add("DEQUANTIZE", [stored], data.shape, "DequantizeOptions", version=3)

    def _add(
        self,
        kind: str,
        inputs: Sequence[Tensor],
        shape: Sequence[int],
        table: str | None,
        version: int = 1,
        **options: Any,
    ) -> Tensor:
        if kind not in self._codes:  # both code fields must be set: the old one is a byte
            self._codes[kind], code = len(self._codes), getattr(schema.BuiltinOperator, kind)
            self._model.operatorCodes.append(schema.OperatorCodeT(min(code, 127), None, version, code))
        out = self._tensor(shape, np.float32)
        operator = schema.OperatorT(
            opcodeIndex=self._codes[kind], inputs=[t.index for t in inputs], outputs=[out.index]
        )
        if table:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")(**options)
        self._graph.operators.append(operator)
        return out
