"""An ONNX graph to a .tflite file: walks the nodes, folds what is constant, keeps the layout of each value.

Only the operators of the graphs that are used here are known; anything else is refused, never guessed. A file that
loads and runs proves nothing: every conversion is compared with ONNX by tests and pinned by its hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from model_conversion import lstm, tflite_file
from model_conversion.errors import ConversionError
from model_conversion.graph import FUSABLE, NHWC, NO_ACTIVATION, WEIGHTED, Array, Graph, Order, Value
from model_conversion.windows import Window, fitted

MAX_BYTES = 64 << 20
RELU, RELU6 = 1, 3  # ActivationFunctionType
_BINARY = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV"}
Attributes = Mapping[str, Any]


def convert(content: bytes, shapes: Mapping[str, Sequence[int]], description: str) -> bytes:
    """The .tflite file of an ONNX file. `shapes` fixes inputs, ONNX axis order, whose size the graph leaves open.

    Pictures (4 axes) are rows, columns, channels in the result; everything else keeps its order of axes.
    Raises ConversionError.
    """
    if len(content) > MAX_BYTES:
        raise ConversionError(f"the ONNX file has {len(content)} bytes, expected at most {MAX_BYTES}; use another file")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as e:
        raise ConversionError(f"expected an ONNX file, got something else ({type(e).__name__}); fetch it again") from e
    if not model.graph.output:
        raise ConversionError("expected an ONNX file, got one without any output; fetch it again")
    return tflite_file.write(_FromOnnx(model, shapes).graph, description)


class _FromOnnx:
    """One conversion. `_known` holds constants, `_computed` values and their order of axes, by ONNX name."""

    def __init__(self, model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
        self.graph = Graph()
        self._model = model
        self._opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
        self._known: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._computed: dict[str, tuple[Value, Order]] = {}
        self._readers = Counter(i for node in model.graph.node for i in node.input)
        self._readers += Counter(o.name for o in model.graph.output)
        self._producer = {o: node for node in model.graph.node for o in node.output}
        self._operators: dict[str, Callable[[onnx.NodeProto, Attributes], None]] = {
            "BatchNormalization": self._normalise,
            "Clip": self._clip,
            "Concat": self._concatenate,
            "Conv": self._convolve,
            "GlobalAveragePool": self._average_all,
            "HardSigmoid": self._hard_sigmoid,
            "Identity": self._same,
            "LSTM": self._lstm,
            "LeakyRelu": self._leaky,
            "MatMul": self._multiply,
            "MaxPool": self._max_pool,
            "Relu": self._relu,
            "Reshape": self._reshape,
            "Resize": self._resize,
            "Softmax": self._softmax,
            "Squeeze": self._squeeze,
            "Transpose": self._transpose,
        }
        self._inputs(shapes)
        for node in model.graph.node:
            self._node(node)
        for output in model.graph.output:
            self.graph.outputs.append(self._stored(output.name))
            self.graph.outputs[-1].name = output.name

    # --- names, layouts

    def _inputs(self, shapes: Mapping[str, Sequence[int]]) -> None:
        for given in self._model.graph.input:
            if given.name in self._known:
                continue
            shape = shapes.get(given.name) or [d.dim_value for d in given.type.tensor_type.shape.dim]
            if not all(n > 0 for n in shape):
                raise ConversionError(f"input {given.name!r} has no fixed size, got {list(shape)}; give its shape")
            order = NHWC if len(shape) == 4 else tuple(range(len(shape)))
            value = Value([shape[axis] for axis in order], name=given.name)
            self.graph.inputs.append(value)
            self._bind(given.name, value, order)

    def _stored(self, name: str) -> Value:
        value = self._as(name, NHWC if len(self._shape(name)) == 4 else None)
        if not isinstance(value, Value):
            raise ConversionError(f"output {name!r} is a constant; this is not the graph that was expected")
        return value

    def _bind(self, name: str, value: Value, order: Sequence[int] | None = None, *, again: bool = False) -> None:
        """Give a value its ONNX name; `again` where it is only another name for a value that has one."""
        value.readers += self._readers[name] - again
        self._computed[name] = value, tuple(range(len(value.shape)) if order is None else order)

    def _shape(self, name: str) -> tuple[int, ...]:
        """The shape as ONNX sees it."""
        if name in self._known:
            return self._known[name].shape
        value, order = self._computed[name]
        return tuple(value.shape[order.index(axis)] for axis in range(len(order)))

    def _as(self, name: str, order: Sequence[int] | None = None) -> Any:
        """The value or constant with its axes in `order` (ONNX order by default), with axes of length 1 in front where
        `order` has more axes than it, as ONNX broadcasts."""
        shape = self._shape(name)
        order = tuple(range(len(shape)) if order is None else order)
        full = (1,) * (len(order) - len(shape)) + shape
        if name in self._known:
            constant = tflite_file.constant(self._known[name])
            return (
                constant.reshape(())
                if constant.size == 1
                else np.ascontiguousarray(constant.reshape(full).transpose(order))
            )
        value, have = self._computed[name]
        if full != shape:
            value, have = self.graph.reshape(self._as(name), full), tuple(range(len(full)))
        return self.graph.permute(value, [have.index(axis) for axis in order])

    # --- nodes

    def _node(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Shape" and node.input[0] in self._computed:
            self._known[node.output[0]] = np.array(self._shape(node.input[0]), np.int64)
        elif all(name in self._known or not name for name in node.input):
            self._fold(node)
        elif node.op_type in _BINARY:
            x = self._hard_swish_of(node)
            if x is None:
                self._binary(_BINARY[node.op_type], *node.input, node.output[0])
            else:
                self._unary("HARD_SWISH", x, node.output[0])
        elif node.op_type in self._operators:
            self._operators[node.op_type](node, attributes)
        else:
            raise ConversionError(f"ONNX operator {node.op_type!r} is not known here; use a model that was tried")

    def _fold(self, node: onnx.NodeProto) -> None:
        """Compute a node whose inputs are all constant, with onnx's own evaluator."""
        inputs, outputs = (
            [helper.make_value_info(n, onnx.TypeProto()) for n in names if n] for names in (node.input, node.output)
        )
        alone = helper.make_model(
            helper.make_graph([node], "fold", inputs, outputs), opset_imports=self._model.opset_import
        )
        results = ReferenceEvaluator(alone).run(None, {n: self._known[n] for n in node.input if n})
        self._known.update(zip([n for n in node.output if n], map(np.asarray, results), strict=True))

    def _hard_swish_of(self, division: onnx.NodeProto) -> str | None:
        """x, where this is x * clip(x + 3, 0, 6) / 6, which is one operator of TFLite."""
        if division.op_type != "Div" or not self._is(division.input[1], 6):
            return None
        product = self._producer.get(division.input[0])
        if product is None or product.op_type != "Mul":
            return None
        for x, clipped in (product.input, product.input[::-1]):
            clip = self._producer.get(clipped)
            if clip is None or clip.op_type != "Clip" or self._limits(clip) != (0, 6):
                continue
            total = self._producer.get(clip.input[0])
            if total is not None and total.op_type == "Add" and total.input[0] == x and self._is(total.input[1], 3):
                return str(x)
        return None

    def _is(self, name: str, number: float) -> bool:
        constant = self._known.get(name)
        return constant is not None and constant.size == 1 and constant.ravel()[0] == number

    def _limits(self, clip: onnx.NodeProto) -> tuple[float, float]:
        given = {a.name: a.f for a in clip.attribute}
        bounds = [given.get("min", -np.inf), given.get("max", np.inf)]
        for k, name in enumerate(clip.input[1:3]):
            if name:
                bounds[k] = float(self._known[name])
        return bounds[0], bounds[1]

    def _binary(self, kind: str, a: str, b: str, out: str) -> None:
        shape = np.broadcast_shapes(self._shape(a), self._shape(b))
        orders = (self._computed[x][1] for x in (a, b) if x in self._computed and len(self._shape(x)) == len(shape))
        order = next(orders, tuple(range(len(shape))))
        operands = [self._as(a, order), self._as(b, order)]
        self._bind(out, self.graph.emit(kind, operands, [shape[axis] for axis in order]), order)

    def _unary(self, kind: str, x: str, out: str, **options: Any) -> None:
        value, order = self._computed[x]
        self._bind(out, self.graph.emit(kind, [value], value.shape, **options), order)

    def _activate(self, kind: str, code: int, x: str, out: str) -> None:
        """Fused into the operator before, where nobody else reads what that computes."""
        value, order = self._computed[x]
        made = value.operation
        if value.readers == 1 and made and made.kind in FUSABLE and made.options[_FUSED] == NO_ACTIVATION:
            made.options[_FUSED] = code
            self._bind(out, value, order, again=True)
        else:
            self._unary(kind, x, out)

    def _scale(self, x: str, out: str, scale: Array, shift: Array) -> None:
        """x * scale + shift along ONNX axis 1; folded into the weights of the layer before where that is possible."""
        value, order = self._computed[x]
        scale, shift = (np.asarray(a, np.float32).ravel() for a in (scale, shift))
        made = value.operation
        alone = value.readers == 1 and made is not None and made.kind in WEIGHTED and order[-1] == 1
        if alone and made is not None and made.options[_FUSED] == NO_ACTIVATION:
            _, weights, bias = made.inputs
            channel = [-1] if made.kind == "DEPTHWISE_CONV_2D" else [-1] + [1] * (weights.ndim - 1)  # type: ignore[union-attr]
            made.inputs[1:] = [weights * scale.reshape(channel), bias * scale + shift]  # type: ignore[operator]
            self._bind(out, value, order, again=True)
            return
        side = [-1 if axis == 1 else 1 for axis in order]
        scaled = self.graph.emit("MUL", [value, scale.reshape(side)], value.shape)
        self._bind(out, self.graph.emit("ADD", [scaled, shift.reshape(side)], value.shape), order)

    # --- operators

    def _convolve(self, node: onnx.NodeProto, at: Attributes) -> None:
        value, weights = self._as(node.input[0], NHWC), self._known[node.input[1]]
        bias = self._known[node.input[2]] if len(node.input) > 2 else np.zeros(len(weights), np.float32)
        window = Window.of(at, weights.shape[2:])
        value, padding, size = fitted(self.graph, value, window)
        options: dict[str, Any] = {"padding": padding, "strideH": window.strides[0], "strideW": window.strides[1]}
        options |= {"dilationHFactor": window.dilations[0], "dilationWFactor": window.dilations[1]}
        kind, order = "CONV_2D", (0, 2, 3, 1)
        if at.get("group", 1) == value.shape[3] > 1 == weights.shape[1]:
            kind, order = "DEPTHWISE_CONV_2D", (1, 2, 3, 0)
            options["depthMultiplier"] = len(weights) // value.shape[3]
        elif at.get("group", 1) != 1:
            raise ConversionError(f"Conv with {at['group']} groups is not known here; use a model that was tried")
        weights = np.ascontiguousarray(weights.transpose(order), np.float32)
        out = self.graph.emit(kind, [value, weights, bias], (value.shape[0], *size, len(bias)), **options)
        self._bind(node.output[0], out, NHWC)

    def _normalise(self, node: onnx.NodeProto, at: Attributes) -> None:
        gamma, beta, mean, variance = (self._known[i].astype(np.float64) for i in node.input[1:5])
        scale = gamma / np.sqrt(variance + at.get("epsilon", 1e-5))
        self._scale(node.input[0], node.output[0], scale, beta - mean * scale)

    def _hard_sigmoid(self, node: onnx.NodeProto, at: Attributes) -> None:
        out = node.output[0]
        channels = np.ones(self._shape(node.input[0])[1])
        self._readers[f"{out}/line"] = 1
        alpha, beta = at.get("alpha", 0.2), at.get("beta", 0.5)
        self._scale(node.input[0], f"{out}/line", channels * alpha, channels * beta)
        self._unary("RELU_0_TO_1", f"{out}/line", out)

    def _relu(self, node: onnx.NodeProto, at: Attributes) -> None:  # noqa: ARG002
        self._activate("RELU", RELU, node.input[0], node.output[0])

    def _clip(self, node: onnx.NodeProto, at: Attributes) -> None:  # noqa: ARG002
        low, high = self._limits(node)
        if low != 0 or high not in (6, np.inf):
            raise ConversionError(f"Clip to {low:g}..{high:g} is not known here; use a model that was tried")
        kind, code = ("RELU6", RELU6) if high == 6 else ("RELU", RELU)
        self._activate(kind, code, node.input[0], node.output[0])

    def _leaky(self, node: onnx.NodeProto, at: Attributes) -> None:
        self._unary("LEAKY_RELU", node.input[0], node.output[0], alpha=at.get("alpha", 0.01))

    def _max_pool(self, node: onnx.NodeProto, at: Attributes) -> None:
        window = Window.of(at, at["kernel_shape"])
        value, padding, size = fitted(
            self.graph, self._as(node.input[0], NHWC), window, fill=float(np.finfo(np.float32).min)
        )
        options = {"strideH": window.strides[0], "strideW": window.strides[1]}
        options |= {"filterHeight": window.kernel[0], "filterWidth": window.kernel[1]}
        shape = (value.shape[0], *size, value.shape[3])
        self._bind(node.output[0], self.graph.emit("MAX_POOL_2D", [value], shape, padding=padding, **options), NHWC)

    def _average_all(self, node: onnx.NodeProto, at: Attributes) -> None:  # noqa: ARG002
        value, order = self._computed[node.input[0]]
        axes = [k for k, axis in enumerate(order) if axis > 1]
        shape = [1 if k in axes else n for k, n in enumerate(value.shape)]
        mean = self.graph.emit("MEAN", [value, np.array(axes, np.int32)], shape, keepDims=True)
        self._bind(node.output[0], mean, order)

    def _squeeze(self, node: onnx.NodeProto, at: Attributes) -> None:
        (value, order), shape = self._computed[node.input[0]], self._shape(node.input[0])
        given = self._given(at, "axes", node, 1, [k for k, n in enumerate(shape) if n == 1])
        axes = [axis % len(order) for axis in given]
        kept = [axis for axis in range(len(order)) if axis not in axes]
        value = self.graph.reshape(value, [shape[axis] for axis in order if axis in kept])
        self._bind(node.output[0], value, [kept.index(axis) for axis in order if axis in kept])

    def _reshape(self, node: onnx.NodeProto, at: Attributes) -> None:
        shape = self._shape(node.input[0])
        wanted = self._known[node.input[1]].tolist()
        wanted = [shape[k] if n == 0 and not at.get("allowzero") else n for k, n in enumerate(wanted)]
        if -1 in wanted:
            wanted[wanted.index(-1)] = int(np.prod(shape)) // -int(np.prod(wanted))
        self._bind(node.output[0], self.graph.reshape(self._as(node.input[0]), wanted))

    def _transpose(self, node: onnx.NodeProto, at: Attributes) -> None:
        value, order = self._computed[node.input[0]]
        new = list(at.get("perm", range(len(order))[::-1]))
        self._bind(node.output[0], value, [new.index(axis) for axis in order], again=True)

    def _same(self, node: onnx.NodeProto, at: Attributes) -> None:  # noqa: ARG002
        self._bind(node.output[0], *self._computed[node.input[0]], again=True)

    def _concatenate(self, node: onnx.NodeProto, at: Attributes) -> None:
        order = next(self._computed[name][1] for name in node.input if name in self._computed)
        parts = [self._as(name, order) for name in node.input]
        out = self.graph.concatenate(parts, order.index(at["axis"] % len(order)))
        self._bind(node.output[0], out, order)

    def _resize(self, node: onnx.NodeProto, at: Attributes) -> None:
        """Nearest neighbour by whole factors only: there ONNX and TFLite agree on which pixel is nearest."""
        value = self._as(node.input[0], NHWC)
        if len(node.input) > 3 and node.input[3]:
            size = [int(n) for n in self._known[node.input[3]][2:]]
        else:
            size = [int(n * s) for n, s in zip(value.shape[1:3], self._known[node.input[-1]][2:], strict=True)]
        how = (at.get("mode", b"nearest"), at.get("coordinate_transformation_mode", b"half_pixel"))
        whole = all(new % old == 0 for new, old in zip(size, value.shape[1:3], strict=True))
        floor = at.get("nearest_mode", b"round_prefer_floor") == b"floor"
        if (
            how[0] != b"nearest"
            or how[1] not in (b"asymmetric", b"half_pixel")
            or not whole
            or (how[1] == b"asymmetric" and not floor)
        ):
            raise ConversionError(f"Resize {how} to {size} is not known here; use a model that was tried")
        shape = (value.shape[0], *size, value.shape[3])
        options = {"alignCorners": False, "halfPixelCenters": False}
        out = self.graph.emit("RESIZE_NEAREST_NEIGHBOR", [value, np.array(size, np.int32)], shape, **options)
        self._bind(node.output[0], out, NHWC)

    def _softmax(self, node: onnx.NodeProto, at: Attributes) -> None:
        order = self._computed[node.input[0]][1]
        axis = at.get("axis", 1 if self._opset < 13 else -1) % len(order)
        if self._opset < 13 and axis != len(order) - 1:
            raise ConversionError("Softmax over several axes is not known here; use a model that was tried")
        order = (*(a for a in order if a != axis), axis)  # TFLite: the last axis only
        value = self._as(node.input[0], order)
        self._bind(node.output[0], self.graph.emit("SOFTMAX", [value], value.shape, beta=1.0), order)

    def _multiply(self, node: onnx.NodeProto, at: Attributes) -> None:  # noqa: ARG002
        weights = self._known.get(node.input[1])
        if weights is None or weights.ndim != 2:
            raise ConversionError("MatMul of two computed values is not known here; use a model that was tried")
        order = self._computed[node.input[0]][1]
        order = order if order[-1] == len(order) - 1 else tuple(range(len(order)))
        self._bind(node.output[0], self.graph.dense(self._as(node.input[0], order), weights.T), order)

    def _lstm(self, node: onnx.NodeProto, at: Attributes) -> None:
        names = [*node.input, *[""] * (8 - len(node.input))]
        states = [self._known.get(name) for name in names[5:7] if name]
        zero = all(state is not None and not state.any() for state in states)
        others = {"activations", "clip", "input_forget", "layout"} & set(at)
        if names[4] or names[7] or not zero or others or any(self._readers[o] for o in node.output[1:]):
            raise ConversionError(
                "LSTM with lengths, a start other than zero, state outputs, clipping or other activations is not known"
                " here; use a model that was tried"
            )
        value = self._as(names[0], (1, 0, 2))
        w, r = self._known[names[1]], self._known[names[2]]
        bias = self._known[names[3]] if names[3] else np.zeros((len(w), 8 * r.shape[2]), np.float32)
        only_backwards = at.get("direction") == b"reverse"
        outs = [
            lstm.one_direction(self.graph, value, (w[d], r[d], bias[d]), backwards=d == 1 or only_backwards)
            for d in range(len(w))
        ]
        out = self.graph.concatenate(outs, 2) if len(outs) > 1 else outs[0]
        # ONNX: time, direction, batch, hidden; stored: batch, time, direction, hidden.
        split = self.graph.reshape(out, (*out.shape[:2], len(outs), r.shape[2]))
        self._bind(node.output[0], split, (2, 0, 1, 3))

    def _given(self, at: Attributes, key: str, node: onnx.NodeProto, place: int, default: Sequence[int]) -> Any:
        """A parameter that older graphs have as an attribute and newer ones as an input."""
        if key in at:
            return at[key]
        if len(node.input) > place and node.input[place]:
            return self._known[node.input[place]].tolist()
        return default


_FUSED = "fusedActivationFunction"
