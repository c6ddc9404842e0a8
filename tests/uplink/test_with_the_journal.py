"""The uplink with the journal itself: a cap reached in an outage, a copy put back, no disk, a flood of alarms."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from event_path_rig import District, MemoryOutbox, SteadyClock, running, until, uplink

from center.contract.catalogue import Event, OutboxLost, PortalClosed, PortalForced, PortalOpened
from center.contract.ranges import Ranges
from gateway.ports import NewEntry
from gateway.store import opening
from gateway.store.capacity import JournalLimits
from gateway.store.early_alarms import EarlyAlarms
from gateway.store.journal import Journal
from gateway.store.journal_rows import encode

MEMORY = "0123456789abcdef"


@pytest.fixture
def district(tmp_path: Path) -> District:
    return District(tmp_path)


@contextlib.asynccontextmanager
async def journal_of(file: Path, rows_max: int = 200_000) -> AsyncIterator[Journal]:
    opened = opening.open_store(file)
    limits = JournalLimits(rows_max=rows_max)
    journal = Journal(opened.connection, SteadyClock(), file, limits=limits, trouble=opened.trouble)
    try:
        yield journal
    finally:
        await journal.close()


def closed(*numbers: int) -> list[NewEntry]:
    return [NewEntry(PortalClosed("lobby", number)) for number in numbers]


def numbers_at(district: District) -> list[int]:
    """The numbers that `closed` gave, as the center has them, ascending."""
    with contextlib.closing(sqlite3.connect(f"{district.database.as_uri()}?mode=ro", uri=True)) as center:
        found = center.execute(
            "SELECT json_extract(data, '$.open_ms') FROM event WHERE type = 'zhian.portal.closed'"
        ).fetchall()
    return sorted(number for (number,) in found)


class _StandingClock(SteadyClock):
    def now_ms(self) -> int:
        return 1_790_000_000_000


async def test_events_of_one_device_in_one_millisecond_are_all_kept(district: District) -> None:
    """Time tells nothing apart: not in the journal, not on the way (one by one and in batches), not at the center."""
    file = district.folder / "gateway.sqlite"
    journal = Journal(opening.open_store(file).connection, _StandingClock(), file)
    for _ in range(20):
        await journal.record([NewEntry(PortalOpened("lobby"))] * 2)  # waits for the center, and is sent in batches
    link = uplink(district, journal)  # type: ignore[arg-type]
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        await until(lambda: journal.acked_upto == 40, "the backlog is stored")
        for _ in range(20):
            await journal.record([NewEntry(PortalOpened("lobby"))])
            await journal.record([NewEntry(PortalOpened("lobby"))])
        await until(lambda: journal.acked_upto == 80, "stored")
    await journal.close()
    assert sorted(district.rows()) == [("gw-1", journal.epoch, seq) for seq in range(1, 81)]
    with contextlib.closing(sqlite3.connect(f"{district.database.as_uri()}?mode=ro", uri=True)) as center:
        assert center.execute("SELECT count(*), count(DISTINCT time_ms) FROM event").fetchone() == (80, 1)


@pytest.mark.timeout(120)
async def test_a_journal_that_overflowed_with_a_thousand_holes_is_sent_to_its_end(district: District) -> None:
    """In an outage the least severe goes first, from between the rest: far more single gaps than the center asks for,
    or has room for, at once."""
    async with journal_of(district.folder / "gateway.sqlite", rows_max=1600) as journal:
        for i in range(0, 3000, 100):
            facts = [PortalOpened("a") if n % 2 else PortalForced("b") for n in range(i, i + 100)]
            await journal.record([NewEntry(fact) for fact in facts])
        there = {event.seq for event in await journal.read(1, journal.last_seq, 10_000)}
        gone = Ranges()
        for seq in set(range(1, journal.last_seq + 1)) - there:
            gone.add(seq, seq)
        assert len(gone) > 1000
        async with district.process("broker", "run"), district.ingesting(), running(uplink(district, journal).run()):
            await until(lambda: journal.acked_upto == journal.last_seq, "everything is acknowledged", 90)
        here = {event.seq for event in await journal.read(1, journal.last_seq, 10_000)}
    stored = {seq for _, _, seq in district.rows()}
    assert stored >= here & there
    assert len(there - stored) < 400, "the reports themselves take the place of a few"
    counts = district.reading.counts()
    assert (counts.missing, counts.duplicated) == (0, 0)


async def test_what_is_made_after_a_copy_was_put_back_arrives(district: District) -> None:
    """Its numbers are the center's already: under the same epoch it would be taken for copies."""
    file, copy = district.folder / "gateway.sqlite", district.folder / "copy.sqlite"
    async with district.process("broker", "run"), district.ingesting():
        async with journal_of(file) as journal, running(uplink(district, journal).run()):
            await journal.record(closed(*range(1, 11)))
            await until(lambda: journal.acked_upto == 10, "the first part is acknowledged")
        shutil.copy(file, copy)
        async with journal_of(file) as journal, running(uplink(district, journal).run()):
            await journal.record(closed(*range(11, 31)))
            await until(lambda: journal.acked_upto == 30, "the second part is acknowledged")
        for again in (100, 200):  # one copy put back twice
            shutil.copy(copy, file)
            async with journal_of(file) as journal, running(uplink(district, journal).run()):
                epoch = journal.epoch
                await journal.record(closed(again + 1, again + 2))
                await until(lambda epoch=epoch, journal=journal: journal.epoch != epoch, "a new epoch began")
                await journal.record(closed(again + 3))
                await until(lambda journal=journal: journal.acked_upto == journal.last_seq, "all is acknowledged")
        await until(lambda: district.reading.counts().missing == 0, "nothing is missing")
    assert numbers_at(district) == [*range(1, 31), 101, 102, 103, 201, 202, 203]


async def test_alarms_of_a_gateway_without_any_disk_are_acknowledged(district: District) -> None:
    """Then the journal's epoch is the memory epoch itself."""
    blocked = district.folder / "no-folder"
    blocked.write_text("")
    async with (
        journal_of(blocked / "gateway.sqlite") as journal,
        district.process("broker", "run"),
        district.ingesting(),
        running(uplink(district, journal).run()),
    ):
        await journal.record([NewEntry(PortalForced("lobby"))], late_ok=True)
        await until(lambda: district.stored() == 2, "the alarms are stored, with that of the disk")
        await until(lambda: not journal.early(), "and acknowledged")
    assert district.stored() == 2


async def test_a_center_that_loses_its_store_twice_before_it_caught_up_gets_early_alarms_twice(
    district: District,
) -> None:
    """They have no number in the journal that it could ask for, or that could be reported lost."""
    file = district.folder / "gateway.sqlite"
    async with journal_of(file) as journal:
        await journal.record(closed(*range(1, 6)))
    with contextlib.closing(sqlite3.connect(file)) as disk:  # as a broken disk left it, that has healed
        row = (MEMORY, 1, 5, 1, "zhian.portal.forced", "lobby", encode(PortalForced("lobby")), 5, 1)
        names = "epoch, seq, time_ms, clock_certain, type, portal, data, severity, acked"
        disk.execute(f"INSERT INTO early ({names}, before_seq) VALUES ({'?, ' * 9}1)", row)
        disk.commit()
    async with (
        district.process("broker", "run"),
        journal_of(file) as journal,
        running(uplink(district, journal).run()),
    ):
        async with district.ingesting():
            await until(lambda: journal.acked_upto == 5, "everything is acknowledged")
        for time in ("first", "second"):
            for gone in district.database.parent.glob(f"{district.database.name}*"):
                gone.unlink()
            async with district.ingesting():
                await until(lambda: district.stored() == 6, f"the early alarm is there after the {time} loss")


class FloodOutbox(MemoryOutbox):
    """Early alarms, bounded and acknowledged as the journal does it."""

    def __init__(self, alarms: int) -> None:
        super().__init__()
        self._kept = EarlyAlarms()
        self._kept.found({MEMORY: {n: Event(n, 5, True, PortalForced("lobby")) for n in range(1, alarms + 1)}})

    def early(self):  # type: ignore[no-untyped-def]
        return self._kept.take((), ())

    def offer_early_again(self):  # type: ignore[no-untyped-def]
        return None

    async def acknowledge_early(self, epoch: str, upto: int) -> None:
        self._kept.acknowledge(epoch, upto)


@pytest.mark.parametrize("count", [250])
async def test_more_early_alarms_than_go_at_once_leave_once_each(district: District, count: int) -> None:
    outbox = FloodOutbox(count)
    async with district.process("broker", "run"), district.ingesting(), running(uplink(district, outbox).run()):
        await until(lambda: not outbox.early(), "all are acknowledged")
    assert [seq for _, epoch, seq in district.rows() if epoch == MEMORY] == list(range(1, count + 1))
    assert district.reading.counts().refused_duplicates < count, "the first hundred were sent over and over"


async def test_early_alarms_whose_first_numbers_are_gone_are_sent_until_the_center_has_them(district: District) -> None:
    """In a flood the journal forgets acknowledged ones; a center that lost its store gets the rest, and no more."""
    outbox = FloodOutbox(0)
    outbox._kept.found({MEMORY: {n: Event(n, 5, True, PortalForced("lobby")) for n in (5, 6, 7)}})
    async with district.process("broker", "run"), district.ingesting(), running(uplink(district, outbox).run()):
        await until(lambda: not outbox.early(), "they count as acknowledged")
    assert [seq for _, epoch, seq in district.rows() if epoch == MEMORY] == [5, 6, 7]


async def test_a_report_that_cannot_be_written_does_not_end_the_connection(district: District) -> None:
    outbox = MemoryOutbox()
    outbox.make(100)
    outbox.forget(41, 60)
    link = uplink(district, outbox)
    connections = 0
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        await until(lambda: link.connected, "connected")
        outbox.broken = True
        outbox.make(1)
        for _ in range(3):
            await until(lambda: link.connected, "connected")
            outbox.early_alarms = [(MEMORY, [Event(connections + 1, 5, True, PortalForced("lobby"))])]
            connections += 1
            await until(lambda: not outbox.early_alarms, "an alarm leaves")
        assert link.connected
        outbox.broken = False
        await until(lambda: outbox.acked_upto == outbox.last_seq, "the report follows")
    (lost,) = [event.data for event in outbox.all() if isinstance(event.data, OutboxLost)]
    assert lost.ranges == ((41, 60),)
