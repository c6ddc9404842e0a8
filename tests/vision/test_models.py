"""The shipped weights are the listed ones, clear to use and small; a damaged file is refused before it is loaded."""

import shutil

import pytest

from gateway.errors import VisionError
from gateway.vision.grammar import DIGITS, FORM_OF, LETTERS, MARKS, PROVINCES
from gateway.vision.models import MANIFEST, WEIGHTS, Model, entries, read_checked, verified
from gateway.vision.reader import DETECTOR, READER, PlateReader
from gateway.vision.runtime import Net
from runtime.errors import ConfigError


def test_every_listed_model_is_verified_clear_and_small():
    listed = {e.name: e for e in entries()}
    assert set(listed) == {DETECTOR, READER}
    for entry in listed.values():
        assert len(read_checked(entry)) == entry.bytes <= 1_500_000
        assert entry.licence_clear
        assert entry.licence == "Apache-2.0"
    assert set(listed[READER].characters) == {*PROVINCES, *DIGITS, *LETTERS, *MARKS}
    assert set(listed[READER].kinds) == set(FORM_OF)


def test_nothing_else_lies_among_the_weights():
    assert {p.name for p in WEIGHTS.iterdir()} == {"models.toml", *(e.file for e in entries())}


@pytest.mark.parametrize("name", [DETECTOR, READER])
def test_tensors_are_those_of_the_manifest(name):
    model = verified(name)
    net = Net(model.content, name)
    assert net.input_shape == model.entry.input
    assert net.output_names == frozenset(model.entry.outputs)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    return tmp_path / "weights"


def test_one_flipped_bit_is_refused(copy):
    path = copy / f"{READER}.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(VisionError, match=r"model plate-reader: .*has sha256 .*, expected .*install the package again"):
        verified(READER, copy / MANIFEST.name)
    assert verified(DETECTOR, copy / MANIFEST.name)


def test_a_shortened_file_is_refused(copy):
    path = copy / f"{READER}.tflite"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(VisionError, match="has 1000 bytes, expected"):
        verified(READER, copy / MANIFEST.name)


def test_a_missing_file_is_refused(copy):
    (copy / f"{READER}.tflite").unlink()
    with pytest.raises(VisionError, match="cannot be read"):
        verified(READER, copy / MANIFEST.name)


def test_an_unlisted_model_is_refused():
    with pytest.raises(VisionError, match=r"model face: not in models\.toml; expected one of plate-det"):
        verified("face")


def test_a_manifest_cannot_name_a_file_elsewhere(copy):
    manifest = copy / MANIFEST.name
    manifest.write_text(manifest.read_text("utf-8").replace('"plate-reader.tflite"', '"../x.tflite"'), "utf-8")
    with pytest.raises(ConfigError, match="file"):
        entries(manifest)


def test_the_wrong_model_in_a_role_is_refused():
    detector, reader = verified(DETECTOR), verified(READER)
    with pytest.raises(VisionError, match="its tensors are not those of the manifest"):
        PlateReader(Model(detector.entry, reader.content), reader)


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(VisionError, match="the inference library refuses it"):
        Net(b"not a model at all" * 10, "x")
