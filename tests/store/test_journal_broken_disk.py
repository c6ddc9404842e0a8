"""The disk refuses or stalls: doors go on, alarms leave at once with an identity of their own, nothing twice."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import pytest
from journal_rig import closed, everything, forced, moody, types, until
from test_journal import StillClock, granted, open_journal

from center.contract import catalogue
from gateway.errors import StoreError
from gateway.ports import NewEntry
from gateway.store import database, healing, journal_disk
from gateway.store import journal as journal_module
from gateway.store.memory_ring import MAX_EARLY, MemoryRing, MemoryRow
from gateway.store.reserve import Reserve

REFUSALS = [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same waits, shorter."""
    monkeypatch.setattr(healing, "PROBE_MIN_S", 0.02)
    monkeypatch.setattr(healing, "PROBE_MAX_S", 0.1)
    monkeypatch.setattr(journal_module, "STALL_S", 0.2)
    monkeypatch.setattr(journal_module, "SAY_STALL_S", 0.4)


@pytest.mark.parametrize("code", REFUSALS)
async def test_what_may_be_late_waits_and_is_stored_with_the_truth(tmp_path, code):
    journal, disk = moody(tmp_path / "j.sqlite")
    await journal.record([closed(1)])
    disk.refuses = code
    await journal.record([granted()], late_ok=True)
    await journal.record([forced()], late_ok=True)
    assert not journal.ok
    with pytest.raises(StoreError, match="cannot be written"):
        await journal.record([closed(99)])
    assert journal.in_memory == 3  # with StorageBroken, without what may not be late
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    events = await everything(journal)
    expected = ["portal.closed", "storage.broken", "access.granted", "portal.forced", "storage.healed"]
    assert types(events) == expected
    assert [e.seq for e in events] == [1, 2, 3, 4, 5]
    assert events[2].data.recorded_late
    assert events[-1].data == catalogue.StorageHealed(3, 0)
    await journal.record([closed(2)])
    assert journal.last_seq == 6
    await journal.close()


async def test_a_broken_disk_is_said_once_each_way(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    for _ in range(2):
        disk.refuses = sqlite3.SQLITE_IOERR
        for number in range(20):
            await journal.record([closed(number)], late_ok=True)
            await asyncio.sleep(0.01)  # attempts to write go on meanwhile
        disk.refuses = None
        await until(lambda: journal.ok, "healed")
    said = types(await everything(journal))
    assert (said.count("storage.broken"), said.count("storage.healed"), said.count("portal.closed")) == (2, 2, 40)
    await journal.close()


async def test_a_dead_disk_is_not_asked_for_every_event_and_refusals_do_not_wait(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_IOERR
    await journal.record([closed(0)], late_ok=True)
    tried = disk.tried
    began = time.monotonic()
    for number in range(500):
        await journal.record([closed(number)], late_ok=True)
        with pytest.raises(StoreError):
            await journal.record([closed(number)])
    assert disk.tried - tried <= 2 + (time.monotonic() - began) / 0.02
    assert journal.in_memory == 502
    await journal.close()


async def test_memory_is_bounded_and_the_least_important_goes_first(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_FULL
    await journal.record([forced("first")], late_ok=True)
    for number in range(2500):
        await journal.record([closed(number)], late_ok=True)
    assert journal.in_memory == 2000
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    events = await everything(journal)
    assert types(events)[:2] == ["portal.forced", "storage.broken"] or types(events)[:2] == [
        "storage.broken",
        "portal.forced",
    ]
    kept = [e.data.open_ms for e in events if isinstance(e.data, catalogue.PortalClosed)]
    assert kept == list(range(502, 2500))
    assert events[-1].data == catalogue.StorageHealed(2000, 502)
    await journal.close()


def test_a_full_ring_refuses_what_matters_less():
    ring = MemoryRing(2)
    alarm, info = (MemoryRow(1, True, "t", None, b"", None, None, severity) for severity in (3, 0))
    ring.add([alarm, alarm, info])
    assert (ring.rows, ring.overflowed) == ((alarm, alarm), 1)


def test_a_burst_larger_than_the_ring_loses_its_oldest():
    ring = MemoryRing(10)
    rows = [MemoryRow(n, True, "t", None, b"", None, None, 0) for n in range(25)]
    ring.add(rows)
    assert ([row.time_ms for row in ring.rows], ring.overflowed) == (list(range(15, 25)), 15)


async def test_an_alarm_leaves_at_once_with_an_identity_that_never_changes(tmp_path):
    file = tmp_path / "j.sqlite"
    journal, disk = moody(file)
    await journal.record([closed(1)])
    disk.refuses = sqlite3.SQLITE_READONLY
    journal.committed.clear()
    await journal.record([closed(2), forced()], late_ok=True)
    assert journal.committed.is_set(), "the uplink is not woken"
    ((epoch, events),) = journal.early()
    assert types(list(events)) == ["storage.broken", "portal.forced"]
    assert epoch != journal.epoch
    assert [e.seq for e in events] == [1, 2]
    assert journal.early() == [(epoch, list(events))]  # the same again, until it is acknowledged
    await journal.acknowledge_early(epoch, 1)
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    # What left early has its identity; the rest gets numbers of the journal: no event has two.
    assert types(await everything(journal)) == ["portal.closed", "portal.closed", "storage.healed"]
    await journal.close()
    again = open_journal(file)
    ((epoch_again, left),) = again.early()
    assert (epoch_again, list(left)) == (epoch, [events[1]])
    await again.acknowledge_early(epoch, 2)
    assert again.early() == []
    await again.close()
    third = open_journal(file)
    assert third.early() == []
    await third.close()


async def test_an_alarm_that_leaves_while_the_others_are_being_stored_has_one_identity(tmp_path):
    """Found by the chaos campaign: it got a number of the journal as well, and the center had it twice."""
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_FULL
    await journal.record([forced("first")], late_ok=True)
    disk.inserting.clear()
    disk.inserts.clear()
    disk.refuses = None
    await until(disk.inserting.is_set, "healing has begun to store")
    await journal.record([forced("second"), closed(1)], late_ok=True)
    ((_, early),) = journal.early()
    assert [e.data.portal for e in early] == ["second"]  # the first is the disk's now
    disk.inserts.set()
    await until(lambda: journal.ok, "healed")
    events = await everything(journal)
    assert [e.data.portal for e in events if isinstance(e.data, catalogue.PortalForced)] == ["first"]
    assert types(events).count("portal.closed") == 1
    assert types(events).count("storage.healed") == 1
    await journal.close()


async def test_a_center_that_has_lost_its_store_gets_early_alarms_again(tmp_path):
    """It asks for numbers it had acknowledged; it cannot know of the memory epoch, but the gateway does."""
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_IOERR
    await journal.record([forced(), forced("garage")], late_ok=True)
    ((epoch, before),) = journal.early()
    await journal.acknowledge_early(epoch, 3)
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    await journal.record([closed(1), closed(2)])
    await journal.acknowledge(journal.last_seq)
    await journal.record([closed(3)])
    await journal.read(journal.last_seq, journal.last_seq, 1)
    assert journal.early() == []
    await journal.read(1, 10, 10)
    assert journal.early() == [(epoch, list(before))]
    await journal.acknowledge_early(epoch, 3)
    await journal.read(1, 10, 10)
    assert journal.early() == [], "once for each time the center forgets"
    journal.offer_early_again()  # it has forgotten again before it had everything
    await journal.read(1, 10, 10)
    assert journal.early() == [(epoch, list(before))]
    await journal.acknowledge_early(epoch, 3)
    await journal.acknowledge(journal.last_seq)
    await journal.read(1, 10, 10)
    assert journal.early() == [(epoch, list(before))]
    await journal.close()


async def test_numbers_of_the_journal_are_never_given_in_memory(tmp_path):
    """Killed while broken: the next run's events must not bear the identity of one that left early."""
    file = tmp_path / "j.sqlite"
    journal, disk = moody(file)
    await journal.record([closed(1)])
    disk.refuses = sqlite3.SQLITE_IOERR
    await journal.record([forced()], late_ok=True)
    left = {(epoch, e.seq) for epoch, events in journal.early() for e in events}
    killed = open_journal(file)  # a second look without a close, as after kill -9
    await killed.record([closed(2), forced()])
    stored = {(killed.epoch, e.seq) for e in await everything(killed)}
    assert not left & stored
    await killed.close()
    await journal.close()


async def test_early_alarms_are_bounded(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_IOERR
    for _ in range(MAX_EARLY + 50):
        await journal.record([forced()], late_ok=True)
    ((_, events),) = journal.early()
    assert len(events) == MAX_EARLY
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    assert len(await everything(journal)) == 50 + 2  # and StorageBroken, StorageHealed: 51 alarms had no early identity
    await journal.close()


async def test_nobody_waits_for_a_disk_that_stalls(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.answers.clear()
    began = time.monotonic()
    refused, _, _ = await asyncio.gather(
        journal.record([closed(1)]),
        journal.record([closed(2)], late_ok=True),
        journal.record([closed(3)], late_ok=True),
        return_exceptions=True,
    )
    assert time.monotonic() - began < 2
    assert isinstance(refused, StoreError)
    assert not journal.ok
    await journal.record([forced()], late_ok=True)
    assert [len(events) for _, events in journal.early()] == [1]  # alarms leave although the disk hangs
    disk.answers.set()
    await until(lambda: journal.ok, "healed")
    numbers = [e.data.open_ms for e in await everything(journal) if isinstance(e.data, catalogue.PortalClosed)]
    assert sorted(numbers) == [1, 2, 3]  # number 1 was under way: told as failed, stored in the end
    await journal.close()


async def test_a_short_stall_is_no_alarm_and_a_long_one_is(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    for stall_s, alarms in ((0.25, 0), (0.8, 1)):
        disk.answers.clear()
        asyncio.get_running_loop().call_later(stall_s, disk.answers.set)
        await journal.record([closed(1)], late_ok=True)
        await until(lambda: journal.ok, "healed")
        assert types(await everything(journal)).count("storage.broken") == alarms
    await journal.close()


async def test_what_core_keeps_survives_a_refusal_and_a_restart(tmp_path):
    file = tmp_path / "j.sqlite"
    journal, disk = moody(file)
    await journal.keep("mode/lobby", "lockdown")
    await journal.record([closed(1)], keep={"presence": "{}"})
    disk.refuses = sqlite3.SQLITE_FULL
    with pytest.raises(StoreError):
        await journal.keep("fire", "on")
    with pytest.raises(StoreError):
        await journal.keep("mode/lobby", None)
    assert journal.kept == {"presence": "{}", "fire": "on"}
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    assert journal.kept == {"presence": "{}", "fire": "on"}
    await journal.close()
    again = open_journal(file)
    assert again.kept == {"presence": "{}", "fire": "on"}
    for key, value in (("", "x"), ("k" * 65, "x"), ("k", "x" * 65_537)):
        with pytest.raises(ValueError, match="kept"):
            await again.keep(key, value)
    await again.close()


async def test_what_belongs_to_a_refused_record_is_not_remembered(tmp_path):
    """A grant that could not be recorded did not happen: nor did the presence that came with it."""
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_IOERR
    for _ in range(2):  # refused by the disk, then because it is known to be broken
        with pytest.raises(StoreError):
            await journal.record([granted()], keep={"presence": "inside"})
    assert journal.kept == {}
    await journal.record([granted()], keep={"presence": "late"}, late_ok=True)
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    assert journal.kept == {"presence": "late"}
    await journal.close()


async def test_a_stall_that_ends_in_a_failure_keeps_the_order(tmp_path):
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.answers.clear()
    disk.refuses = sqlite3.SQLITE_IOERR  # what it will say once it answers
    await journal.record([closed(1)], late_ok=True)
    await journal.record([closed(2)], late_ok=True)
    disk.answers.set()
    await until(lambda: journal.in_memory >= 2, "given back")
    await journal.record([closed(3)], late_ok=True)
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    numbers = [e.data.open_ms for e in await everything(journal) if isinstance(e.data, catalogue.PortalClosed)]
    assert numbers == [1, 2, 3]
    await journal.close()


async def test_acknowledgements_of_a_broken_disk_are_not_lost(tmp_path):
    file = tmp_path / "j.sqlite"
    journal, disk = moody(file)
    await journal.record([closed(1), closed(2)])
    disk.refuses = sqlite3.SQLITE_IOERR
    await journal.record([closed(3)], late_ok=True)
    await journal.acknowledge(2)
    assert journal.acked_upto == 2
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    await journal.close()
    again = open_journal(file)
    assert again.acked_upto == 2
    await again.close()


async def test_a_full_disk_is_given_the_reserve_first(tmp_path):
    file = tmp_path / "j.sqlite"
    connection = database.open_for_writing(file)
    reserve = Reserve(file, 1 << 20)

    class ReserveDisk:
        """Full as long as the reserve takes up the space."""

        in_transaction = property(lambda _: connection.in_transaction)
        close = connection.close
        executemany = connection.executemany

        def execute(self, sql, values=()):
            if sql.startswith(("INSERT", "BEGIN")) and reserve.there:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return connection.execute(sql, values)

    journal = journal_with(ReserveDisk(), file, reserve)
    assert reserve.make()
    assert reserve.file.stat().st_blocks * 512 >= 1 << 20
    await journal.record([closed(1)])  # stored: no StoreError, and nobody had to be told that the disk is broken
    assert journal.ok
    assert not reserve.there
    await journal.close()


def journal_with(connection, file, reserve):
    return journal_module.Journal(connection, StillClock(), file, reserve=reserve)


async def test_an_end_while_the_disk_stores_what_waited_stores_it_once(tmp_path):
    """SIGTERM in the very moment: cut off, the commit went on in its thread, and the same was stored again."""
    file = tmp_path / "j.sqlite"
    journal, disk = moody(file)
    disk.refuses = sqlite3.SQLITE_FULL
    await journal.record([closed(1), forced(), closed(2)], late_ok=True)
    disk.inserting.clear()
    disk.inserts.clear()
    disk.refuses = None
    await until(disk.inserting.is_set, "healing has begun to store")
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)  # it has begun
    asyncio.get_running_loop().call_later(0.1, disk.inserts.set)
    await closing
    again = open_journal(file)
    stored = types(await everything(again))
    assert sorted(stored) == ["portal.closed", "portal.closed", "portal.forced", "storage.broken", "storage.healed"]
    assert again.ended_cleanly
    await again.close()


async def test_alarms_leave_while_the_disk_hangs_and_their_acknowledgements_wait_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_disk, "ANSWER_S", 0.1)
    file = tmp_path / "j.sqlite"
    journal, disk = moody(file)
    await journal.record([closed(1)])
    disk.answers.clear()
    await journal.record([closed(2)], late_ok=True)
    await until(lambda: journal.broken == "stalled", "the disk hangs")
    await journal.record([forced("first")], late_ok=True)
    async with asyncio.timeout(1):
        ((epoch, events),) = journal.early()
        assert [e.data.portal for e in events] == ["first"]
        await journal.acknowledge_early(epoch, 1)
        await journal.record([forced("second")], late_ok=True)
        ((_, events),) = journal.early()
        assert [e.data.portal for e in events] == ["second"]
        with pytest.raises(StoreError):
            await journal.read(1, 1, 1)
        with pytest.raises(StoreError):
            await journal.report_lost([(1, 1)], "gone")
    disk.answers.set()
    await until(lambda: journal.ok, "healed")
    await journal.close()
    again = open_journal(file)
    assert [[e.data.portal for e in left] for _, left in again.early()] == [["second"]]
    await again.close()


async def test_a_question_to_a_disk_that_hangs_is_given_up_and_not_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_disk, "ANSWER_S", 0.05)
    journal, disk = moody(tmp_path / "j.sqlite")
    await journal.record([closed(1)])
    disk.answers.clear()
    assert len(await journal.read(1, 1, 1)) == 1, "what was just stored is at hand without the disk"
    under_way = asyncio.create_task(journal.report_lost([(1, 1)], "gone"))
    await asyncio.sleep(0)  # it begins, and from then on the disk is asked
    holding = journal._disk.call(disk.answers.wait, 10)
    with pytest.raises(StoreError, match="does not answer"):
        await journal.read(1, 1, 1)
    tried = journal._disk._writer._jobs.qsize()
    for _ in range(20):
        with pytest.raises(StoreError, match="does not answer"):
            await journal.read(1, 1, 1)
    assert journal._disk._writer._jobs.qsize() <= tried
    disk.answers.set()
    await asyncio.gather(holding, under_way, return_exceptions=True)
    await until(lambda: journal._disk._unanswered.done(), "the disk answers")
    assert len(await journal.read(1, 1, 1)) == 1
    await journal.close()


async def test_memory_is_bounded_in_a_flood_of_alarms_that_the_center_takes(tmp_path):
    """What the center has goes first; what has left and is not acknowledged stays."""
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.refuses = sqlite3.SQLITE_IOERR
    await journal.record([closed(1)], late_ok=True)
    for number in range(2500):
        await journal.record([forced(f"door-{number}")], late_ok=True)
        ((epoch, events),) = journal.early()
        if number < 2490:
            await journal.acknowledge_early(epoch, events[-1].seq)
    assert journal.in_memory == 2000
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    ((_, events),) = journal.early()
    assert [e.data.portal for e in events] == [f"door-{number}" for number in range(2490, 2500)]
    stored = await everything(journal)
    assert [e.data.open_ms for e in stored if isinstance(e.data, catalogue.PortalClosed)] == [1], "the center lacks it"
    assert stored[-1].data == catalogue.StorageHealed(2000, 502)
    await journal.close()


async def test_closing_while_the_disk_hangs_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "CLOSE_WAIT_S", 0.3)
    journal, disk = moody(tmp_path / "j.sqlite")
    disk.answers.clear()
    await journal.record([closed(1)], late_ok=True)
    began = time.monotonic()
    await journal.close()
    assert time.monotonic() - began < 5
    disk.answers.set()


async def test_bad_data_is_the_callers_fault_and_breaks_nothing(tmp_path):
    journal, _ = moody(tmp_path / "j.sqlite")
    with pytest.raises(TypeError):
        await journal.record([NewEntry(catalogue.PortalClosed("lobby", object()))], late_ok=True)
    assert journal.ok
    await journal.close()
