"""The contract of a store, over SQLite and over a real PostgreSQL server."""

from __future__ import annotations

import contextlib
import itertools
import threading

import pytest
from conftest import MakeDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import PostgresServer
from test_store import EPOCH, GATE, LATER, NOW_MS, OTHER, frame, store

from center.contract.catalogue import (
    AccessGranted,
    Event,
    GatewayStarted,
    OutboxLost,
    PortalForced,
    PortalHeld,
)
from center.contract.frame import Frame
from center.contract.state import GatewayState
from center.contract.topics import GatewayName
from center.errors import SearchError, StoreError
from center.store import address_table
from center.store.addresses import Address
from center.store.coverage import MAX_ISLANDS, MAX_LOST, Coverage
from center.store.postgres import PostgresDatabase
from center.store.reading import EventReading
from center.store.search import Search
from center.store.statements import DAY_MS
from center.store.writing import EventWriter, Received

DAY_0 = NOW_MS - NOW_MS % DAY_MS
RUNS = itertools.count(1)


def test_each_once_with_gaps_known(both_writer: EventWriter, both_reading: EventReading) -> None:
    outcome = store(both_writer, frame(1), frame(2), frame(5), frame(2))
    assert (outcome.stored, outcome.redelivered) == (3, 1)
    ((_, ack),) = outcome.acknowledgements
    assert (ack.stored_upto, ack.missing, ack.seen_upto) == (2, ((3, 4),), 5)
    assert store(both_writer, frame(1, 2, 5)).redelivered == 3
    counts = both_reading.counts()
    assert (counts.stored, counts.refused_duplicates, counts.duplicated, counts.missing) == (3, 4, 0, 2)


def test_the_same_numbers_of_others_are_other_events(both_writer: EventWriter, both_reading: EventReading) -> None:
    for name in (GATE, OTHER):
        for epoch in (EPOCH, LATER):
            assert store(both_writer, frame(1, 2, epoch=epoch), name=name).stored == 2
    assert [event.row for event in both_reading.newest()] == list(range(8, 0, -1))
    assert {(row.site, row.epoch) for row in both_reading.gateways()} == {("garden", LATER), ("harbour", LATER)}


def test_what_is_known_survives_another_writer(make_database: MakeDatabase) -> None:
    with contextlib.closing(EventWriter(make_database())) as first:
        store(first, frame(1, 2, 5, 9))
        with pytest.raises(StoreError, match="another center writes"):
            EventWriter(make_database())
    with contextlib.closing(EventWriter(make_database())) as second:
        ((_, ack),) = store(second, frame(3, 5)).acknowledgements
    assert (ack.stored_upto, ack.missing, ack.seen_upto) == (3, ((4, 4), (6, 8)), 9)
    assert EventReading(make_database()).counts().stored == 5


def test_lost_numbers_are_covered_and_taken_back_when_they_turn_up(
    both_writer: EventWriter, both_reading: EventReading
) -> None:
    store(both_writer, frame(1, 2, 8))
    store(both_writer, frame(1, epoch=LATER, data=OutboxLost(EPOCH, ((2, 5), (7, 7), (9, 8)), "disk")))
    row = next(row for row in both_reading.coverage(incomplete=True) if row.epoch == EPOCH)
    assert (row.lost, row.lost_ranges, row.missing_ranges) == (4, ((3, 5), (7, 7)), ((6, 6),))
    outcome = store(both_writer, frame(4, 2))
    assert (outcome.stored, outcome.redelivered) == (1, 1), "4 turned up after all, 2 was stored before"
    assert store(both_writer, frame(4)).redelivered == 1
    row = next(row for row in both_reading.coverage() if row.epoch == EPOCH)
    assert row.lost_ranges == ((3, 3), (5, 5), (7, 7))


def test_states_say_what_exists(both_writer: EventWriter, both_reading: EventReading) -> None:
    state = GatewayState(online=True, version="0.1.0", epoch=EPOCH, last_seq=7, simulated=True)
    both_writer.store([Received(GATE, state)], NOW_MS)
    (row,) = EventReading(both_reading.database, lambda: NOW_MS).gateways()
    assert (row.online, row.version, row.simulated, row.missing, row.highest_seen) == (True, "0.1.0", True, 7, 7)
    both_writer.store([Received(GATE, GatewayState(online=False))], NOW_MS)
    assert not EventReading(both_reading.database, lambda: NOW_MS).gateways()[0].online


def test_two_events_of_one_millisecond_are_both_kept(both_writer: EventWriter, both_reading: EventReading) -> None:
    same = (Event(1, NOW_MS, True, PortalForced("lobby")), Event(2, NOW_MS, True, PortalForced("lobby")))
    assert store(both_writer, Frame(EPOCH, False, same)).stored == 2
    assert [event.seq for event in both_reading.newest()] == [2, 1]


def test_text_that_a_database_may_not_like_is_stored(both_writer: EventWriter, both_reading: EventReading) -> None:
    version = "a\x00\\u0000'\"%s?{}\t智安"
    assert store(both_writer, frame(1, data=GatewayStarted(version, "start"))).stored == 1
    kept = both_reading.newest()[0].data["version"]
    assert kept.startswith("a")
    assert kept.endswith("'\"%s?{}\t智安")


@pytest.mark.parametrize(
    ("search", "rows"),
    [
        (Search(), [1, 2, 3, 4, 5]),
        (Search(type="zhian.portal.forced"), [4]),
        (Search(type="zhian.portal."), [1, 2, 3, 4]),
        (Search(type="zhian.portal"), []),
        (Search(text="ALTOGETHER"), []),
        (Search(text="通行"), [5]),
        (Search(text="HELD open"), [3]),
        (Search(text="opened", type="zhian.access."), []),
        (Search(severity_at_least="warning"), [3, 4]),
        (Search(gateway="gw-2"), [5]),
        (Search(district="east", site="garden"), [1, 2, 3, 4]),
        (Search(subject="yard"), [5]),
        (Search(from_ms=NOW_MS + 2, to_ms=NOW_MS + 4), [2, 3]),
        (Search(grid="g-1"), []),
    ],
)
def test_search(both_writer: EventWriter, both_reading: EventReading, search: Search, rows: list[int]) -> None:
    store(both_writer, frame(1, 2), frame(3, data=PortalHeld("lobby", 31_000)), frame(4, data=PortalForced("lobby")))
    granted = AccessGranted("yard", "east", "card", "permitted")
    store(both_writer, frame(1, data=granted), name=GatewayName("e", "s", "gw-2"))
    assert [event.row for event in both_reading.search(search, oldest_first=True)] == rows
    assert [event.row for event in both_reading.search(search)] == rows[::-1]
    assert [event.row for event in both_reading.every(search, 2)] == rows[:2]
    assert [event.row for event in both_reading.search(search, after_row=2, before_row=4)] == [
        r for r in rows if r == 3
    ]


def test_a_search_that_cannot_be_is_refused(both_reading: EventReading) -> None:
    with pytest.raises(SearchError, match="expected one of"):
        both_reading.search(Search(severity_at_least="loud"))


def test_addresses_are_stamped_from_the_next_commit_on(
    make_database: MakeDatabase, both_writer: EventWriter, both_reading: EventReading
) -> None:
    store(both_writer, frame(1))
    site = Address("east", "garden", "", "", "320506-garden", "g-1", "阳光花园")
    door = Address("east", "garden", "gw-1", "lobby", "320506-garden-1", "g-2", "阳光花园1号楼")
    address_table.write(make_database(), [site, door], replace=False)
    store(both_writer, frame(2), frame(3, data=GatewayStarted("1", "start")))
    store(both_writer, frame(1), name=OTHER)
    seen = [(event.address, event.grid) for event in both_reading.search(Search(), oldest_first=True)]
    assert seen == [(None, None), ("320506-garden-1", "g-2"), ("320506-garden", "g-1"), (None, None)]
    assert [event.seq for event in both_reading.search(Search(grid="g-2"))] == [2]
    assert address_table.read(make_database()) == [site, door]
    address_table.write(make_database(), [door], replace=True)
    store(both_writer, frame(4, data=GatewayStarted("1", "start")))
    assert both_reading.newest(limit=1)[0].address is None


def test_removal_takes_whole_days_and_forgets_no_number(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    for day in range(4):
        store(both_writer, frame(day * 3 + 1, day * 3 + 2), now_ms=DAY_0 + day * DAY_MS + DAY_MS // 2)
    store(both_writer, frame(12), now_ms=DAY_0 + 4 * DAY_MS - 1)
    database = make_database()
    before_ms = DAY_0 + 2 * DAY_MS
    expected = {"2026-09-21": 2, "2026-09-22": 2}
    assert database.held_before(before_ms).days == expected
    removed = database.remove_before(before_ms, NOW_MS)
    assert (removed.events, removed.days) == (4, expected)
    assert database.remove_before(before_ms, NOW_MS + 1).events == 0
    reading = EventReading(make_database())
    assert [event.seq for event in reading.search(Search(), oldest_first=True)] == [7, 8, 10, 11, 12]
    counts = reading.counts()
    assert (counts.stored, counts.missing, counts.duplicated) == (9, 3, 0), "totals are since the beginning"
    outcome = store(both_writer, frame(1, 2, 4, 3))
    assert (outcome.stored, outcome.redelivered) == (1, 3), "what was removed is not stored again; a gap is filled"
    ((_, ack),) = outcome.acknowledgements
    assert (ack.stored_upto, ack.missing) == (5, ((6, 6), (9, 9)))


def test_row_numbers_are_never_used_again(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    store(both_writer, frame(1, 2, 3), now_ms=DAY_0)
    make_database().remove_before(DAY_0 + DAY_MS, NOW_MS)
    store(both_writer, frame(4), now_ms=DAY_0 + 2 * DAY_MS)
    reading = EventReading(make_database())
    assert [event.row for event in reading.newest()] == [4]
    assert reading.newest_row() == 4


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("events"), st.lists(st.integers(1, 30), min_size=1, max_size=8)),
            st.tuples(st.just("lost"), st.tuples(st.integers(1, 30), st.integers(0, 5))),
            st.tuples(st.just("remove"), st.just(None)),
        ),
        max_size=12,
    )
)
def test_any_history_stores_each_number_once(make_database: MakeDatabase, both_writer: EventWriter, history) -> None:
    """Whatever arrives in whatever order, with old days removed in between: one row ever for each number."""
    run = next(RUNS)
    epoch = f"{run:016x}"
    database = make_database()
    first_row = EventReading(database).newest_row()
    stored: set[int] = set()
    now_ms = DAY_0 + run * 40 * DAY_MS
    lost_number = 0
    for what, value in history:
        now_ms += DAY_MS
        if what == "events":
            outcome = store(both_writer, frame(*value, epoch=epoch), now_ms=now_ms)
            assert outcome.stored == len(set(value) - stored)
            stored |= set(value)
        elif what == "lost":
            lost_number += 1
            event = OutboxLost(epoch, ((value[0], value[0] + value[1]),), "disk")
            store(both_writer, frame(lost_number, epoch=f"{run + (1 << 40):016x}", data=event), now_ms=now_ms)
        else:
            database.remove_before(now_ms, now_ms)
    rows_given = EventReading(database).newest_row() - first_row
    database.close()
    assert rows_given == len(stored) + lost_number


def test_readers_and_writer_at_the_same_time(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    reading = EventReading(make_database())
    wrong: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            rows = [event.row for event in reading.search(Search(), limit=1000, oldest_first=True)]
            if rows != list(range(1, len(rows) + 1)):
                wrong.append(f"{rows}")

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    for i in range(60):
        store(both_writer, frame(*range(i * 5 + 1, i * 5 + 6)), now_ms=NOW_MS + i * DAY_MS // 10)
    done.set()
    for watcher in watchers:
        watcher.join(20)
    assert wrong == []
    assert reading.counts().stored == 300


def test_a_report_of_lost_numbers_makes_room_for_itself(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    """A backlog of holes: the report that closes them must not be refused because of them."""
    last = 2 * MAX_ISLANDS + 2
    outcome = store(both_writer, frame(*range(2, last, 2)))
    assert (outcome.stored, outcome.refused) == (MAX_ISLANDS, 0)
    assert store(both_writer, frame(last + 7)).refused == 1
    lost = OutboxLost(EPOCH, ((1, last - 2), (last + 1, last + 3)), "full")
    outcome = store(both_writer, frame(last + 9, data=lost))
    assert (outcome.stored, outcome.refused) == (1, 0)
    ((_, ack),) = outcome.acknowledgements
    assert (ack.stored_upto, ack.missing) == (last - 2, ((last - 1, last), (last + 4, last + 8)))
    assert store(both_writer, frame(3)).stored == 1, "a number that was reported lost turned up"


def test_a_lost_range_cannot_be_split_without_end() -> None:
    coverage = Coverage()
    coverage.lose(1, 1 << 53)
    kept = [number for number in range(2, 4 * MAX_LOST, 2) if coverage.store(number)]
    assert len(kept) == MAX_LOST - 1
    assert len(coverage.lost) == MAX_LOST
    assert coverage.missing() == 0


# --- PostgreSQL alone ---------------------------------------------------------------------------------------------


def test_a_server_that_went_away_is_used_again(postgres: PostgresServer) -> None:
    dsn = postgres.database()
    with contextlib.closing(EventWriter(PostgresDatabase(dsn))) as writer:
        store(writer, frame(1, 2))
        reading = EventReading(PostgresDatabase(dsn))
        assert reading.counts().stored == 2
        postgres.stop()
        try:
            for use in (lambda: store(writer, frame(3)), reading.counts):
                with pytest.raises(StoreError) as e:
                    use()
                assert "\n" not in str(e.value)
        finally:
            postgres.start()
        outcome = store(writer, frame(2, 3))
        assert (outcome.stored, outcome.redelivered) == (1, 1)
        assert reading.counts().stored == 3
        with pytest.raises(StoreError, match="another center writes"):
            EventWriter(PostgresDatabase(dsn))
        reading.database.close()


def test_views_for_third_parties(postgres: PostgresServer) -> None:
    import psycopg

    dsn = postgres.database()
    with contextlib.closing(EventWriter(PostgresDatabase(dsn))) as writer:
        store(writer, frame(1, data=PortalForced("lobby"), simulated=True))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE visitor LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA zhian TO visitor")
        connection.execute("GRANT SELECT ON zhian.event_v1 TO visitor")
    with psycopg.connect(dsn.replace("user=postgres", "user=visitor")) as visitor:
        row = visitor.execute(
            "SELECT id, source, type, severity, clock, simulated, data->>'portal', extract(epoch FROM time)"
            " FROM zhian.event_v1 WHERE received_ms >= %s",
            [NOW_MS],
        ).fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            visitor.execute("SELECT * FROM zhian.event")
    assert row is not None
    assert row[:7] == (f"{EPOCH}-1", "/east/garden/gw-1", "zhian.portal.forced", "alarm", "synced", True, "lobby")
    assert float(row[7]) == (NOW_MS + 1) / 1000
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP OWNED BY visitor")
        connection.execute("DROP ROLE visitor")


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [("this is = not = one", "expected a libpq connection string"), ("host=/nowhere dbname=x", "cannot be used")],
)
def test_a_wrong_connection_string_is_one_sentence(dsn: str, expected: str) -> None:
    with pytest.raises(StoreError, match=expected) as e:
        EventWriter(PostgresDatabase(dsn))
    assert "\n" not in str(e.value)


def test_an_empty_database_says_what_is_missing(postgres: PostgresServer) -> None:
    reading = EventReading(PostgresDatabase(postgres.database()))
    with pytest.raises(StoreError, match="start `zhian center run` first"):
        reading.counts()
    reading.database.close()
