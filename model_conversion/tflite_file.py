"""A graph as the bytes of a .tflite file, through the schema that ai-edge-litert ships."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_conversion.graph import Array, Graph, Operand, Operation, Value

ALIGNMENT = 16  # of weights; the schema asks for it ("force_align: 16" of Buffer.data), its generated Pack() forgets it
_WITHOUT_OPTIONS = frozenset({"RELU", "RELU6", "RELU_0_TO_1", "PRELU", "LOGISTIC", "TANH"})
_OPTIONS = {  # operator -> its options table, where that is not the CamelCase of the operator
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "AVERAGE_POOL_2D": "Pool2D",
    "MAX_POOL_2D": "Pool2D",
    "MEAN": "Reducer",
    "PADV2": "PadV2",
    "REVERSE_V2": "ReverseV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}
_VERSION = {"FULLY_CONNECTED": 5}  # keepNumDims
_MAX_OLD_CODE = 127  # operator codes above this do not fit the old field


class _Weights(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data is aligned."""

    def Pack(self, builder: Any) -> Any:
        vector = None
        if self.data is not None:
            raw = self.data.tobytes()
            builder.StartVector(1, len(raw), ALIGNMENT)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def aligned(data: Array | None) -> Any:
    """A buffer of a file, its data where the schema wants it."""
    return _Weights(data)


class _Writer:
    """Numbers the tensors, buffers and operator codes of one file."""

    def __init__(self, description: str) -> None:
        self.part = schema.SubGraphT(tensors=[], operators=[], name="main")
        self.model = schema.ModelT(
            version=3, operatorCodes=[], subgraphs=[self.part], description=description, buffers=[_Weights()]
        )  # buffer 0 is the empty one
        self._values: dict[Value, int] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._codes: dict[str, int] = {}

    def index(self, operand: Operand) -> int:
        if operand is None:
            return -1
        if isinstance(operand, Value):
            if operand not in self._values:
                self._values[operand] = self._tensor(
                    operand.shape, np.dtype(np.float32), operand.name, operand.is_state
                )
            return self._values[operand]
        key = (operand.dtype.str, operand.shape, operand.tobytes())  # equal constants are stored once
        if key not in self._constants:
            self._constants[key] = self._tensor(operand.shape, operand.dtype)
            self.part.tensors[-1].buffer = len(self.model.buffers)
            self.model.buffers.append(_Weights(np.ascontiguousarray(operand)))
        return self._constants[key]

    def _tensor(self, shape: tuple[int, ...], dtype: Any, name: str = "", is_state: bool = False) -> int:
        kind = getattr(schema.TensorType, np.dtype(dtype).name.upper())
        name = name or f"t{len(self.part.tensors)}"
        self.part.tensors.append(
            schema.TensorT(shape=list(shape), type=kind, hasRank=True, name=name, isVariable=is_state)
        )
        return len(self.part.tensors) - 1

    def operation(self, operation: Operation) -> None:
        kind = operation.kind
        if kind not in self._codes:
            self._codes[kind] = len(self._codes)
            code = getattr(schema.BuiltinOperator, kind)
            # The old field and the new one must both be set.
            self.model.operatorCodes.append(
                schema.OperatorCodeT(min(code, _MAX_OLD_CODE), None, _VERSION.get(kind, 1), code)
            )
        inputs = [self.index(x) for x in operation.inputs]
        written = schema.OperatorT(opcodeIndex=self._codes[kind], inputs=inputs, outputs=[self.index(operation.output)])
        if kind not in _WITHOUT_OPTIONS:
            table = _OPTIONS.get(kind, kind.title().replace("_", "")) + "Options"
            written.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            written.builtinOptions = getattr(schema, table + "T")(**operation.options)
        self.part.operators.append(written)

    def signature(self, values: list[Value]) -> list[Any]:
        return [schema.TensorMapT(value.name, self.index(value)) for value in values]


def write(graph: Graph, description: str) -> bytes:
    """The file. The same graph always gives the same bytes."""
    writer = _Writer(description)
    writer.part.inputs = [writer.index(value) for value in graph.inputs]
    for operation in graph.needed():
        writer.operation(operation)
    writer.part.outputs = [writer.index(value) for value in graph.outputs]
    names = writer.signature(graph.inputs), writer.signature(graph.outputs)
    writer.model.signatureDefs = [schema.SignatureDefT(*names, "serving_default")]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(writer.model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def constant(array: Array) -> Array:
    """An array as a file stores it: 32-bit."""
    return np.ascontiguousarray(array, np.int32 if array.dtype.kind in "iu" else np.float32)
