"""A float .tflite file to one that computes in int8 throughout: weights per channel, activations by observed ranges.

Scales and zero points as in TensorFlow Lite's 8-bit specification (ai.google.dev/edge/litert, "quantization spec"): an
activation r = scale * (q - zero), q -128..127; weights symmetric, a scale for each channel out; biases int32 at input
scale times weight scale. Input and output stay float32, so that the file takes the place of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from model_conversion.errors import ConversionError
from model_conversion.tflite_edit import _int32, _is_constant, _kind, _operator, _read, _values, _written

_INT8, _INT32, _FLOAT32 = schema.TensorType.INT8, schema.TensorType.INT32, schema.TensorType.FLOAT32
# The channel's dimension in the weights, and the operator's version that takes int8 (op_version.cc).
_WEIGHTS = {"CONV_2D": (0, 3), "DEPTHWISE_CONV_2D": (3, 3)}
_OTHERS = {"ADD": 2, "PRELU": 1, "RESHAPE": 1}

Ranges = dict[int, tuple[float, float]]  # tensor -> least and greatest value seen


def observed(content: bytes, inputs: Iterable[NDArray[np.float32]], watched: Iterable[int]) -> Ranges:
    """Ranges of the watched tensors over pictures (rows, columns, channels) as the model wants them."""
    net = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    net.allocate_tensors()
    asked = net.get_input_details()[0]["index"]
    ranges: Ranges = dict.fromkeys(watched, (0.0, 0.0))  # zero must be a number of every scale
    for x in inputs:
        net.set_tensor(asked, x[None])
        net.invoke()
        for index, (low, high) in ranges.items():
            values = net.get_tensor(index)
            ranges[index] = (min(low, float(values.min())), max(high, float(values.max())))
    return ranges


def full_integer(content: bytes, inputs: Iterable[NDArray[np.float32]]) -> bytes:
    """The same network in int8, calibrated on these pictures. Raises ConversionError for an operator not known here."""
    model, part = _read(content)
    for operator in part.operators:
        if _kind(model, operator) not in _WEIGHTS and _kind(model, operator) not in _OTHERS:
            raise ConversionError(f"int8: expected {sorted({*_WEIGHTS, *_OTHERS})}, got {_kind(model, operator)}")
    used = {int(index) for operator in part.operators for index in (*operator.inputs, *operator.outputs)}
    passed = [i for i in sorted(used) if part.tensors[i].type == _FLOAT32 and not _is_constant(model, part.tensors[i])]
    ranges = observed(content, inputs, passed)
    for operator in part.operators:  # what a RESHAPE gives has the scale of what it takes
        if _kind(model, operator) == "RESHAPE":
            ranges[int(operator.outputs[0])] = ranges[int(operator.inputs[0])]
    for index in passed:
        _quantise(part.tensors[index], ranges[index])
    for operator in part.operators:
        kind = _kind(model, operator)
        if kind in _WEIGHTS:
            _weights(model, part, operator, _WEIGHTS[kind][0])
        elif kind == "PRELU":
            _slopes(model, part.tensors[operator.inputs[1]])
        code = model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, _WEIGHTS[kind][1] if kind in _WEIGHTS else _OTHERS[kind])
    _with_float_ends(model, part)
    return _written(model)


def _quantise(tensor: Any, seen: tuple[float, float]) -> None:
    low, high = seen
    scale = max(high - low, 1e-6) / 255
    zero = int(np.clip(round(-128 - low / scale), -128, 127))
    tensor.type = _INT8
    tensor.quantization = _scales(np.array([scale]), np.array([zero]))


def _scales(scale: NDArray[np.float64], zero: NDArray[np.int64], dimension: int = 0) -> Any:
    return schema.QuantizationParametersT(
        scale=scale.astype(np.float32), zeroPoint=zero.astype(np.int64), quantizedDimension=dimension
    )


def _weights(model: Any, part: Any, operator: Any, channel: int) -> None:
    taken, tensor, bias = (part.tensors[index] for index in operator.inputs)
    values = _values(model, tensor)
    axes = tuple(axis for axis in range(4) if axis != channel)
    scale = np.maximum(np.abs(values).max(axes, keepdims=True) / 127, 1e-12)
    tensor.type = _INT8
    tensor.quantization = _scales(scale.ravel(), np.zeros(scale.size), channel)
    model.buffers[tensor.buffer].data = np.clip(np.rint(values / scale), -127, 127).astype(np.int8).view(np.uint8)
    product = scale.ravel().astype(np.float64) * float(_scale_of(taken))
    counts = np.clip(np.rint(_values(model, bias) / product), -(2**31), 2**31 - 1)
    bias.type = _INT32
    bias.quantization = _scales(product, np.zeros(scale.size))
    model.buffers[bias.buffer].data = counts.astype(np.int32).view(np.uint8)


def _scale_of(tensor: Any) -> float:
    return float(tensor.quantization.scale[0])


def _slopes(model: Any, tensor: Any) -> None:
    values = _values(model, tensor)
    scale = max(float(np.abs(values).max()) / 127, 1e-12)
    tensor.type = _INT8
    tensor.quantization = _scales(np.array([scale]), np.zeros(1))
    model.buffers[tensor.buffer].data = np.clip(np.rint(values / scale), -127, 127).astype(np.int8).view(np.uint8)


def _with_float_ends(model: Any, part: Any) -> None:
    """QUANTIZE before the first layer, DEQUANTIZE after the last."""
    ends = []
    for index in (int(part.inputs[0]), int(part.outputs[0])):
        inner = part.tensors[index]
        ends.append(len(part.tensors))
        outer = schema.TensorT(shape=inner.shape, type=_FLOAT32, hasRank=True, name=inner.name)
        inner.name += b"/int8"
        part.tensors.append(outer)
    begin = _operator(model, "QUANTIZE", [ends[0]], [int(part.inputs[0])], version=1)
    end = _operator(model, "DEQUANTIZE", [int(part.outputs[0])], [ends[1]], version=2)
    part.operators = [begin, *part.operators, end]
    part.inputs, part.outputs = _int32(ends[:1]), _int32(ends[1:])
    model.signatureDefs = []
