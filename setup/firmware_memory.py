"""How much heap a board's node takes, measured in the Unix build of MicroPython.

`python setup/firmware_memory.py FILE` writes the full cache of the load to FILE, for setup/firmware_load_32bit.mjs.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from firmware.wire.offline import CacheKeys
from gateway.access.attempts import AttemptLimits
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.node_cache import NodeSettings, build
from gateway.model import CredentialKind, PortalMode

HEAP_KB = 256  # of 64-bit words; a board has 192 kB of 32-bit words (setup/firmware_load_32bit.mjs)
LOAD = Path(__file__).with_name("firmware_load.py")
KEY = bytes(range(16))  # as in LOAD
CARDS = 1000  # more than a cache holds


@dataclass(frozen=True)
class MemoryFigures:
    """Bytes of heap in use after a collection: of the interpreter alone, with the node made, with a full cache of
    `credentials` in use, at most under load (with `records` in the journal). `enough_kb`: the smallest heap in which
    the same load passed."""

    empty: int
    started: int
    cached: int
    peak: int
    records: int
    credentials: int
    enough_kb: int


def measure(image: Path) -> MemoryFigures:
    """Raises subprocess.CalledProcessError where the node does not get through its load in HEAP_KB."""
    figures = _run(image, HEAP_KB)
    enough = HEAP_KB
    for smaller in range(HEAP_KB - 8, 15, -8):
        try:
            _run(image, smaller)
        except subprocess.CalledProcessError:
            break
        enough = smaller
    return MemoryFigures(**figures, credentials=full_cache()[0], enough_kb=enough)


@functools.cache
def full_cache() -> tuple[int, bytes]:
    """How many cards fit into a cache, and the cache."""
    policy = compile_policy(
        1,
        [Holder(f"h{n}", frozenset({"residents"}), {}) for n in range(CARDS)],
        [Credential(CredentialKind.CARD, f"26:{n}", f"h{n}") for n in range(CARDS)],
        [Rule("residents", frozenset({"lobby"}), ALWAYS)],
        [PortalPolicy("lobby", (frozenset({CredentialKind.CARD}),))],
    )
    settings = NodeSettings("lobby-node", "lobby", 5000, 15_000, 10_000, 7 * 86_400_000)
    now = datetime(2026, 11, 1, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
    built = build(policy, settings, CacheKeys(KEY), bytes(32), AttemptLimits(), now, PortalMode.LOCKED)
    return built.credentials, built.data


def _run(image: Path, heap_kb: int) -> dict[str, int]:
    micropython = Path(sys.executable).with_name("micropython")
    with tempfile.TemporaryDirectory() as files:
        cache = Path(files, "to-send")
        cache.write_bytes(full_cache()[1])
        done = subprocess.run(
            [str(micropython), "-X", f"heapsize={heap_kb}k", str(LOAD), str(image.resolve()), str(cache), files],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(full_cache()[1])
