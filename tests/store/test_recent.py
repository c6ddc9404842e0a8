"""What was just committed is sent without the disk, and never anything that the disk would not give."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from journal_rig import closed, moody, small, until

from center.contract.catalogue import PortalClosed
from gateway.drivers.clock import SystemClock
from gateway.errors import StoreError
from gateway.ports import NewEntry
from gateway.store import database, healing
from gateway.store.capacity import JournalLimits
from gateway.store.journal import Journal
from gateway.store.journal_rows import row_of
from gateway.store.recent import Recent


def rows_of(*numbers: int) -> list:
    return [row_of(PortalClosed("lobby", number), 1_790_000_000_000, True, "holder", "plate") for number in numbers]


def numbers(events: list | None) -> list[int] | None:
    return None if events is None else [event.data.open_ms for event in events]


def test_all_of_it_or_nothing() -> None:
    recent = Recent(max_rows=4)
    recent.add("e", 1, rows_of(10, 20))
    recent.add("e", 3, rows_of(30))
    assert numbers(recent.events("e", 1, 3)) == [10, 20, 30]
    assert numbers(recent.events("e", 2, 2)) == [20]
    for first, last in ((0, 1), (3, 4), (4, 4), (3, 2), (1, 5)):
        assert recent.events("e", first, last) is None
    recent.add("e", 4, rows_of(40, 50))
    assert recent.events("e", 1, 2) is None, "the oldest went"
    assert numbers(recent.events("e", 2, 5)) == [20, 30, 40, 50]


def test_another_epoch_has_other_events() -> None:
    recent = Recent()
    recent.add("e", 1, rows_of(10, 20))
    assert recent.events("f", 1, 1) is None
    recent.add("f", 1, rows_of(30))
    assert numbers(recent.events("f", 1, 1)) == [30]
    assert recent.events("e", 1, 1) is None
    assert recent.events("f", 2, 2) is None, "a number of the other epoch"


async def test_a_row_that_was_removed_is_gone_at_once(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    clock = SystemClock("Asia/Shanghai", 0)
    journal = Journal(database.open_for_writing(file), clock, file, limits=JournalLimits(rows_max=20))
    for number in range(60):
        await journal.record([NewEntry(PortalClosed("lobby", number))])
    sent = await journal.read(1, journal.last_seq, 100)
    on_disk = await journal._disk.ask(lambda: journal._rows.read(1, journal.last_seq, 100))
    assert [event.seq for event in sent] == [event.seq for event in on_disk]
    assert 0 < len(sent) <= 20
    await journal.close()


async def test_what_was_not_committed_is_not_offered(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    connection = database.open_for_writing(file)
    journal = Journal(connection, SystemClock("Asia/Shanghai", 0), file)
    await journal.record([NewEntry(PortalClosed("lobby", 1))])
    connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError):
        await journal.record([NewEntry(PortalClosed("lobby", 2))])
    assert [event.data.open_ms for event in await journal.read(1, 10, 10)] == [1]
    await journal.close()


async def test_a_row_that_went_when_the_disk_healed_is_gone_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healing, "PROBE_MIN_S", 0.02)
    journal, disk = moody(tmp_path / "j.sqlite", limits=JournalLimits(rows_max=20))
    for number in range(20):
        await journal.record([closed(number)])
    disk.refuses = sqlite3.SQLITE_FULL
    for number in range(8):
        await journal.record([closed(number)], late_ok=True)
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    on_disk = await journal._disk.ask(lambda: journal._rows.read(1, 20, 100))
    assert [event.seq for event in await journal.read(1, 20, 100)] == [event.seq for event in on_disk]
    assert len(on_disk) < 20
    await journal.close()


async def test_a_row_that_went_for_a_report_of_loss_is_gone_at_once(tmp_path: Path) -> None:
    """What is committed while the report waits for its turn may go with it."""
    file = tmp_path / "j.sqlite"
    journal = small(file, 20)
    for number in range(18):
        await journal.record([closed(number)])
    await asyncio.gather(
        journal.record([closed(18)]), journal.record([closed(19)]), journal.report_lost(((1, 1),), "damaged")
    )
    last = journal.last_seq
    on_disk = await journal._disk.ask(lambda: journal._rows.read(1, last, 100))
    kept = [event.seq for event in on_disk]
    for seq in range(1, last + 1):
        assert [event.seq for event in await journal.read(seq, seq, 1)] == ([seq] if seq in kept else [])
    await journal.close()
