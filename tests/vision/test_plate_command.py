"""`zhian plate read` and `zhian models` as a person or a script calls them."""

import json
import subprocess
import sys

import cv2
import pytest

from gateway.vision import models
from sim.render.plate import PlateKind, draw_plate
from sim.render.scene import approach, empty_scene


def zhian(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "zhian", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("停车场 图片")
    frame = list(approach("京A12345", PlateKind.BLUE, seed=21, frames=3))[-1]
    for name, picture in (("车.jpg", frame.image), ("empty.png", empty_scene(seed=1))):
        (made / name).write_bytes(cv2.imencode(name[-4:], picture)[1].tobytes())
    (made / "notes.txt").write_text("no picture")
    return made, frame


def test_a_folder_is_read_with_boxes(folder):
    made, frame = folder
    done = zhian("plate", "read", made, "--json")
    assert done.returncode == 0, done.stderr
    empty, car = (json.loads(line) for line in done.stdout.splitlines())
    assert empty == {"file": str(made / "empty.png"), "plates": []}
    (plate,) = car["plates"]
    assert (plate["text"], plate["kind"]) == ("京A12345", "blue")
    assert 0 < plate["score"] <= 1
    low, high = frame.corners.min(axis=0), frame.corners.max(axis=0)
    for got, want in zip(plate["box"], [*low, *(high - low)], strict=True):
        assert abs(got - want) < 25


def test_bad_pictures_are_one_sentence_each_and_the_others_are_done(folder, tmp_path):
    made, _ = folder
    (tmp_path / "坏.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    done = zhian(
        "plate", "read", tmp_path / "坏.jpg", tmp_path / "missing.jpg", made / "notes.txt", made / "车.jpg", "--json"
    )
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["plates"][0]["text"] == "京A12345"
    errors = [e for e in done.stderr.splitlines() if e.startswith("zhian: ")]
    assert len(errors) == 3
    for error, name in zip(errors, ("坏.jpg", "missing.jpg", "notes.txt"), strict=True):
        assert name in error
    assert "Traceback" not in done.stderr


def test_cropped_and_words(tmp_path):
    plate = cv2.resize(draw_plate("粤BD12345", PlateKind.GREEN), (150, 44), interpolation=cv2.INTER_AREA)
    path = tmp_path / "plate.png"
    path.write_bytes(cv2.imencode(".png", plate)[1].tobytes())
    done = zhian("plate", "read", "--cropped", path)
    assert done.returncode == 0
    assert "粤BD12345 (green, score" in done.stdout


def test_a_reader_that_is_not_here_or_damaged_is_one_sentence(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ZHIAN_MODELS", str(tmp_path))
    asked = ("plate", "read", "--reader", "vote", folder[0] / "车.jpg")
    entry = next(one for one in models.entries(models.PUBLISHED) if one.name == "published-plate-detector")
    for words in ("cannot be read (No such file", "has sha256"):
        done = zhian(*asked)
        said = [line for line in done.stderr.splitlines() if line.startswith("zhian: ")]
        assert (done.returncode, done.stdout, len(said)) == (1, "", 1), done.stderr
        assert words in said[0]
        assert said[0].startswith("zhian: model published-plate-detector: ")
        assert said[0].endswith("run zhian models fetch")
        (tmp_path / entry.file).write_bytes(bytes(entry.bytes))


@pytest.mark.parametrize("word", ["list", "verify"])
def test_models(word):
    done = zhian("models", word, "--json")
    assert done.returncode == 0, done.stderr
    rows = {r["name"]: r for r in json.loads(done.stdout)}
    assert set(rows) >= {"plate-detector", "plate-reader"}
    keys = {"name", "purpose", "file", "sha256", "bytes", "licence", "licence_clear", "origin", "here", "accepted"}
    assert all(set(r) == keys for r in rows.values())
    ours = {name: r for name, r in rows.items() if name in ("plate-detector", "plate-reader")}
    assert all(r["here"] and r["licence_clear"] for r in ours.values())
    assert not any(r["licence_clear"] for name, r in rows.items() if name.startswith("published-"))
