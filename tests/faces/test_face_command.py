"""`zhian face check` on pictures that are no good: one answer each, in both languages, and the others are done."""

import json

import cv2
import numpy as np
from conftest import pixels
from typer.testing import CliRunner

from zhian.face import app


def test_every_bad_picture_has_one_answer_and_the_others_are_done(tmp_path, reader, holder):
    good = pixels(holder[0])
    pictures = {
        "1-good.png": good,
        "2-nobody.png": np.full_like(good, 120),
        "3-two.png": np.hstack([good, good]),
        "4-back-lit.png": cv2.copyMakeBorder((good * 0.55).astype(np.uint8), *[120] * 4, 0, value=[250] * 3),
        "5-forty-million.png": np.zeros((5000, 8000), np.uint8),
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "6-cut.jpg").write_bytes(cv2.imencode(".jpg", good)[1].tobytes()[:900])
    (tmp_path / "7-film.jpg").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(3000))
    answer = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert answer.exit_code == 1
    told = {line.split("/")[-1].split(":")[0]: line for line in answer.stdout.splitlines()}
    assert set(told) == {name for name in pictures if name[0] != "5"}
    for name, words in {
        "1-good.png": ("can be compared",),
        "2-nobody.png": ("No face is seen", "没有看到人脸"),
        "3-two.png": ("More than one face", "画面里不止一个人"),
        "4-back-lit.png": ("The light is behind you", "背后光线太强"),
    }.items():
        assert all(word in told[name] for word in words), told[name]
    refused = answer.stderr.splitlines()
    for line, words in zip(refused, ("8000 x 5000 pixels", "cut short", "got a video"), strict=True):
        assert words in line
    answer = CliRunner().invoke(app, ["check", str(tmp_path / "2-nobody.png"), "--json"])
    assert json.loads(answer.stdout)["faces"] == []
