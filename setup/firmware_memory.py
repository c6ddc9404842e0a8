"""How much heap a board's node takes, measured in the Unix build of MicroPython with the heap of a board."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HEAP_KB = 192
LOAD = Path(__file__).with_name("firmware_load.py")


@dataclass(frozen=True)
class MemoryFigures:
    """Bytes of heap in use after a collection. `enough_kb`: the smallest heap in which the same load passed."""

    empty: int
    started: int
    peak: int
    enough_kb: int


def measure(image: Path, file_bytes: int = 8192) -> MemoryFigures:
    """Raises subprocess.CalledProcessError where the node does not get through its load in HEAP_KB."""
    figures = _run(image, HEAP_KB, file_bytes)
    enough = HEAP_KB
    for smaller in range(HEAP_KB - 16, 15, -16):
        try:
            _run(image, smaller, file_bytes)
        except subprocess.CalledProcessError:
            break
        enough = smaller
    return MemoryFigures(**figures, enough_kb=enough)


def _run(image: Path, heap_kb: int, file_bytes: int) -> dict[str, int]:
    micropython = Path(sys.executable).with_name("micropython")
    with tempfile.TemporaryDirectory() as files:
        done = subprocess.run(
            [str(micropython), "-X", f"heapsize={heap_kb}k", str(LOAD), str(image.resolve()), str(file_bytes), files],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found
