"""The journal: contiguous numbers, one commit, nothing lost over a kill, honest when the disk fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from center.contract import catalogue
from gateway.errors import StoreError
from gateway.ports import NewEntry
from gateway.store import database, opening
from gateway.store.journal import Journal
from gateway.store.reading import JournalReading


class StillClock:
    """A clock that shows what it is told."""

    certain = True

    def __init__(self, ms: int = 1_790_000_000_000) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, UTC)


def open_journal(file: Path, clock: StillClock | None = None) -> Journal:
    return Journal(database.open_for_writing(file), clock or StillClock(), file)


def granted(portal: str = "lobby", **more) -> NewEntry:
    return NewEntry(catalogue.AccessGranted(portal, "reader", "card", "permitted"), **more)


async def test_numbers_are_contiguous_and_survive_reopening(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = open_journal(file)
    await asyncio.gather(*(journal.record([granted(), granted()]) for _ in range(50)))
    epoch = journal.epoch
    await journal.close()
    journal = open_journal(file)
    await journal.record([granted()])
    events = await journal.read(1, journal.last_seq, 1000)
    assert [e.seq for e in events] == list(range(1, 102))
    assert journal.epoch == epoch
    await journal.close()


async def test_what_was_recorded_is_read_back_as_it_was(tmp_path):
    journal = open_journal(tmp_path / "j.sqlite")
    data = catalogue.PortalClosed("lobby", 2345)
    await journal.record([NewEntry(data)])
    (event,) = await journal.read(1, 1, 10)
    assert event.data == data
    assert (event.seq, event.time_ms, event.clock_certain) == (1, 1_790_000_000_000, True)
    await journal.close()


async def test_times_are_the_clocks_and_order_is_by_number(tmp_path):
    """A clock that finds its year wrong goes back; the numbers say what came after what."""
    clock = StillClock()
    file = tmp_path / "j.sqlite"
    journal = open_journal(file, clock)
    await journal.record([granted()])
    clock.ms -= 3_600_000
    await journal.record([granted()])
    assert [e.time_ms for e in await journal.read(1, 2, 10)] == [clock.ms + 3_600_000, clock.ms]
    await journal.close()
    assert opening.open_store(file).newest_ms == clock.ms


async def test_the_mark_of_the_center_moves_forward_only_and_not_beyond_the_end(tmp_path):
    journal = open_journal(tmp_path / "j.sqlite")
    await journal.record([granted()] * 5)
    for upto, expected in ((3, 3), (2, 3), (99, 3), (5, 5)):
        await journal.acknowledge(upto)
        assert journal.acked_upto == expected
    await journal.close()
    again = open_journal(tmp_path / "j.sqlite")
    assert again.acked_upto == 5
    await again.close()


async def test_two_events_of_one_device_in_the_same_millisecond_are_both_kept(tmp_path):
    """A known peer merges them by (device, millisecond); here the number is the identity."""
    journal = open_journal(tmp_path / "j.sqlite")
    await asyncio.gather(*(journal.record([granted(), granted()]) for _ in range(50)))
    events = await journal.read(1, 1000, 1000)
    assert len({event.seq for event in events}) == 100
    assert {event.time_ms for event in events} == {1_790_000_000_000}
    await journal.close()


async def test_the_mark_never_moves_back_however_many_ask_at_once(tmp_path):
    journal = open_journal(tmp_path / "j.sqlite")
    await journal.record([granted()] * 10)
    await asyncio.gather(journal.acknowledge(10), journal.acknowledge(5))
    assert journal.acked_upto == 10
    await journal.close()


async def test_what_cannot_be_encoded_is_told_to_whoever_asked(tmp_path):
    journal = open_journal(tmp_path / "j.sqlite")
    with pytest.raises(TypeError):
        await journal.record([NewEntry(catalogue.PortalClosed("lobby", object()))])
    await journal.record([granted()])
    assert journal.last_seq == 1
    await journal.close()


def test_only_the_owner_can_read_the_database(tmp_path):
    file = tmp_path / "data" / "j.sqlite"
    database.open_for_writing(file).close()
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


async def test_a_clean_end_and_a_crash_can_be_told_apart(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = open_journal(file)
    assert journal.ended_cleanly
    await journal.mark_running()
    await journal.close()
    journal = open_journal(file)
    assert journal.ended_cleanly
    await journal.mark_running()
    crashed = open_journal(file)  # a second look without a close, as after kill -9
    assert not crashed.ended_cleanly
    await crashed.close()
    await journal.close()


WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_journal import granted, open_journal
async def main():
    journal = open_journal(Path(sys.argv[1]))
    while True:
        await journal.record([granted()])
        print(journal.last_seq, flush=True)
asyncio.run(main())
"""


def test_nothing_that_was_confirmed_is_lost_by_kill_9(tmp_path):
    file = tmp_path / "j.sqlite"
    words = [sys.executable, "-c", WRITER, str(file), str(Path(__file__).parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        confirmed = 0
        for line in writer.stdout:
            confirmed = int(line)
            if confirmed == 200:
                os.kill(writer.pid, signal.SIGKILL)
                break
        confirmed = max([confirmed, *(int(rest) for rest in writer.stdout.read().split())])
    journal = open_journal(file)
    assert journal.last_seq >= confirmed >= 200
    stored = asyncio.run(journal.read(1, 1_000_000, 1_000_000))
    assert [event.seq for event in stored] == list(range(1, journal.last_seq + 1))
    asyncio.run(journal.close())


async def test_pages_read_names_and_plates_that_events_do_not_hold(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = open_journal(file)
    await journal.replace_holders([("lin", "林晓", "Lin Xiao")])
    await journal.record([granted(holder="lin", plate="京A12345"), granted("garage")])
    await journal.acknowledge(1)
    await journal.close()  # writes what the center acknowledged
    reading = JournalReading(file)
    newest, first = reading.newest()
    assert (newest.portal, newest.acked, newest.holder_name) == ("garage", False, None)
    assert first.holder_name == {"zh": "林晓", "en": "Lin Xiao"}
    assert (first.plate, first.acked, first.reason_en) == ("京A12345", True, "A rule permits it")
    assert [e.seq for e in reading.newest(portal="lobby")] == [1]
    assert [e.seq for e in reading.newest(after_seq=1)] == [2]
    assert [e.seq for e in reading.newest(before_seq=2)] == [1]
    assert reading.counts().by_type == {"zhian.access.granted": 2}
    reading.close()


async def test_an_event_that_leaves_the_site_has_no_plate(tmp_path):
    journal = open_journal(tmp_path / "j.sqlite")
    await journal.record([granted(holder="lin", plate="京A12345")])
    (stored,) = await journal.read(1, 1, 1)
    assert "京A12345" not in repr(stored)
    await journal.close()


def test_a_reader_before_core_gets_one_sentence(tmp_path):
    with pytest.raises(StoreError, match="start the gateway's core first"):
        JournalReading(tmp_path / "none.sqlite").newest()


def test_a_database_of_a_newer_program_is_refused(tmp_path):
    file = tmp_path / "j.sqlite"
    connection = database.open_for_writing(file)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99"):
        database.open_for_writing(file)
