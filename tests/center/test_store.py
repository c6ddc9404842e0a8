"""The store: each event once, gaps known, an acknowledgement only for what is committed."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from center.contract.catalogue import (
    AccessGranted,
    Event,
    EventData,
    OutboxLost,
    PortalForced,
    PortalHeld,
    PortalOpened,
)
from center.contract.frame import Frame
from center.contract.ranges import Ranges
from center.contract.state import GatewayState
from center.contract.topics import GatewayName
from center.errors import StoreError
from center.store.coverage import MAX_ISLANDS, Coverage
from center.store.reading import ONLINE_WITHIN_MS, EventReading
from center.store.writing import EventWriter, Received

EPOCH, LATER = "00112233445566aa", "ffffffffffffffff"
GATE = GatewayName("east", "garden", "gw-1")
OTHER = GatewayName("east", "harbour", "gw-1")
NOW_MS = 1_790_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "center.sqlite"


@pytest.fixture
def writer(path: Path) -> Iterator[EventWriter]:
    with contextlib.closing(EventWriter(path)) as open_writer:
        yield open_writer


def frame(*numbers: int, epoch: str = EPOCH, data: EventData | None = None, simulated: bool = False) -> Frame:
    made = data or PortalOpened("lobby")
    return Frame(epoch, simulated, tuple(Event(n, NOW_MS + n, True, made) for n in numbers))


def store(writer: EventWriter, *frames: Frame, name: GatewayName = GATE, now_ms: int = NOW_MS):
    return writer.store([Received(name, one) for one in frames], now_ms)


def test_the_same_numbers_of_other_gateways_and_epochs_are_other_events(writer: EventWriter, path: Path) -> None:
    for name in (GATE, OTHER):
        for epoch in (EPOCH, LATER):
            assert store(writer, frame(1, 2, epoch=epoch), name=name).stored == 2
    assert EventReading(path).counts().stored == 8
    assert [row.site for row in EventReading(path).newest(limit=2)] == ["harbour", "harbour"]


def test_one_acknowledgement_for_a_commit(writer: EventWriter) -> None:
    outcome = store(writer, frame(1), frame(2), frame(5), frame(2))
    assert (outcome.stored, outcome.redelivered) == (3, 1)
    ((name, ack),) = outcome.acknowledgements
    assert name == GATE
    assert (ack.stored_upto, ack.missing, ack.seen_upto) == (2, ((3, 4),), 5)


def test_a_commit_that_fails_leaves_no_trace(writer: EventWriter, path: Path) -> None:
    store(writer, frame(1))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON event WHEN new.seq = 3 BEGIN SELECT raise(ABORT, 'disk is full'); END"
        )
        other.commit()
        with pytest.raises(StoreError, match="disk is full"):
            store(writer, frame(2), frame(3))
        other.execute("DROP TRIGGER full")
        other.commit()
    assert EventReading(path).counts().stored == 1
    outcome = store(writer, frame(3))
    assert outcome.acknowledgements[0][1].stored_upto == 1, "2 was rolled back and must not be acknowledged"
    assert store(writer, frame(2)).acknowledgements[0][1].stored_upto == 3


def test_what_is_known_survives_a_restart(path: Path) -> None:
    with contextlib.closing(EventWriter(path)) as first:
        store(first, frame(1, 2, 5, 9))
    with contextlib.closing(EventWriter(path)) as second:
        outcome = store(second, frame(3))
        ((_, ack),) = outcome.acknowledgements
        assert (ack.stored_upto, ack.missing, ack.seen_upto) == (3, ((4, 4), (6, 8)), 9)


def test_lost_numbers_count_as_covered(writer: EventWriter, path: Path) -> None:
    store(writer, frame(1, 2, 8, epoch=EPOCH))
    lost = OutboxLost(EPOCH, ((3, 5), (7, 7), (9, 8)), "disk")  # the last one is no range and is left aside
    outcome = store(writer, frame(1, epoch=LATER, data=lost))
    assert [(ack.epoch, ack.stored_upto) for _, ack in outcome.acknowledgements] == [(LATER, 1)]
    row = next(row for row in EventReading(path).coverage() if row.epoch == EPOCH)
    assert (row.stored_upto, row.missing_ranges) == (5, ((6, 6),))
    assert EventReading(path).counts().missing == 1
    assert store(writer, frame(4)).stored == 1, "what turns up after all is kept"


def test_a_state_tells_what_exists(writer: EventWriter, path: Path) -> None:
    state = GatewayState(online=True, version="0.1.0", epoch=EPOCH, last_seq=7, simulated=True)
    outcome = writer.store([Received(GATE, state)], NOW_MS)
    assert outcome.acknowledgements[0][1].missing == ((1, 7),)
    (row,) = EventReading(path, lambda: NOW_MS + ONLINE_WITHIN_MS).gateways()
    assert (row.online, row.version, row.simulated, row.missing, row.highest_seen) == (True, "0.1.0", True, 7, 7)
    (row,) = EventReading(path, lambda: NOW_MS + ONLINE_WITHIN_MS + 1).gateways()
    assert not row.online, "silent for too long"
    writer.store([Received(GATE, GatewayState(online=False))], NOW_MS)
    (row,) = EventReading(path, lambda: NOW_MS).gateways()
    assert (row.online, row.version) == (False, "0.1.0")


def test_a_large_commit_keeps_every_event_once_and_in_order(writer: EventWriter, path: Path) -> None:
    """More rows than one statement holds, in pieces of every size, with copies and a hole among them."""
    spans = (range(1, 1001), range(1001, 2001), range(1990, 2200), range(2205, 2224), range(2201, 2205))
    outcome = store(writer, *(frame(*span) for span in spans))
    assert (outcome.stored, outcome.redelivered) == (2222, 11)
    with contextlib.closing(sqlite3.connect(path)) as other:
        seqs = [seq for (seq,) in other.execute("SELECT seq FROM event ORDER BY row")]
        rows = [row for (row,) in other.execute("SELECT row FROM event ORDER BY row")]
    assert seqs == [*range(1, 2200), *range(2205, 2224), *range(2201, 2205)]
    assert rows == [*range(1, 2223)]
    ((_, ack),) = outcome.acknowledgements
    assert (ack.stored_upto, ack.missing) == (2199, ((2200, 2200),))


@settings(max_examples=200)
@given(st.lists(st.integers(1, 12), max_size=8), st.integers(0, 4), st.booleans())
def test_numbers_that_simply_follow_are_counted_alike_one_by_one(numbers: list[int], upto: int, island: bool) -> None:
    at_once, one_by_one = (Coverage(upto, islands=Ranges([(9, 9)] if island else [])) for _ in range(2))
    if not at_once.follows(numbers):
        assert island or numbers != [*range(upto + 1, upto + 1 + len(numbers))] or not numbers
        return
    at_once.cover(numbers[0], numbers[-1])
    for number in numbers:
        assert not one_by_one.stores(number)
        assert one_by_one.store(number)
    assert (at_once.stored_upto, at_once.known_upto) == (one_by_one.stored_upto, one_by_one.known_upto)


def test_a_second_writer_is_refused(writer: EventWriter, path: Path) -> None:
    with pytest.raises(StoreError, match="another center writes to this file"):
        EventWriter(path)
    store(writer, frame(1))


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_store import EventWriter, frame, store
writer = EventWriter(Path(sys.argv[1]))
seq = 0
while True:
    seq += 3
    ack = store(writer, frame(seq - 2, seq - 1, seq)).acknowledgements[0][1]
    print(ack.stored_upto, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    program = KILLED.format(folder=str(Path(__file__).parent))
    root = str(Path(__file__).resolve().parents[2])
    for _ in range(3):
        path.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=root, env=dict(os.environ)
        )
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(50)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().split(b"\n")[:-1]]
        child.wait()
        child.stdout.close()
        with contextlib.closing(EventWriter(path)) as again:
            outcome = store(again, frame(1))
            assert outcome.redelivered == 1
            assert outcome.acknowledgements[0][1].stored_upto >= acknowledged[-1]
            assert EventReading(path).counts().stored == outcome.acknowledgements[0][1].stored_upto
        for left in path.parent.iterdir():
            left.unlink()


def test_newest_filters(writer: EventWriter, path: Path) -> None:
    store(writer, frame(1, 2), frame(3, data=PortalHeld("lobby", 31_000)), frame(4, data=PortalForced("lobby")))
    store(writer, frame(1, data=AccessGranted("yard", "east", "card", "permitted")), name=GatewayName("e", "s", "gw-2"))
    reading = EventReading(path)
    assert [event.row for event in reading.newest()] == [5, 4, 3, 2, 1]
    assert [event.row for event in reading.newest(limit=2)] == [5, 4]
    assert [event.row for event in reading.newest(limit=-5)] == [5]
    assert [event.row for event in reading.newest(before_row=3)] == [2, 1]
    assert [event.row for event in reading.newest(after_row=3)] == [5, 4]
    assert [event.row for event in reading.newest(gateway="gw-2")] == [5]
    assert [event.severity for event in reading.newest(severity_at_least="warning")] == ["alarm", "warning"]
    with pytest.raises(StoreError, match="expected one of"):
        reading.newest(severity_at_least="loud")
    newest = reading.newest(limit=1)[0]
    assert (newest.type, newest.title_zh, newest.title_en) == ("zhian.access.granted", "允许通行", "Access granted")
    assert newest.data == msgspec.structs.asdict(AccessGranted("yard", "east", "card", "permitted"))
    counts = reading.counts()
    assert (counts.stored, counts.alarms, counts.by_type["zhian.portal.opened"]) == (5, 1, 2)
    store(writer, frame(5, data=PortalForced("lobby")))
    assert (reading.counts().stored, reading.counts().alarms) == (6, 2), "only new rows are read, and none twice"


def test_a_duplicate_that_got_in_is_counted(writer: EventWriter, path: Path) -> None:
    """The figure that must be 0 is measured: take the unique index away and it shows."""
    store(writer, frame(1, 2))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE copy AS SELECT * FROM event")
        other.execute("DROP TABLE event")
        other.execute("ALTER TABLE copy RENAME TO event")
        other.execute(
            "INSERT INTO event SELECT row + 2, epoch_id, seq, time_ms, received_ms, clock_certain, simulated,"
            " type, severity, subject, data, address, grid FROM event WHERE seq = 1"
        )
        other.commit()
    assert EventReading(path).counts().duplicated == 1


def test_a_reader_cannot_write_and_says_what_is_missing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="start `zhian center run` first"):
        EventReading(path).counts()
    (tmp_path / "data").mkdir()
    path.write_bytes(b"this is not a database, but it is longer than a hundred bytes" * 3)
    with pytest.raises(StoreError):
        EventReading(path).counts()


def test_a_file_of_a_later_release_is_refused(path: Path) -> None:
    with contextlib.closing(EventWriter(path)):
        pass
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version=4")
    for use in (EventReading(path).counts, lambda: EventWriter(path)):
        with pytest.raises(StoreError, match="expected schema version 3, got 4"):
            use()


spans = st.tuples(st.integers(1, 40), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=200)
@given(st.lists(spans, max_size=25), st.integers(0, 50))
def test_coverage_as_a_set(covered: list[tuple[int, int]], announced: int) -> None:
    coverage, model = Coverage(), set[int]()
    coverage.announce(announced)
    for first, last in covered:
        coverage.cover(first, last)
        model.update(range(first, last + 1))
    known = max([announced, *model], default=0)
    upto = next(n for n in range(60) if n + 1 not in model)
    assert (coverage.stored_upto, coverage.known_upto) == (upto, known)
    assert coverage.missing() == known - len(model)
    ack = coverage.acknowledgement(EPOCH)
    assert set(range(upto + 1, known + 1)) - model == {n for a, b in ack.missing for n in range(a, b + 1)}
    assert all(ack.stores(n, n) == (n in model) for n in range(1, known + 1))
    assert all(coverage.covers(n) == (n in model) for n in range(1, 60))


def test_a_shortened_list_of_gaps_promises_no_more_than_it_lists() -> None:
    coverage = Coverage(islands=Ranges((n, n) for n in range(2, 400, 2)))
    coverage.announce(500)
    ack = coverage.acknowledgement(EPOCH)
    assert len(ack.missing) == 64
    assert ack.seen_upto == ack.missing[-1][1] + 1
    assert not ack.stores(300, 300), "it may be there, but this acknowledgement does not say so"


def test_islands_have_a_limit_that_cannot_lock_a_gateway_out() -> None:
    coverage = Coverage()
    for number in range(3, 3 + 2 * MAX_ISLANDS, 2):
        assert coverage.room_for(number, number)
        coverage.cover(number, number)
    beyond = 5 + 2 * MAX_ISLANDS
    assert not coverage.room_for(beyond, beyond)
    assert coverage.room_for(1, 1), "the lowest missing number always fits"
    assert coverage.room_for(4, 4), "what joins two islands fits"
