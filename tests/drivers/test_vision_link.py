"""What the vision process may say to core, and what its coming and going means."""

from __future__ import annotations

import asyncio
import contextlib
import json

import msgspec
import pytest

from gateway.drivers.vision_link import Gallery, VisionLink
from gateway.model import FaceAsk, FaceAskOver

PLATE = {
    "kind": "plate",
    "camera": "gate",
    "text": "京A12345",
    "plate_kind": "blue",
    "score": 0.9,
    "observed_ms": 1,
    "model": "plate-reader",
    "model_sha256": "ab" * 32,
}


async def said(*lines: bytes):
    plates, presence = [], []
    reader = asyncio.StreamReader()
    for line in lines:
        reader.feed_data(line + b"\n")
    reader.feed_eof()
    try:
        await VisionLink(plates.append, presence.append).serve(reader, None)
    except asyncio.IncompleteReadError:
        pass
    finally:
        assert presence == [True, False]
    return plates


def line(**changes) -> bytes:
    return json.dumps(PLATE | changes, ensure_ascii=False).encode()


async def test_a_plate_is_handed_on():
    (plate,) = await said(b'{"kind":"hello","model":"m","sha256":"s"}', b'{"kind":"beat"}', line())
    assert (plate.camera, plate.text, plate.score) == ("gate", "京A12345", 0.9)


@pytest.mark.parametrize(
    "wrong", [line(score=1.5), line(camera="a/b"), line(text="x" * 99), line(model_sha256="zz"), b"{}", b"\xff", b"[]"]
)
async def test_anything_else_ends_the_connection(wrong):
    with pytest.raises(msgspec.MsgspecError):
        await said(wrong)


ASK = {
    "kind": "ask",
    "camera": "lobby",
    "ask": "ab" * 8,
    "steps": ["turn_left", "nod"],
    "step_ms": 2000,
    "slots": [True, False],
    "slot_ms": 500,
    "observed_ms": 5,
}
OVER = {"kind": "ask_over", "camera": "lobby", "ask": "ab" * 8, "done": False, "gone": True}


class Writer:
    """Keeps the lines that go to a vision process."""

    transport = None

    def __init__(self) -> None:
        self.transport, self.lines = self, []

    def write(self, line: bytes) -> None:
        self.lines.append(json.loads(line))

    async def drain(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


async def asked(*messages: dict):
    """What core hears, and what it answered after the first line."""
    reader, writer, heard = asyncio.StreamReader(), Writer(), []
    link = VisionLink(lambda plate: None, lambda came: None, gallery=nobody, ask=heard.append, ask_over=heard.append)
    link.alone(("lobby",))
    for message in ({"kind": "hello", "face_sha256": "ab" * 32}, *messages):
        reader.feed_data(json.dumps(message).encode() + b"\n")
    serving = asyncio.create_task(link.serve(reader, writer))
    while len(heard) < len(messages) and not serving.done():
        await asyncio.sleep(0.001)
    link.shown("lobby", "ab" * 8, True)
    reader.feed_eof()
    with contextlib.suppress(asyncio.IncompleteReadError):
        await serving
    return heard, writer.lines


async def nobody(model: str) -> Gallery:
    return Gallery(1, ())


async def test_what_is_to_be_asked_is_handed_on_and_answered():
    heard, lines = await asked(ASK, OVER)
    assert heard == [
        FaceAsk("lobby", "ab" * 8, ("turn_left", "nod"), 2000, (True, False), 500, 5),
        FaceAskOver("lobby", "ab" * 8, False, True),
    ]
    assert [line["kind"] for line in lines] == ["alone", "gallery", "shown"]
    assert lines[0]["cameras"] == ["lobby"]
    assert (lines[2]["ask"], lines[2]["shown"]) == ("ab" * 8, True)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": ["jump"]}, {"steps": ["nod"] * 6}, {"step_ms": 10}, {"slots": [True] * 65}, {"ask": "lin-lan"}],
)
async def test_an_ask_that_cannot_be_is_refused(wrong):
    with pytest.raises(msgspec.MsgspecError):
        await asked(ASK | wrong)
