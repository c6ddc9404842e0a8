"""Write this release's frames under tests/contract/frames/<release>/: once per release, then never changed.

python tests/contract/write_frames.py 0.2.0
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from center.contract.catalogue import CATALOGUE
from center.contract.examples import EPOCH, example_event
from center.contract.frame import FrameEncoder

FOLDER = Path(__file__).parent / "frames"


def write(folder: Path) -> None:
    """Every example in a batch of each codec, and each by itself; `expected.json` says what they hold."""
    folder.mkdir()
    events = [example_event(kind, 1042 + i) for i, kind in enumerate(CATALOGUE)]
    (folder / "rows.frame").write_bytes(FrameEncoder(oldest=True).encode(EPOCH, events, True))
    (folder / "columns.frame").write_bytes(FrameEncoder().encode(EPOCH, events, True))
    for event in events:
        name = CATALOGUE[type(event.data)].type.removeprefix("zhian.")
        (folder / f"live.{name}.frame").write_bytes(FrameEncoder().encode(EPOCH, [event], True))
    (folder / "expected.json").write_bytes(msgspec.json.format(msgspec.json.encode(events), indent=1) + b"\n")


if __name__ == "__main__":
    write(FOLDER / sys.argv[1])
