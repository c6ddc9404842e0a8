"""`zhian plate read` and `zhian models` as a person or a script calls them."""

import json
import struct
import subprocess
import sys

import cv2
import pytest
from PIL import Image

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


def made_of(frame, folder):
    """Files of every sort, written to the folder: those refused with the end of their sentence, and those read."""
    image = Image.fromarray(frame.image[..., ::-1])
    other = Image.fromarray(frame.image[::-1, :, ::-1])
    turned = Image.Exif()
    turned[0x0112] = 6
    huge = bytearray(cv2.imencode(".png", frame.image)[1].tobytes())
    struct.pack_into(">II", huge, 16, 10_000, 10_001)
    whole = cv2.imencode(".png", frame.image)[1].tobytes()
    (folder / "text.jpg").write_text("no picture")
    (folder / "nothing.jpg").write_bytes(b"")
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "huge.png").write_bytes(huge)
    image.save(folder / "moving.png", save_all=True, append_images=[other])
    image.save(folder / "moving.gif", save_all=True, append_images=[other])
    image.convert("L").save(folder / "grey.jpg")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.rotate(90, expand=True).save(folder / "turned.jpg", exif=turned)
    refused = {
        "text.jpg": "got something else; convert it",
        "nothing.jpg": "got an empty file; convert it",
        "half.png": "is cut short after",
        "huge.png": "10000 x 10001 pixels, expected at most 25 million; save it smaller",
        "moving.png": "got an animated PNG; save one picture of it",
        "moving.gif": "got a GIF; convert it",
        "空的": "got one without; name the one they are in",
    }
    (folder / "空的").mkdir()
    return refused, ("grey.jpg", "cmyk.jpg", "turned.jpg")


def test_each_sort_of_bad_file_has_its_sentence_and_each_sort_of_good_one_is_read(folder, tmp_path):
    """Not a picture, empty, cut short, 100 megapixels, animated; and grey, CMYK, EXIF-rotated; Chinese folder names."""
    within = tmp_path / "小区 东门"
    within.mkdir()
    refused, read = made_of(folder[1], within)
    done = zhian("plate", "read", *(within / name for name in (*refused, *read)))
    said = [line for line in done.stderr.splitlines() if line.startswith("zhian: ")]
    assert (done.returncode, len(said)) == (1, len(refused)), done.stderr
    for line, (name, words) in zip(said, refused.items(), strict=True):
        assert line.startswith(f"zhian: {within / name}: ")
        assert line.endswith(words) or (words.endswith("after") and words in line)
    lines = done.stdout.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [f"{within / name}: 京A12345" for name in read]


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
