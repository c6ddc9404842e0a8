"""The dictionary is what its seeded script makes from invented traffic, and it earns its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from center.contract.catalogue import AccessGranted, Event
from center.contract.dictionaries import NEWEST
from center.contract.frame import FrameEncoder, encode_frame

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINED_WITH = (1, 5, 7)  # zstd of the release that made dictionary 1


@pytest.mark.skipif(zstandard.ZSTD_VERSION != TRAINED_WITH, reason="another zstd trains another dictionary")
def test_the_script_makes_the_same_bytes_again() -> None:
    command = [sys.executable, "-m", "training.event_dictionary", "--number", "1"]
    made = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert made == (REPOSITORY / "center" / "contract" / "dictionary_1.py").read_text()


def test_it_is_used_and_makes_a_common_event_small() -> None:
    data = AccessGranted("some-other-door", "some-other-door-reader", "card", "permitted", "a2b3c4d5e6f7g2h3")
    event = Event(31_234, 1_790_000_000_000, True, data)
    frame = encode_frame("00112233445566aa", [event], False)
    assert frame[1] == NEWEST
    assert len(frame) < 0.75 * len(FrameEncoder(oldest=True).encode("00112233445566aa", [event], False))
