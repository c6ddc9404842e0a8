"""An operator's own embedding model: a wrong file, shape or number is one finding; `zhian models check` says which."""

import hashlib
import json
import os
import subprocess
import sys

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from conftest import pixels

from gateway.errors import VisionError
from gateway.vision import models
from gateway.vision.faces import own_model, threshold
from gateway.vision.faces.reader import EMBEDDER, load
from runtime.errors import ConfigError

TOML = """
name = "mine"
file = "{file}"
sha256 = "{sha}"
licence = "bought"
input = {input}
length = {length}
"""


@pytest.fixture
def content(reader):
    return models.published(EMBEDDER, must_be_accepted=False).content


def written(folder, content, *, sha=None, shape="[1, 112, 112, 3]", length=192, more=""):
    (folder / "mine.tflite").write_bytes(content)
    told = {"file": "mine.tflite", "sha": sha or hashlib.sha256(content).hexdigest()}
    path = folder / "mine.toml"
    path.write_text(TOML.format(**told, input=shape, length=length) + more)
    return path


def findings(path):
    return {f.check: f for f in own_model.check(path)}


def test_a_good_one_is_loaded_and_computes_the_same(tmp_path, content, reader, holder):
    (tmp_path / "t.toml").write_bytes(threshold.SHIPPED.read_bytes())
    path = written(tmp_path, content, more='thresholds = "t.toml"\n')
    assert all(f.ok for f in own_model.check(path))
    assert own_model.own_thresholds(path).row
    own = load(own=path, must_be_accepted=False)
    picture = pixels(holder[0])
    face = own.nearest(picture).face
    assert (own.embed(picture, face) == reader.embed(picture, face)).all()
    assert own.embedder.name == "mine"


def test_other_bytes_are_refused_before_they_are_loaded(tmp_path, content):
    path = written(tmp_path, content, sha="0" * 64)
    assert list(findings(path)) == ["file"]
    with pytest.raises(VisionError, match=r"mine.toml: file: expected sha256 0000000000000000"):
        own_model.load_own(path)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"shape": "[1, 160, 160, 3]"}, "input"),
        ({"shape": "[2, 112, 112, 3]"}, "input"),
        ({"length": 512}, "output"),
        ({"more": "scale = 1e-30\n"}, "differs"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, content, changes, check):
    path = written(tmp_path, content, **changes)
    bad = [f for f in own_model.check(path) if not f.ok and f.check != "thresholds"]
    assert [f.check for f in bad] == [check]
    assert bad[0].fix
    with pytest.raises(VisionError, match=f"mine.toml: {check}: expected"):
        own_model.load_own(path)


def test_what_is_no_model_is_refused(tmp_path):
    path = written(tmp_path, b"\x00\x00\x00\x00TFL3" + b"\xff" * 200)
    assert not findings(path)["loads"].ok
    with pytest.raises(VisionError, match=r"loads: expected a .tflite file that LiteRT takes"):
        own_model.load_own(path)


def test_a_detector_in_place_of_an_embedder_is_refused(tmp_path, reader):
    path = written(
        tmp_path, models.published("face-detector", must_be_accepted=False).content, shape="[1, 128, 128, 3]"
    )
    assert not findings(path)["output"].ok


def test_thresholds_of_another_model_do_not_count(tmp_path, content):
    (tmp_path / "t.toml").write_text(threshold.SHIPPED.read_text().replace('model_sha256 = "2', 'model_sha256 = "8'))
    path = written(tmp_path, content, more='thresholds = "t.toml"\n')
    assert not findings(path)["thresholds"].ok
    with pytest.raises(VisionError, match="measured with model 8"):
        own_model.own_thresholds(path)


def test_a_misspelt_key_is_one_sentence(tmp_path, content):
    with pytest.raises(ConfigError, match="men: this key is not known"):
        own_model.load_own(written(tmp_path, content, more="men = 1.0\n"))


def endless():
    """A model that passes the library's checks of its form and then ends the process: a branch that is itself."""
    kinds = {"choose": ([1], schema.TensorType.BOOL, 1), "in": ([1, 112, 112, 3], 0, 0), "out": ([1, 192], 0, 0)}
    tensors = [
        schema.TensorT(name=name.encode(), shape=np.array(shape, np.int32), type=kind, buffer=buffer, hasRank=True)
        for name, (shape, kind, buffer) in kinds.items()
    ]
    branch = schema.OperatorT(
        opcodeIndex=0,
        inputs=[0, 1],
        outputs=[2],
        builtinOptionsType=schema.BuiltinOptions.IfOptions,
        builtinOptions=schema.IfOptionsT(thenSubgraphIndex=0, elseSubgraphIndex=0),
    )
    number = schema.BuiltinOperator.IF
    model = schema.ModelT(
        version=3,
        operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=number, builtinCode=number, version=1)],
        subgraphs=[schema.SubGraphT(tensors=tensors, inputs=[1], outputs=[2], operators=[branch])],
        buffers=[schema.BufferT(), schema.BufferT(data=np.ones(1, np.uint8))],
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_a_model_that_crashes_its_process_is_one_finding(tmp_path):
    path = written(tmp_path, endless())
    command = [sys.executable, "-m", "zhian", "models", "check", str(path), "--json"]
    said = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert said.returncode == 1
    (row,) = json.loads(said.stdout)
    assert (row["check"], row["ok"], row["found"]) == ("loads", False, "the process that loaded it crashed")


def test_the_command_says_which_and_exits_1(tmp_path, content):
    path = written(tmp_path, content, sha="0" * 64)
    command = [sys.executable, "-m", "zhian", "models", "check", str(path), "--json"]
    said = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert said.returncode == 1
    (row,) = json.loads(said.stdout)
    assert (row["check"], row["ok"], row["fix"]) == ("file", False, "give the file that was measured")
