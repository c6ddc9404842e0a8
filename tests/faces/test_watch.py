"""One camera: a holder gives one line, anybody else gives nothing at all and leaves nothing behind."""

import base64
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from conftest import TIMES_MS, pixels

from gateway.errors import VisionError
from gateway.vision.camera_folder import RawFrame
from gateway.vision.faces.encounter import ATTACK_AFTER_MS
from gateway.vision.faces.presentation import Verdict
from gateway.vision.faces.report import FaceAttack, FaceSeen
from gateway.vision.faces.threshold import Row, Thresholds
from gateway.vision.faces.watch import Enrolled, FaceWatch
from training.face_evidence import upper

GENUINE = Verdict(True, (), {})
SHA = "0" * 64
ROWS = tuple(Row(size, 0.02, 0.6, 200, 0, upper(0, 200), 0.1) for size in (1, 5))
TABLE = Thresholds(SHA, "made up", 0.95, ROWS)


_WHOLE = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
WITHOUT_PIXELS = _WHOLE[: _WHOLE.find(b"\xff\xda")] + b"\xff\xd9"  # head and end of a JPEG, nothing between


class Lobby:
    """The name of a camera; frames are handed in by the tests."""

    name = "lobby"


def gallery_line(*references, version=1, **more) -> bytes:
    rows = [
        {"holder": h, "cameras": ["lobby"], "reference": base64.b64encode(v.astype("<f4").tobytes()).decode()}
        for h, v in references
    ]
    return json.dumps({"kind": "gallery", "version": version, "references": rows} | more).encode() + b"\n"


def probe_of(reader, frames):
    picture = pixels(frames[0])
    return reader.embed(picture, reader.nearest(picture).face)


@pytest.fixture
def enrolled():
    return Enrolled(TABLE, 0.02, 0.02, 192, SHA, lambda: 1000)


@pytest.fixture
def watch(reader, enrolled):
    with ThreadPoolExecutor(1) as inference:
        yield FaceWatch(Lobby, reader, enrolled, lambda looks: GENUINE, lambda told: None, inference)


def jpeg(frame) -> bytes:
    return cv2.imencode(".jpg", pixels(frame), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def play(watch, frames, start_ms=1000):
    """Every frame's line that is not None."""
    told = [watch.frame(RawFrame("f.jpg", jpeg(f), start_ms + f.at_ms)) for f in frames]
    return [one for one in told if one is not None]


def test_a_holder_gives_one_line(reader, watch, enrolled, holder):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder)), version=7))
    told = play(watch, holder) + play(watch, holder, 1600)
    assert [(t.camera, t.holder, t.claimed, t.bona_fide, t.model) for t in told] == [
        ("lobby", "h1", False, True, "face-embedder")
    ]
    assert told[0].similarity > 0.9
    assert told[0].model_sha256 == reader.embedder.sha256
    line = json.loads(json.dumps(told[0].line()))
    assert set(line) >= {"kind", "camera", "holder", "similarity", "margin", "bona_fide", "pad_reasons", "observed_ms"}


def test_a_stranger_gives_nothing(reader, watch, enrolled, holder, stranger):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    assert play(watch, stranger) == []


def test_a_picture_of_a_holder_is_an_attack_on_the_portal_and_names_nobody(reader, enrolled, holder):
    suspected = Verdict(False, ("flat",), {}, (), "flat")
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    with ThreadPoolExecutor(1) as inference:
        watch = FaceWatch(Lobby, reader, enrolled, lambda looks: suspected, lambda told: None, inference)
        told = [t for start in range(0, ATTACK_AFTER_MS + 1101, 1000) for t in play(watch, holder[:3], 1000 + start)]
    assert told == [FaceAttack("lobby", "flat", told[0].observed_ms)]
    assert "h1" not in json.dumps(told[0].line())


def test_a_card_makes_it_one_comparison(reader, watch, enrolled, holder):
    six = [(f"h{n}", np.eye(192, dtype=np.float32)[n]) for n in range(6)]  # more than the table supports
    enrolled.hear(gallery_line(*six, ("owner", probe_of(reader, holder))))
    assert enrolled.at("lobby").alone is None
    assert not enrolled.asks("lobby")  # nobody looks at all
    enrolled.hear(json.dumps({"kind": "claim", "camera": "lobby", "holder": "owner", "until_ms": 5000}).encode())
    assert enrolled.asks("lobby")
    assert not enrolled.asks("garage")
    told = play(watch, holder)
    assert [(t.holder, t.claimed) for t in told] == [("owner", True)]


def test_another_persons_card_does_not_fit(reader, watch, enrolled, holder):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder)), ("h2", np.eye(192, dtype=np.float32)[0])))
    enrolled.hear(json.dumps({"kind": "claim", "camera": "lobby", "holder": "h2", "until_ms": 5000}).encode())
    assert play(watch, holder) == []


def test_a_claim_ends(enrolled, reader, holder):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    enrolled.hear(json.dumps({"kind": "claim", "camera": "lobby", "holder": "h1", "until_ms": 999}).encode())
    assert enrolled.claimed("lobby") is None


def test_a_reference_counts_only_at_the_cameras_that_it_names(reader, enrolled, holder):
    probe = probe_of(reader, holder)
    enrolled.hear(gallery_line(("h1", probe)))
    assert enrolled.candidate("lobby", probe)[0].holder == "h1"
    assert enrolled.candidate("garage", probe) == (None, False)
    enrolled.hear(json.dumps({"kind": "claim", "camera": "garage", "holder": "h1", "until_ms": 5000}).encode())
    assert enrolled.candidate("garage", probe) == (None, True)
    assert not enrolled.asks("garage")
    nowhere = gallery_line(("h1", probe), version=2).replace(b'["lobby"]', b"[]")
    enrolled.hear(nowhere)
    assert not enrolled.asks("lobby")


def test_whoever_was_told_of_and_then_shows_a_card_is_told_of_again(reader, watch, enrolled, holder):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    assert [t.claimed for t in play(watch, holder) + play(watch, holder, 1600)] == [False]
    enrolled.hear(json.dumps({"kind": "claim", "camera": "lobby", "holder": "h1", "until_ms": 5000}).encode())
    assert [t.claimed for t in play(watch, holder, 2200)] == [True]


def test_without_a_gallery_nobody_looks(enrolled):
    assert not enrolled.asks("lobby")


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"not json\n",
        b'{"kind":"gallery","version":2,"references":[{"holder":"a","cameras":["lobby"],"reference":"AAAA"}]}\n',
        gallery_line(("a", np.ones(128, np.float32)), version=2),
        gallery_line(("a", np.zeros(192, np.float32)), version=2),
        gallery_line(("a", np.ones(192, np.float32)), version=2, model_sha256="1" * 64),
    ],
)
def test_a_bad_line_changes_nothing(enrolled, line):
    enrolled.hear(gallery_line(("kept", np.ones(192, np.float32))))
    enrolled.hear(line)
    assert (enrolled.at("lobby").gallery.holders, enrolled.version) == (("kept",), 1)


def test_an_empty_gallery_ends_recognition_and_overwrites_the_old_one(enrolled):
    enrolled.hear(gallery_line(("h1", np.ones(192, np.float32))))
    old = enrolled.at("lobby").gallery.vectors
    enrolled.hear(gallery_line(version=2))
    assert not old.any()
    assert not enrolled.asks("lobby")


def test_two_people_at_once_are_nobody(reader, watch, enrolled, holder):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    for number, frame in enumerate(holder):
        both = cv2.imencode(".jpg", np.hstack([pixels(frame), pixels(frame)]))[1].tobytes()
        assert watch.frame(RawFrame("two.jpg", both, 1000 + 100 * number)) is None


def before_a_window(picture):
    bright = np.full((600, 600, 3), 250, np.uint8)
    bright[120:480, 120:480] = (picture * 0.55).astype(np.uint8)
    return bright


@pytest.mark.parametrize(
    "spoil",
    [before_a_window, lambda p: (p * 0.3).astype(np.uint8), lambda p: cv2.GaussianBlur(p, (0, 0), 6), np.zeros_like],
    ids=["back-lit", "dark", "blurred", "nobody"],
)
def test_frames_in_which_nobody_can_be_compared_vote_for_nothing(reader, watch, enrolled, holder, spoil, monkeypatch):
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    monkeypatch.setattr(type(reader), "embed_seen", lambda *_: pytest.fail("such a face was compared"))
    for number, frame in enumerate(holder):
        data = cv2.imencode(".jpg", spoil(pixels(frame)))[1].tobytes()
        assert watch.frame(RawFrame("f.jpg", data, 1000 + 100 * number)) is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xd8\xff\xe0 damaged", "cut short"),
        (WITHOUT_PIXELS, "damaged"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(64), "expected a JPEG, PNG or BMP picture, got a video"),
        (b"", "got an empty file"),
        (
            cv2.imencode(".png", np.zeros((5000, 8000), np.uint8))[1].tobytes(),
            "8000 x 5000 pixels, expected at most 25",
        ),
    ],
)
def test_what_is_no_picture_is_one_sentence(watch, data, says):
    with pytest.raises(VisionError, match=says):
        watch.frame(RawFrame("bad.jpg", data, 1000))


def test_nothing_is_written_while_faces_are_looked_at(reader, watch, enrolled, holder, stranger):
    """Every file that Python opens for writing, and every file of this process that grows, while frames pass."""
    enrolled.hear(gallery_line(("h1", probe_of(reader, holder))))
    written, watching = [], True

    def audit(event, arguments):
        if watching and event == "open" and (set(str(arguments[1])) & set("wax+") or arguments[2] & os.O_WRONLY):
            written.append(arguments[0])

    sys.addaudithook(audit)
    before = _written_bytes()
    play(watch, stranger)
    play(watch, holder, 5000)
    watching = False
    assert written == []
    assert _written_bytes() - before < 2000  # log lines; a picture or a template is more


def _written_bytes() -> int:
    with open("/proc/self/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("wchar"))


def test_the_pixels_handed_to_a_frame_are_overwritten(reader, watch, enrolled, stranger, monkeypatch):
    import gateway.vision.faces.watch as module

    enrolled.hear(gallery_line(("h1", np.ones(192, np.float32))))
    kept = []
    monkeypatch.setattr(module, "decode", lambda *_, **__: kept.append(pixels(stranger[0])) or kept[-1])
    probes = []
    embed = type(reader).embed_seen
    monkeypatch.setattr(type(reader), "embed_seen", lambda *a: probes.append(embed(*a)) or probes[-1])
    assert watch.frame(RawFrame("f.jpg", b"", 1000)) is None
    assert not kept[0].any()
    assert len(probes) == 1
    assert not probes[0].any()


def test_lines_name_what_was_used(holder):
    seen = FaceSeen("lobby", "h", 0.71239, 0.2, False, True, ("solid",), 5, "m", SHA)
    assert seen.line()["similarity"] == 0.7124
    assert seen.line()["pad_reasons"] == ["solid"]
    assert len(TIMES_MS) >= 3
