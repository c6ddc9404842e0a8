"""Bytes that were made to cost the receiver's processor: checksums stay in proportion to what arrives."""

from __future__ import annotations

import pytest

from firmware.wire import codes, frame
from firmware.wire.frame import FrameParser

HOSTILE = b"\x53\x01\x00\x01\x04" * 1000  # each start claims 256 bytes and has another start inside


@pytest.mark.parametrize("at_once", [1, 5, 64, 512])
def test_hostile_bytes_cost_no_more_than_a_few_sums_of_each(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    summed = 0
    real = frame.crc16

    def counted(data: bytes) -> int:
        nonlocal summed
        summed += len(data)
        return int(real(data))

    monkeypatch.setattr(frame, "crc16", counted)
    parser = FrameParser()
    for at in range(0, len(HOSTILE), at_once):
        assert parser.feed(HOSTILE[at : at + at_once]) == []
    assert summed < 2 * len(HOSTILE), summed


def test_after_hostile_bytes_and_a_pause_a_frame_is_found_at_once() -> None:
    parser = FrameParser()
    parser.feed(HOSTILE)
    parser.reset()  # what both ends do where the rest of a frame does not come in time
    good = frame.encode(5, 0, codes.ID, b"\0")
    assert [found.code for found in parser.feed(good)] == [codes.ID]
