"""Frames of every released version still decode, byte for byte as they were stored; new ones are not forgotten."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from center.contract.catalogue import Event
from center.contract.dictionaries import DICTIONARIES
from center.contract.examples import EPOCH
from center.contract.frame import CODEC_COLUMNS, CODEC_LIVE, CODEC_ROWS, FrameDecoder

FRAMES = Path(__file__).parent / "frames"
RELEASES = sorted(path for path in FRAMES.iterdir() if path.is_dir())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_stored_frames_still_decode(release: Path) -> None:
    decoder = FrameDecoder()
    expected = msgspec.json.decode((release / "expected.json").read_bytes(), type=list[Event])
    for name in ("rows", "columns"):
        frame = decoder.decode((release / f"{name}.frame").read_bytes())
        assert (frame.epoch, frame.simulated, list(frame.events)) == (EPOCH, True, expected)
    live = [decoder.decode(path.read_bytes()) for path in release.glob("live.*.frame")]
    assert sorted((one.events[0] for one in live), key=lambda event: event.seq) == expected


def test_the_fixtures_hold_every_codec_and_dictionary() -> None:
    heads = {path.read_bytes()[:2] for path in FRAMES.glob("*/*.frame")}
    assert {head[0] for head in heads} == {CODEC_ROWS, CODEC_COLUMNS, CODEC_LIVE}
    assert {head[1] for head in heads} == {0, *DICTIONARIES}


def test_this_release_has_fixtures() -> None:
    assert version("zhian") in [release.name for release in RELEASES], (
        "run tests/contract/write_frames.py with the new version once its catalogue is final"
    )
