"""The journal is full: what matters least goes first, every number that goes is said, and the cap holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from journal_rig import closed, everything, forced, small, types
from test_journal import StillClock, granted, open_journal

from center.contract import catalogue
from center.contract.ranges import Ranges
from gateway.errors import StoreError
from gateway.ports import NewEntry
from gateway.store import capacity, database
from gateway.store.capacity import JournalLimits
from gateway.store.journal import Journal
from gateway.store.journal_rows import JournalRows

DAY_MS = 86_400_000


def reported(events) -> Ranges:
    return Ranges(r for e in events if isinstance(e.data, catalogue.OutboxLost) for r in e.data.ranges)


async def ledger(journal: Journal) -> tuple[int, int, int]:
    """Numbers given, rows there, numbers reported as lost; every number is exactly one of the last two."""
    events = await everything(journal)
    there, lost = {e.seq for e in events}, reported(events)
    assert all((seq in there) != (seq in lost) for seq in range(1, journal.last_seq + 1))
    return journal.last_seq, len(there), lost.count()


@pytest.mark.parametrize("group", [1, 7, 150])
async def test_every_number_is_there_or_reported(tmp_path, group):
    journal = small(tmp_path / "j.sqlite", 200)
    for number in range(0, 1000, group):
        await journal.record([closed(number + i) for i in range(group)])
    made, there, lost = await ledger(journal)
    assert there <= 200 + group + 2
    assert made == there + lost
    assert made - 1050 <= 1050 / JournalLimits(rows_max=200).chunk, "more reports than portions"
    assert types(await everything(journal)).count("outbox.lost") <= 2, "reports take the place of events"
    await journal.close()


async def test_alarms_and_life_safety_stay_to_the_last(tmp_path):
    journal = small(tmp_path / "j.sqlite", 300)
    fire = NewEntry(catalogue.FireDetected("lobby-node", "node-input"))
    held = NewEntry(catalogue.PortalHeld("lobby", 1))
    await journal.record([fire, forced(), held, granted()])
    for number in range(0, 2000, 20):
        await journal.record([forced(), *(closed(number + i) for i in range(20))])
    kinds = types(await everything(journal))
    assert kinds.count("fire.detected") == 1
    assert kinds.count("portal.forced") == 101
    assert kinds.count("portal.held") == 1
    assert "access.granted" not in kinds
    for _ in range(100):  # nothing but alarms from here on: then the oldest of them must go, fire still not
        await journal.record([forced()] * 10)
    kinds = types(await everything(journal))
    assert kinds.count("fire.detected") == 1
    assert kinds.count("portal.forced") < 300
    await ledger(journal)
    await journal.close()


async def test_a_report_holds_at_most_256_ranges(tmp_path):
    """Alarms between ordinary events make a range of each event that goes."""
    journal = small(tmp_path / "j.sqlite", 1000)
    for number in range(500):
        await journal.record([closed(number), forced()])
    await journal.record([closed(number) for number in range(300)])
    events = await everything(journal)
    lost = [e.data for e in events if isinstance(e.data, catalogue.OutboxLost)]
    assert len(lost) >= 2
    assert max(len(one.ranges) for one in lost) == 256
    await ledger(journal)
    await journal.close()


async def test_what_the_center_has_goes_first_and_is_no_loss(tmp_path):
    journal = small(tmp_path / "j.sqlite", 500)
    for number in range(0, 2000, 10):
        await journal.record([closed(number + i) for i in range(10)])
        await journal.acknowledge(journal.last_seq - 20)
    events = await everything(journal)
    assert len(events) <= 500
    assert reported(events).count() == 0
    assert [e.seq for e in events][-20:] == list(range(1981, 2001))
    await journal.close()


async def test_without_a_center_nothing_is_lost_by_going(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = small(file, 200, center=False)
    for number in range(1000):
        await journal.record([closed(number)])
    events = await everything(journal)
    assert len(events) <= 200
    assert reported(events).count() == 0
    lowest = events[0].seq
    await journal.close()
    joined = small(file, 200)  # a center is there now: it will be sent what is still here, and nothing below
    assert joined.first_seq == lowest > 1
    await joined.mark_running()
    await joined.close()
    later = small(file, 200)
    for number in range(1000):
        await later.record([closed(number)])
    assert later.first_seq == lowest, "what is lost later is loss"
    await later.close()


async def test_the_cap_holds_over_a_restart_and_a_smaller_limit(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = small(file, 1000)
    await journal.record([closed(number) for number in range(900)])
    await journal.close()
    journal = small(file, 100)
    await journal.record([closed(900)])
    made, there, lost = await ledger(journal)
    assert (made, there <= 102, lost >= 800) == (902 + (made - 902), True, True)
    await journal.close()


async def test_the_file_does_not_grow_beyond_what_the_cap_needs(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = small(file, 500)
    sizes = []
    for _ in range(6):
        for number in range(0, 1000, 20):
            await journal.record([closed(number + i) for i in range(20)])
        sizes.append(sum(f.stat().st_size for f in tmp_path.iterdir()))
    assert sizes[-1] <= sizes[1] * 1.2
    assert (tmp_path / "j.sqlite-wal").stat().st_size <= database.WAL_SIZE_LIMIT_BYTES
    await journal.close()


# --- numbers the center asks for that are gone ----------------------------------------------------------------------


def forget(file: Path, first: int, last: int) -> None:
    """As an older release, or a hand, may have removed rows."""
    connection = database.open_for_writing(file)
    connection.execute("DELETE FROM journal WHERE seq BETWEEN ? AND ?", (first, last))
    connection.close()


async def test_what_is_gone_is_reported_once_until_the_center_has_the_report(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = open_journal(file)
    await journal.record([closed(number) for number in range(100)])
    forget(file, 41, 60)
    await journal.report_lost([(30, 50), (55, 70)], "not-kept")
    (event,) = await journal.read(101, 200, 10)
    assert event.data == catalogue.OutboxLost(journal.epoch, ((41, 50), (55, 60)), "not-kept")
    await journal.report_lost([(30, 50), (55, 70)], "not-kept")
    assert journal.last_seq == 101, "said twice"
    await journal.report_lost([(40, 60)], "not-kept")
    assert (await journal.read(102, 102, 1))[0].data.ranges == ((51, 54),)
    await journal.close()
    again = open_journal(file)
    await again.report_lost([(40, 60)], "not-kept")
    assert again.last_seq == 102, "forgotten over a restart"
    await again.acknowledge(102)
    await again.record([closed(1)])
    await again.report_lost([(41, 41)], "not-kept")  # a center that has lost its own disk asks again
    assert again.last_seq == 104
    await again.close()


async def test_numbers_that_were_never_made_are_not_reported(tmp_path):
    journal = open_journal(tmp_path / "j.sqlite")
    await journal.record([closed(1)])
    await journal.report_lost([(0, 0), (1, 1), (2, 10_000), (5, 3)], "not-kept")
    assert journal.last_seq == 1
    await journal.close()


# --- age ------------------------------------------------------------------------------------------------------------


async def test_old_acknowledged_rows_go_and_the_newest_never(tmp_path):
    file = tmp_path / "j.sqlite"
    clock = StillClock()
    journal = open_journal(file, clock)
    await journal.record([closed(number) for number in range(10)])
    clock.ms += 31 * DAY_MS
    await journal.record([closed(number) for number in range(10)])
    await journal.close()
    rows = JournalRows(database.open_for_writing(file), JournalLimits())
    assert rows.prune(clock.ms) == 0, "not acknowledged"
    rows.commit([], {}, 20)
    assert rows.prune(clock.ms) == 10
    assert rows.prune(clock.ms + 100 * 365 * DAY_MS) == 9
    rows.close()
    again = open_journal(file)
    await again.record([closed(1)])
    assert again.last_seq == 21, "a number was given twice"
    await again.close()


# --- room -----------------------------------------------------------------------------------------------------------


def test_the_default_holds_far_more_than_120_hours():
    limits = JournalLimits()
    fresh = capacity.room(limits, 0, 0, 10 << 30)
    assert (fresh.hours, fresh.limited_by) == (480.0, "rows")
    assert fresh.enough
    assert capacity.room(limits, 150_000, 150_000, 10 << 30).hours == 120.0
    tight = capacity.room(limits, 1000, 0, 1 << 20)
    assert (tight.enough, tight.limited_by) == (False, "disk")
    assert capacity.room(limits, 0, 0, -1).rows == 0


async def test_a_row_is_not_larger_than_the_sizing_assumes(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = open_journal(file)
    entry = granted("a-portal-with-a-long-name", holder="holder-with-an-id-of-its-own", plate="京AD12345")
    for _ in range(20):
        await journal.record([entry] * 250)
    await journal.close()
    assert file.stat().st_size / 5000 < capacity.BYTES_PER_ROW


async def test_ten_thousand_waiting_are_the_end_of_waiting(tmp_path, monkeypatch):
    from gateway.store import journal as journal_module

    monkeypatch.setattr(journal_module, "MAX_WAITING", 10)
    journal = open_journal(tmp_path / "j.sqlite")
    outcomes = await asyncio.gather(*(journal.record([closed(i)]) for i in range(30)), return_exceptions=True)
    assert sum(isinstance(one, StoreError) for one in outcomes) >= 10
    assert all(one is None or isinstance(one, StoreError) for one in outcomes)
    await journal.close()
