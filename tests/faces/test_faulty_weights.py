"""A face model's file that is not the measured one: one sentence that says which and what to run; never a guess."""

import shutil
from dataclasses import replace

import pytest

from gateway.errors import VisionError
from gateway.vision import models
from gateway.vision.faces.reader import DETECTOR, EMBEDDER, MESH
from gateway.vision.faces.site import Asked, open_faces

FILES = {name: f"{name}.tflite" for name in (DETECTOR, MESH, EMBEDDER)}


@pytest.fixture
def folder(reader, tmp_path, monkeypatch):
    """A copy of the fetched models, accepted here."""
    there = models.published_folder()
    for file in FILES.values():
        shutil.copy(there / file, tmp_path / file)
    monkeypatch.setenv("ZHIAN_MODELS", str(tmp_path))
    for entry in models.entries(models.PUBLISHED):
        if entry.name in FILES:
            models.accept(entry, tmp_path)
    return tmp_path


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def another(path):
    shutil.copy(path.parent / FILES[DETECTOR if path.name != FILES[DETECTOR] else MESH], path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("spoil", [damaged, another, lambda path: path.unlink()], ids=["damaged", "another", "missing"])
def test_a_real_site_refuses_it_and_a_simulated_one_has_no_faces(folder, name, spoil):
    path = folder / FILES[name]
    spoil(path)
    asked = Asked(own=None, fpir=0.02, fmr=0.02, agreeing_frames=3, threads=1, is_real_site=True)
    with pytest.raises(VisionError, match=f"model {name}: .*run zhian models fetch") as e:
        open_faces(asked, lambda: 0)
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)
    assert open_faces(replace(asked, is_real_site=False), lambda: 0) is None
