"""Every operator gives what ONNX says, in the layouts and paddings that the published graphs use, and what is not known
is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graphs import by_onnx, by_tflite, furthest, graph
from onnx import helper

from model_conversion.errors import ConversionError
from model_conversion.from_onnx import MAX_BYTES, convert

RNG = np.random.default_rng(7)
PICTURE = (1, 4, 10, 14)


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def node(kind: str, inputs: list[str], output: str = "y", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


CONV = {"w": weights(6, 4, 3, 3), "b": weights(6)}
NORM = {name: np.abs(weights(6)) + 0.1 for name in ("gamma", "beta", "mean", "variance")}
AFTER_CONV = node("Conv", ["x", "w", "b"], "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
LIMITS = {"three": np.float32(3), "six": np.float32(6)}

CASES = {
    "convolution": ([node("Conv", ["x", "w", "b"], kernel_shape=[3, 3])], CONV),
    "padding that is SAME": ([node("Conv", ["x", "w", "b"], pads=[1, 1, 1, 1])], CONV),
    "odd padding row first": ([node("Conv", ["x", "w"], pads=[1, 1, 1, 1], strides=[2, 2])], CONV),
    "uneven padding": ([node("Conv", ["x", "w"], pads=[0, 2, 1, 0])], CONV),
    "dilation": ([node("Conv", ["x", "w"], dilations=[2, 2], pads=[2, 2, 2, 2])], CONV),
    "SAME_UPPER": ([node("Conv", ["x", "w"], auto_pad="SAME_UPPER", strides=[2, 2])], CONV),
    "depthwise": ([node("Conv", ["x", "w"], group=4, pads=[1, 1, 1, 1])], {"w": weights(8, 1, 3, 3)}),
    "normalisation folded": ([AFTER_CONV, node("BatchNormalization", ["c", *NORM])], CONV | NORM),
    "normalisation alone": (
        [node("BatchNormalization", ["x", *NORM])],
        {name: value[:4] for name, value in NORM.items()},
    ),
    "relu fused": ([AFTER_CONV, node("Relu", ["c"])], CONV),
    "relu, read twice": ([AFTER_CONV, node("Relu", ["c"], "r"), node("Add", ["c", "r"])], CONV),
    "relu after concatenation": (
        [node("Concat", ["x", "x"], "c", axis=1), node("Relu", ["c"])],
        {},
    ),
    "clip 0..6": ([AFTER_CONV, node("Clip", ["c", "zero", "six"])], CONV | {"zero": np.float32(0), **LIMITS}),
    "leaky relu": ([node("LeakyRelu", ["x"], alpha=0.1)], {}),
    "hard sigmoid": ([node("HardSigmoid", ["x"], alpha=1 / 6, beta=0.5)], {}),
    "hard swish": (
        [
            node("Add", ["x", "three"], "p"),
            node("Clip", ["p", "zero", "six"], "q"),
            node("Mul", ["x", "q"], "r"),
            node("Div", ["r", "six"]),
        ],
        LIMITS | {"zero": np.float32(0)},
    ),
    "max pooling": ([node("MaxPool", ["x"], kernel_shape=[2, 2], strides=[2, 2])], {}),
    "max pooling, padded": ([node("MaxPool", ["x"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], {}),
    "mean of all": ([node("GlobalAveragePool", ["x"])], {}),
    "twice as large": (
        [node("Resize", ["x", "none", "scales"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"none": np.zeros(0, np.float32), "scales": np.float32([1, 1, 2, 2])},
    ),
    "broadcast per channel": ([node("Mul", ["x", "s"])], {"s": weights(1, 4, 1, 1)}),
    "transposed and flattened": (
        [node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]), node("Reshape", ["t", "to"])],
        {"to": np.int64([1, -1, 2])},
    ),
    "softmax over channels": (
        [
            node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]),
            node("Reshape", ["t", "to"], "f"),
            node("Softmax", ["f"], axis=2),
        ],
        {"to": np.int64([1, -1, 2])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_onnx_says(name: str) -> None:
    nodes, constants = CASES[name]
    model = graph(nodes, PICTURE, constants)
    x = weights(*PICTURE) * 4
    content = convert(model.SerializeToString(), {}, name)
    assert furthest(by_tflite(content, x), by_onnx(model, "x", x)) < 1e-5


def lstm_graph(direction: str) -> onnx.ModelProto:
    directions = 2 if direction == "bidirectional" else 1
    constants = {
        "w": weights(directions, 32, 5),
        "r": weights(directions, 32, 8),
        "b": weights(directions, 64),
        "zero": np.zeros((directions, 1, 8), np.float32),
    }
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b", "", "zero", "zero"], ["y"], direction=direction, hidden_size=8)
    ]
    return graph(nodes, (12, 1, 5), constants)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_an_lstm_gives_what_onnx_says_and_remembers_no_call_before(direction: str) -> None:
    model = lstm_graph(direction)
    x = weights(12, 1, 5)
    content = convert(model.SerializeToString(), {}, direction)
    for times in (1, 3):
        assert furthest(by_tflite(content, x, times=times), by_onnx(model, "x", x)) < 1e-5


REFUSED = {
    "an operator nobody tried": ([node("Erf", ["x"])], {}, "ONNX operator 'Erf'"),
    "clip to other limits": ([node("Clip", ["x", "a", "b"])], {"a": np.float32(-1), "b": np.float32(1)}, "Clip to"),
    "groups": ([node("Conv", ["x", "w"], group=2)], {"w": weights(4, 2, 3, 3)}, "2 groups"),
    "SAME_LOWER": ([node("Conv", ["x", "w"], auto_pad="SAME_LOWER")], CONV, "SAME_LOWER"),
    "softmax over several axes": ([node("Softmax", ["x"], axis=1)], {}, "Softmax"),
    "uneven growth": (
        [node("Resize", ["x", "none", "scales"], nearest_mode="floor")],
        {"none": np.zeros(0, np.float32), "scales": np.float32([1, 1, 1.5, 1.5])},
        "Resize",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused(name: str) -> None:
    nodes, constants, words = REFUSED[name]
    with pytest.raises(ConversionError, match=words):
        convert(graph(nodes, PICTURE, constants).SerializeToString(), {}, name)


def test_an_lstm_that_starts_elsewhere_is_refused() -> None:
    model = lstm_graph("forward")
    for tensor in model.graph.initializer:
        if tensor.name == "zero":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ones((1, 1, 8), np.float32), "zero"))
    with pytest.raises(ConversionError, match=r"a start other than zero"):
        convert(model.SerializeToString(), {}, "")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\xff" * 40])
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(ConversionError):
        convert(content, {}, "")


def test_a_size_that_is_left_open_must_be_given() -> None:
    model = graph([node("Relu", ["x"])], PICTURE, {})
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    with pytest.raises(ConversionError, match="input 'x' has no fixed size"):
        convert(model.SerializeToString(), {}, "")
    assert convert(model.SerializeToString(), {"x": PICTURE}, "")


def test_a_huge_file_is_not_parsed() -> None:
    with pytest.raises(ConversionError, match="expected at most"):
        convert(bytes(MAX_BYTES + 1), {}, "")


def test_the_same_graph_gives_the_same_bytes() -> None:
    nodes, constants = CASES["hard swish"]
    content = graph(nodes, PICTURE, constants).SerializeToString()
    assert convert(content, {}, "one") == convert(content, {}, "one") != convert(content, {}, "two")
