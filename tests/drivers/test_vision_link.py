"""What the vision process may say to core, and what its coming and going means."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from gateway.drivers.vision_link import VisionLink

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
