"""Changes to a published .tflite file that keep what it computes: a batch of one picture, smaller weights.

Each function takes a file and gives a file; the same bytes in always give the same bytes out.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_conversion.errors import ConversionError
from model_conversion.tflite_file import aligned

_FLOAT32, _FLOAT16, _INT8 = schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.INT8
# CONV_2D with 8-bit weights and a scale per output channel beside float activations came with this version of the
# operator (tensorflow/lite/tools/versioning/op_version.cc).
_HYBRID_CONVOLUTION = 5
_DEQUANTIZE = 3  # that takes float16 constants
_MIN_ELEMENTS = 256  # smaller constants are not worth an operator


def one_picture(content: bytes) -> bytes:
    """A model with a fixed batch of N pictures as one with a batch of one. Raises ConversionError.

    Every layer treats the pictures of a batch apart, so each output row keeps its bits.
    """
    model, part = _read(content)
    shape = [int(v) for v in part.tensors[int(part.inputs[0])].shape]
    batch = shape[0]
    if len(shape) != 4 or batch < 1:
        raise ConversionError(f"expected an input of four dimensions (batch, rows, columns, channels), got {shape}")
    for tensor in part.tensors:
        if (
            tensor.shape is not None
            and len(tensor.shape)
            and tensor.shape[0] == batch
            and not _is_constant(model, tensor)
        ):
            tensor.shape = _int32([1, *tensor.shape[1:]])
    for operator in part.operators:
        if _kind(model, operator) == "RESHAPE":
            _reshape_one(model, part, operator, batch)
    return _written(model)


def whole_prelu(content: bytes) -> bytes:
    """PReLU that was exported in five operators, relu(x) + a * (x - |x|), as the one that it is.

    Every output keeps its bits: x - |x| is 2x or 0 without rounding, so a * (2x) rounds as (2a) * x does.
    """
    model, part = _read(content)
    made = {int(operator.outputs[0]): operator for operator in part.operators}
    gone: set[int] = set()
    for place, operator in enumerate(part.operators):
        found = _parts_of_prelu(model, made, operator)
        if found is None:
            continue
        x, slope, parts = found
        tensor = part.tensors[slope]
        values = _values(model, tensor) * np.float32(2)
        model.buffers[tensor.buffer].data = values.view(np.uint8)
        tensor.shape = _int32([1, 1, values.size])
        gone |= {id(one) for one in parts}
        part.operators[place] = _operator(model, "PRELU", [x, slope], [int(operator.outputs[0])], version=1)
    part.operators = [operator for operator in part.operators if id(operator) not in gone]
    return _written(model)


def _parts_of_prelu(model: Any, made: dict[int, Any], add: Any) -> tuple[int, int, list[Any]] | None:
    """(x, the tensor a, the four operators before) where `add` ends such a PReLU."""
    if _kind(model, add) != "ADD":
        return None
    relu, times = (made.get(int(index)) for index in add.inputs)
    if relu is None or times is None or (_kind(model, relu), _kind(model, times)) != ("RELU", "MUL"):
        return None
    x, less = int(relu.inputs[0]), made.get(int(times.inputs[1]))
    size = made.get(int(less.inputs[1])) if less is not None and _kind(model, less) == "SUB" else None
    if less is None or size is None or _kind(model, size) != "ABS" or {int(less.inputs[0]), int(size.inputs[0])} != {x}:
        return None
    return x, int(times.inputs[0]), [relu, times, less, size]


def half_precision(content: bytes) -> bytes:
    """Weights as float16, widened again as the model is loaded: half the file, computed in float32."""
    model, part = _read(content)
    halved: dict[int, int] = {}  # constant -> its widened twin
    widening = []
    for operator in part.operators:
        for place, index in enumerate(operator.inputs):
            tensor = part.tensors[index] if index >= 0 else None
            if tensor is None or tensor.type != _FLOAT32 or not _is_constant(model, tensor):
                continue
            values = _values(model, tensor)
            if values.size < _MIN_ELEMENTS:
                continue
            if index not in halved:
                halved[index] = len(part.tensors)
                part.tensors.append(
                    schema.TensorT(shape=tensor.shape, type=_FLOAT32, hasRank=True, name=tensor.name + b"/wide")
                )
                tensor.type = _FLOAT16
                model.buffers[tensor.buffer].data = values.astype(np.float16).view(np.uint8)
                widening.append(_operator(model, "DEQUANTIZE", [index], [halved[index]]))
            operator.inputs[place] = halved[index]
    part.operators = [*widening, *part.operators]
    return _written(model)


def eight_bit(content: bytes) -> bytes:
    """Weights of the convolutions as int8 with a scale per output channel; all else stays float32 ("dynamic range").
    The depthwise ones keep theirs: they are few, and the first to lose accuracy.

    The runtime quantises each activation as it comes, so no calibration pictures are needed.
    """
    model, part = _read(content)
    for operator in part.operators:
        if _kind(model, operator) != "CONV_2D":
            continue
        tensor = part.tensors[operator.inputs[1]]
        if tensor.type != _FLOAT32 or not _is_constant(model, tensor):
            continue
        values = _values(model, tensor)  # (channels out, rows, columns, channels in)
        scale = np.maximum(np.abs(values).max((1, 2, 3), keepdims=True) / 127.0, 1e-12).astype(np.float32)
        small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        tensor.type = _INT8
        tensor.quantization = schema.QuantizationParametersT(
            scale=scale.ravel(), zeroPoint=np.zeros(scale.size, np.int64), quantizedDimension=0
        )
        model.buffers[tensor.buffer].data = small.view(np.uint8)
        code = model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, _HYBRID_CONVOLUTION)
    return _written(model)


def _read(content: bytes) -> tuple[Any, Any]:
    if content[4:8] != b"TFL3":
        raise ConversionError("expected a .tflite file (TFL3 at byte 4), got something else")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
    if len(model.subgraphs) != 1:
        raise ConversionError(f"expected a model of one graph, got {len(model.subgraphs)}")
    return model, model.subgraphs[0]


def _written(model: Any) -> bytes:
    model.buffers = [aligned(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _values(model: Any, tensor: Any) -> Any:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).reshape(tensor.shape)


def _kind(model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    return _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _reshape_one(model: Any, part: Any, operator: Any, batch: int) -> None:
    wanted = part.tensors[operator.inputs[1]]
    shape = np.frombuffer(bytes(model.buffers[wanted.buffer].data), np.int32).copy()
    if shape[0] == batch:
        shape[0] = 1
        model.buffers[wanted.buffer].data = shape.view(np.uint8)
    options = operator.builtinOptions
    if options is not None and options.newShape is not None and options.newShape[0] == batch:
        options.newShape = _int32([1, *options.newShape[1:]])


def _operator(model: Any, kind: str, inputs: list[int], outputs: list[int], *, version: int = _DEQUANTIZE) -> Any:
    number = getattr(schema.BuiltinOperator, kind)
    known = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    if number not in known:
        known.append(number)
        model.operatorCodes.append(schema.OperatorCodeT(number, None, version, number))
    index = known.index(number)
    return schema.OperatorT(opcodeIndex=index, inputs=inputs, outputs=outputs)


def _int32(values: list[int]) -> Any:
    return np.array(values, np.int32)


_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
