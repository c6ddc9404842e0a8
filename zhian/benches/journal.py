"""The journal against a plain log: the same bytes appended and fdatasync'ed, one by one and in groups of 50.

The disk of one and the same machine varies fivefold within minutes, so both take turns in short slices, and only the
sums over all slices are compared: what drifts, drifts for both.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import zlib
from pathlib import Path

import msgspec

from center.contract import catalogue
from gateway.drivers.clock import SystemClock
from gateway.ports import NewEntry
from gateway.store import database
from gateway.store.journal import Journal
from zhian.benches import Figure, absolute, against

SLICES = 20
SLICE = 100  # commits, of one event or of GROUP
GROUP = 50
ENTRY = NewEntry(catalogue.AccessGranted("lobby", "lobby-reader", "card", "permitted", "a" * 16), holder="holder-1")
ROW_BYTES = len(msgspec.msgpack.encode(ENTRY.data)) + 40  # data and the row's other columns


def run() -> list[Figure]:
    """Events per second, durable when reported."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-", dir=Path.cwd()) as folder:
        place = Path(folder)
        one, log_one = asyncio.run(_in_turns(place, 1))
        group, log_group = asyncio.run(_in_turns(place, GROUP))
        kept = asyncio.run(_same_millisecond(place / "same.sqlite"))
    return [
        against("journal, one commit an event", one, "events/s", log_one, 0.7, "higher"),
        against("journal, groups of 50, encoding included", group, "events/s", log_group, 0.25, "higher"),
        absolute("journal, kept of 1000 of one device in one ms", kept, "events", 1000, "higher"),
    ]


async def _in_turns(place: Path, group: int) -> tuple[float, float]:
    """Events per second of (journal, log), `group` of them a commit."""
    file = place / f"{group}.sqlite"
    journal = Journal(database.open_for_writing(file), SystemClock("Asia/Shanghai", 0), file)
    log = os.open(place / f"log{group}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    journal_s = log_s = 0.0
    for _ in range(SLICES):
        log_s += _log(log, group)
        journal_s += await _journal(journal, group)
    os.close(log)
    await journal.close()
    events = SLICES * SLICE * group
    return events / journal_s, events / log_s


def _log(handle: int, group: int) -> float:
    body = os.urandom(ROW_BYTES)
    began = time.perf_counter()
    for _ in range(SLICE):
        record = b"".join(zlib.crc32(body).to_bytes(4, "big") + body for _ in range(group))
        os.write(handle, record)
        os.fdatasync(handle)
    return time.perf_counter() - began


async def _journal(journal: Journal, group: int) -> float:
    entries = [ENTRY] * group
    began = time.perf_counter()
    for _ in range(SLICE):
        await journal.record(entries)
    return time.perf_counter() - began


class _OneMillisecond(SystemClock):
    """Time stands still, so that all events of the one device have the same millisecond."""

    def now_ms(self) -> int:
        return 1_790_000_000_000


async def _same_millisecond(path: Path) -> int:
    journal = Journal(database.open_for_writing(path), _OneMillisecond("Asia/Shanghai", 0), path)
    for _ in range(100):
        await journal.record([ENTRY] * 10)
    events = await journal.read(1, journal.last_seq, 2_000)
    await journal.close()
    return len({event.seq for event in events if event.time_ms == 1_790_000_000_000})
