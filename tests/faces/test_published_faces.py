"""The fetched face models: the changed embedder keeps every bit, smaller weights stay near it. Needs the registries."""

import hashlib
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from conftest import pixels

from gateway.vision import models
from model_conversion import fetch
from model_conversion.errors import ConversionError
from model_conversion.full_integer import full_integer
from model_conversion.tflite_edit import eight_bit, half_precision, one_picture, whole_prelu
from zhian.models import _wanted

ENTRIES = {e.name: e for e in models.entries(models.PUBLISHED) if e.name.startswith("face-")}


def outputs(content, x):
    net = Interpreter(model_content=content, num_threads=1)
    net.allocate_tensors()
    net.set_tensor(net.get_input_details()[0]["index"], x)
    net.invoke()
    return net.get_tensor(net.get_output_details()[0]["index"]).copy()


def prelu_in_five(slopes, shape):
    """relu(x) + a * (x - |x|), a half of the slopes."""
    names = ("x", "relu", "size", "less", "a", "times", "y")
    tensors = [schema.TensorT(name=n.encode(), shape=np.array(shape, np.int32), hasRank=True) for n in names]
    tensors[4].shape, tensors[4].buffer = np.array(slopes.shape, np.int32), 1
    kinds = {"RELU": ([0], 1), "ABS": ([0], 2), "SUB": ([0, 2], 3), "MUL": ([4, 3], 5), "ADD": ([1, 5], 6)}
    numbers = [getattr(schema.BuiltinOperator, kind) for kind in kinds]
    made = [
        schema.OperatorT(opcodeIndex=n, inputs=taken, outputs=[given])
        for n, (taken, given) in enumerate(kinds.values())
    ]
    for operator, kind in zip(made, kinds, strict=True):
        if kind in ("SUB", "MUL", "ADD"):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind.capitalize()}Options")
            operator.builtinOptions = getattr(schema, f"{kind.capitalize()}OptionsT")()
    model = schema.ModelT(
        version=3,
        operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=n, builtinCode=n, version=1) for n in numbers],
        subgraphs=[schema.SubGraphT(tensors=tensors, inputs=[0], outputs=[6], operators=made)],
        buffers=[schema.BufferT(), schema.BufferT(data=(slopes / 2).view(np.uint8))],
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operators(content):
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return [names[codes[operator.opcodeIndex]] for operator in model.subgraphs[0].operators]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(5).uniform(-1, 1, (2, 112, 112, 3)).astype(np.float32)


def test_a_batch_of_two_made_one_keeps_its_bits(tmp_path, noise):
    entry = ENTRIES["face-embedder"]
    try:
        package = fetch._package(_wanted(entry), tmp_path)
    except ConversionError as e:
        pytest.skip(f"the registry cannot be reached: {e}")
    original = fetch._member(_wanted(entry), package)
    single = whole_prelu(one_picture(original))
    assert hashlib.sha256(single).hexdigest() == entry.sha256
    both = outputs(original, noise)
    for n in range(2):
        assert (outputs(single, noise[n : n + 1])[0] == both[n]).all()
    with pytest.raises(ConversionError, match="is not the file that was measured"):
        fetch._member(replace(_wanted(entry), member_sha256="0" * 64), package)


@pytest.mark.parametrize(("make", "least", "share"), [(half_precision, 0.9999, 0.52), (eight_bit, 0.995, 0.33)])
def test_smaller_weights_compute_nearly_the_same_and_are_the_same_bytes_each_time(reader, noise, make, least, share):
    content = models.published("face-embedder", must_be_accepted=False).content
    smaller = make(content)
    assert smaller == make(content)
    assert len(smaller) < share * len(content)
    a, b = outputs(content, noise[:1])[0], outputs(smaller, noise[:1])[0]
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > least


def test_int8_throughout_is_near_and_is_the_same_bytes_each_time(reader, holder, stranger):
    content = models.published("face-embedder", must_be_accepted=False).content
    shown = [reader.nearest(pixels(frames[0])).aligned for frames in (holder, stranger)]
    inputs = [((one[..., ::-1].astype(np.float32) - 127.5) / 128).astype(np.float32) for one in shown]
    made = full_integer(content, inputs)
    assert made == full_integer(content, inputs)
    assert len(made) < 0.33 * len(content)
    net = Interpreter(model_content=made, num_threads=1)
    net.allocate_tensors()
    kinds = {d["dtype"] for d in net.get_tensor_details() if d["name"].startswith("MobileFaceNet/Conv2d")}
    assert np.float32 not in kinds
    for x in inputs:
        a, b = outputs(content, x[None])[0], outputs(made, x[None])[0]
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.9


def test_five_operators_made_one_keep_their_bits():
    """A PReLU as the published file writes it, on numbers of every size and sign, and zeros of both signs."""
    slopes = np.array([0.25, -3.7, 9.1], np.float32)
    x = np.random.default_rng(6).normal(0, 10, (1, 8, 8, 3)).astype(np.float32) ** 3
    x[0, 0, 0] = [0.0, -0.0, 1e-30]
    long = prelu_in_five(slopes, x.shape)
    short = whole_prelu(long)
    assert len(operators(long)) == 5
    assert operators(short) == ["PRELU"]
    assert (outputs(short, x) == outputs(long, x)).all()


@pytest.mark.parametrize("make", [one_picture, half_precision, eight_bit])
def test_what_is_no_model_is_one_sentence(make):
    with pytest.raises(ConversionError, match=r"expected a \.tflite file"):
        make(b"GIF89a" + bytes(64))


def test_their_rights_are_not_clear_and_a_real_site_must_accept_them():
    assert set(ENTRIES) == {"face-detector", "face-mesh", "face-embedder"}
    assert not any(entry.licence_clear for entry in ENTRIES.values())
