"""`zhian face check --sequence`: pictures judged as at a door, in both languages, without recognising anybody."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from conftest import HOLDER, frames_of, pixels
from typer.testing import CliRunner

from runtime.errors import UserError
from zhian.face import app

RUNNER = CliRunner()
LOOKING_ROUND_MS = tuple(range(0, 2800, 200))


@pytest.fixture(scope="module")
def folder(reader, tmp_path_factory) -> Path:
    """Fourteen pictures of one drawn head, five a second."""
    made = tmp_path_factory.mktemp("sequence")
    for n, frame in enumerate(frames_of(HOLDER, LOOKING_ROUND_MS)):
        cv2.imwrite(str(made / f"{n:03d}.jpg"), pixels(frame), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return made


def test_a_living_head_is_a_face_and_nobody_is_named(folder):
    done = RUNNER.invoke(app, ["check", "--sequence", str(folder), "--json"])
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    *pictures, verdict = lines
    assert len(pictures) == len(LOOKING_ROUND_MS)
    assert [p["at_ms"] for p in pictures[:3]] == [0, 200, 400]
    assert pictures[0]["face"]["quality"]["problems"] == []
    assert (verdict["bona_fide"], verdict["attack"], verdict["looks"]) == (True, None, len(LOOKING_ROUND_MS))
    assert all(set(reason) == {"reason", "zh", "en"} for reason in verdict["reasons"])
    assert done.exit_code == 0
    assert "similarity" not in done.stdout


def test_a_film_of_one_picture_held_still_is_not_known_in_both_languages(folder, tmp_path):
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (360, 360))
    still = cv2.imread(str(folder / "000.jpg"))
    for _ in range(12):
        film.write(still)
    film.release()
    done = RUNNER.invoke(app, ["check", "--sequence", str(tmp_path / "film.avi")])
    assert done.exit_code == 1
    assert "not known 无法判断: too little was seen to tell" in done.stdout
    assert "请看着门并轻轻左右转头" in done.stdout


@pytest.mark.parametrize("nobody", [False, True])
def test_where_no_face_is_there_is_no_verdict(reader, tmp_path, nobody):
    for n in range(2 if nobody else 0):
        cv2.imwrite(str(tmp_path / f"{n}.jpg"), pixels(frames_of(HOLDER, (0, 200))[0]) * 0 + 90)
    done = RUNNER.invoke(app, ["check", "--sequence", str(tmp_path)])
    assert done.exit_code == 1
    assert ("没有看到人脸" in done.stdout) if nobody else "expected JPEG, PNG or BMP pictures" in str(done.exception)


@pytest.mark.parametrize("words", [["check"], ["check", "a.jpg", "--sequence", "b"]])
def test_pictures_or_a_sequence(words):
    done = RUNNER.invoke(app, words)
    assert isinstance(done.exception, UserError)
    assert "expected pictures or --sequence FILE|FOLDER" in str(done.exception)


def test_what_is_no_film_is_one_sentence(reader, tmp_path):
    (tmp_path / "words.mp4").write_text("not a film")
    done = RUNNER.invoke(app, ["check", "--sequence", str(tmp_path / "words.mp4")])
    assert "expected a film (MP4, MOV, MKV or AVI), got something else" in str(done.exception)
