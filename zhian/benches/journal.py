"""The journal against a plain log: the same bytes appended and fdatasync'ed, one by one and in groups of 50."""

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

EVENTS = 2_000
GROUP = 50
ENTRY = NewEntry(catalogue.AccessGranted("lobby", "lobby-reader", "card", "permitted", "a" * 16), holder="holder-1")
ROW_BYTES = len(msgspec.msgpack.encode(ENTRY.data)) + 40  # data and the row's other columns


def run() -> list[Figure]:
    """Events per second, durable when reported."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-", dir=Path.cwd()) as folder:
        place = Path(folder)
        log_one, log_group = _log(place / "log1", 1), _log(place / "log50", GROUP)
        one = asyncio.run(_journal(place / "one.sqlite", 1))
        group = asyncio.run(_journal(place / "group.sqlite", GROUP))
        kept = asyncio.run(_same_millisecond(place / "same.sqlite"))
    return [
        against("journal, one commit an event", one, "events/s", log_one, 0.7, "higher"),
        against("journal, groups of 50, encoding included", group, "events/s", log_group, 0.25, "higher"),
        absolute("journal, kept of 1000 of one device in one ms", kept, "events", 1000, "higher"),
    ]


def _log(path: Path, group: int) -> float:
    body = os.urandom(ROW_BYTES)
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for _ in range(EVENTS // group):
        record = b"".join(zlib.crc32(body).to_bytes(4, "big") + body for _ in range(group))
        os.write(handle, record)
        os.fdatasync(handle)
    took = time.perf_counter() - began
    os.close(handle)
    return EVENTS / took


async def _journal(path: Path, group: int) -> float:
    journal = Journal(database.open_for_writing(path), SystemClock("Asia/Shanghai", 0), path)
    entries = [ENTRY] * group
    began = time.perf_counter()
    for _ in range(EVENTS // group):
        await journal.record(entries)
    took = time.perf_counter() - began
    await journal.close()
    return EVENTS / took


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
