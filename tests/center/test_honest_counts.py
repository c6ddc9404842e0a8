"""What the center says is true in the rare cases, too: many losses and epochs, hostile gateways, odd clocks."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from conftest import MakeDatabase
from postgres_server import PostgresServer
from test_center_api import browser
from test_store import EPOCH, GATE, LATER, NOW_MS, frame, store

from center.broker.mosquitto import mosquitto_conf
from center.config import Broker
from center.contract.catalogue import OutboxLost
from center.contract.state import GatewayState
from center.egress.ledger import Ledger
from center.errors import ClockDoubtedError, StoreError
from center.ingest import session as session_module
from center.ingest.inbox import MAX_SHARE_MESSAGES, Inbox, Message
from center.ingest.session import Session
from center.store import retention
from center.store.batch import MAX_NEW_EPOCHS_A_DAY
from center.store.coverage import MAX_LOST
from center.store.database import SqliteDatabase
from center.store.postgres import PostgresDatabase
from center.store.reading import EventReading
from center.store.statements import DAY_MS
from center.store.writing import EventWriter, Received
from center.web.metrics import INGEST_SILENT_MS, health_of
from runtime import mqtt
from runtime.mqtt import Access, Arrived

# --- counts -------------------------------------------------------------------------------------------------------


def test_lost_numbers_beyond_the_list_are_counted_as_lost(both_writer: EventWriter, both_reading: EventReading) -> None:
    for block in range(4):
        first, end = block * MAX_LOST + 1, (block + 1) * MAX_LOST + 1
        store(both_writer, frame(*range(first, end, 2)))
        lost = OutboxLost(EPOCH, tuple((n, n) for n in range(first + 1, end, 2)), "full")
        store(both_writer, frame(block + 1, epoch=LATER, data=lost))
    row = next(row for row in both_reading.coverage(incomplete=True) if row.epoch == EPOCH)
    assert (row.stored_upto, row.missing) == (4 * MAX_LOST, 0)
    assert row.lost == 2 * MAX_LOST, "everything that is neither here nor missing is lost"


def test_the_list_of_gateways_shows_the_epoch_of_the_state(
    both_writer: EventWriter, both_reading: EventReading
) -> None:
    """An alarm from a gateway without a disk comes in an epoch of its own, which is newer and complete."""
    state = GatewayState(online=True, version="1", epoch=EPOCH, last_seq=9)
    both_writer.store([Received(GATE, state)], NOW_MS)
    store(both_writer, frame(1, 2, 4))
    store(both_writer, frame(1, epoch=LATER))
    (row,) = both_reading.gateways()
    assert (row.epoch, row.stored_upto, row.highest_seen, row.missing) == (EPOCH, 2, 9, 6)
    store(both_writer, frame(5, epoch=LATER))
    assert both_reading.gateways()[0].missing == 9, "of all epochs"


def test_what_was_before_the_center_is_not_lost(both_writer: EventWriter, both_reading: EventReading) -> None:
    both_writer.store([Received(GATE, GatewayState(online=True, epoch=EPOCH, first_seq=90, last_seq=91))], NOW_MS)
    (row,) = both_reading.coverage()
    assert (row.stored_upto, row.lost, row.lost_ranges, row.missing_ranges) == (89, 0, (), ((90, 91),))


# --- hostile gateways ---------------------------------------------------------------------------------------------


def test_a_report_begins_no_epoch_and_is_answered_for_its_own_only(
    both_writer: EventWriter, both_reading: EventReading
) -> None:
    store(both_writer, frame(1, 3, epoch=LATER))
    reports = [frame(n, data=OutboxLost(LATER if n == 1 else f"{n:016x}", ((2, 2),), "disk")) for n in range(1, 300)]
    outcome = store(both_writer, *reports)
    assert [ack.epoch for _, ack in outcome.acknowledgements] == [EPOCH]
    assert {row.epoch: row.lost for row in both_reading.coverage()} == {EPOCH: 0, LATER: 1}


def test_one_gateway_begins_a_bounded_number_of_epochs_a_day(
    both_writer: EventWriter, both_reading: EventReading
) -> None:
    frames = [frame(1, 2, epoch=f"{n:016x}") for n in range(MAX_NEW_EPOCHS_A_DAY + 50)]
    outcome = store(both_writer, *frames)
    assert (outcome.stored, outcome.refused) == (2 * MAX_NEW_EPOCHS_A_DAY, 100)
    assert len(outcome.acknowledgements) == MAX_NEW_EPOCHS_A_DAY
    assert store(both_writer, frames[0], frames[-1], now_ms=NOW_MS + DAY_MS - 1).refused == 2
    assert store(both_writer, frames[-1], now_ms=NOW_MS + DAY_MS).stored == 2, "the next day"
    assert both_reading.total("refused") == 102


async def test_one_gateway_cannot_fill_the_inbox() -> None:
    def message(gateway: str, kind: str = "event") -> Message:
        return Message(Arrived(f"zhian/v1/east/garden/{gateway}/up/{kind}", b"x", 1, 1, False), 1)

    inbox = Inbox()
    taken = [inbox.put(message("hostile", kind)) for kind in ("event", "alarm") for _ in range(MAX_SHARE_MESSAGES)]
    assert taken.count(True) == MAX_SHARE_MESSAGES, "whatever topics of its own it uses"
    assert inbox.put(message("gw-1"))
    await inbox.take(10, 1000)
    assert [inbox.put(message("hostile")) for _ in range(11)].count(True) == 10, "room comes back"
    assert not Inbox(max_messages=1, max_bytes=0).put(message("gw-1"))


def test_mosquitto_keeps_a_bounded_number_of_bytes(tmp_path: Path) -> None:
    lines = mosquitto_conf(Broker(data="d", users_file="u"), tmp_path, None).splitlines()
    assert "max_queued_bytes 67108864" in lines


# --- a server or broker that goes away ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dsn",
    [
        "host=db.example dbname=zhian",
        "host=db.example sslmode=require",
        "host=10.0.0.5 user=zhian password=very-secret dbname=zhian",
        "host=127.0.0.1,db.example sslmode=verify-ca",
        "hostaddr=10.0.0.5",
    ],
)
def test_a_server_on_another_machine_must_show_who_it_is(dsn: str) -> None:
    with pytest.raises(StoreError, match="expected sslmode=verify-full") as e:
        PostgresDatabase(dsn)
    assert "very-secret" not in str(e.value)


@pytest.mark.parametrize(
    "dsn", ["dbname=zhian", "host=/run/postgresql", "host=localhost", "host=db.example sslmode=verify-full"]
)
def test_a_server_here_or_with_a_certificate_is_taken(dsn: str) -> None:
    PostgresDatabase(dsn)


def test_a_server_that_dies_during_a_statement_is_noticed(postgres: PostgresServer) -> None:
    database = PostgresDatabase(postgres.database())
    with contextlib.closing(EventWriter(database)), database.reading() as read:
        given = read.connection.info.get_parameters()  # type: ignore[attr-defined]
    assert [given[f"keepalives_{name}"] for name in ("idle", "interval", "count")] == ["10", "5", "3"]
    database.close()


@contextlib.asynccontextmanager
async def silent_broker(connects: list[int]) -> AsyncIterator[int]:
    """Lets in, grants one subscription, and confirms no publish."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, size = await reader.readexactly(2)  # our packets here are shorter than 128 bytes
                body = await reader.readexactly(size)
                if kind == 0x10:
                    connects.append(1)
                    writer.write(b"\x20\x02\x00\x00")
                elif kind == 0x82:
                    writer.write(b"\x90\x03" + body[:2] + b"\x01")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_broker_that_confirms_nothing_is_connected_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "STALL_S", 0.05)
    monkeypatch.setattr(session_module, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(session_module, "RECONNECT_MIN_S", 0.01)
    connects: list[int] = []
    async with silent_broker(connects) as port:
        session = Session(Access("127.0.0.1", port, "id"), ["zhian/v1/+/+/+/up/event"], Inbox())
        task = asyncio.create_task(session.run())
        async with asyncio.timeout(20):
            while len(connects) < 2:
                session.publish("zhian/v1/east/garden/gw-1/down/ack", b"{}")
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- health -------------------------------------------------------------------------------------------------------


async def test_health_says_that_ingest_is_silent(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    reading = EventReading(make_database())
    assert health_of(reading, NOW_MS)["ingest"] == "silent", "never heard of"
    both_writer.note({"ingest_ms": NOW_MS, "connected_ms": NOW_MS}, {"messages_overflowed": 3})
    assert health_of(reading, NOW_MS + INGEST_SILENT_MS) == {"ok": True, "store": "readable", "ingest": "working"}
    assert health_of(reading, NOW_MS + INGEST_SILENT_MS + 1)["ok"] is False
    both_writer.note({"ingest_ms": NOW_MS + 2 * INGEST_SILENT_MS}, {"messages_overflowed": 4})
    assert health_of(reading, NOW_MS + 2 * INGEST_SILENT_MS)["ingest"] == "no broker"
    async with browser(reading, enter=False) as client:
        answer = await client.get("/health")  # by this machine's clock
        assert (answer.status_code, answer.json()["ingest"]) == (503, "silent")
        assert "zhian_center_messages_overflowed_total 7.0" in (await client.get("/metrics")).text


def test_no_question_to_sqlite_runs_on_and_on(tmp_path: Path) -> None:
    path = tmp_path / "center.sqlite"
    with contextlib.closing(EventWriter(path)):
        pass
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(StoreError, match="took longer than"), SqliteDatabase(path).reading(timeout_s=0.1) as read:
        read.rows(endless)


# --- a store put back, a clock that jumps, a webhook left behind --------------------------------------------------


async def test_a_cursor_of_a_store_that_was_put_back_is_refused(tmp_path: Path) -> None:
    path, backup = tmp_path / "center.sqlite", tmp_path / "backup.sqlite"
    with contextlib.closing(EventWriter(path)) as writer:
        store(writer, frame(1, 2))
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(backup)) as copy:
            source.backup(copy)
        store(writer, frame(3, 4, 5))
    async with browser(EventReading(path)) as client:
        before = (await client.get("/api/v1/events?order=oldest&limit=2")).json()["next"]
        behind = (await client.get("/api/v1/events?order=oldest&limit=4")).json()["next"]
        for left in tmp_path.glob("center.sqlite*"):
            left.unlink()
        shutil.copy(backup, path)
        with contextlib.closing(EventWriter(path)) as writer:
            store(writer, frame(6, 7, 8, 9))
            assert [e.row for e in EventReading(path).newest()] == [6, 5, 4, 3, 2, 1], "the same numbers again"
            refused = await client.get(f"/api/v1/events?cursor={behind}")
            assert refused.status_code == 422
            assert "put back to an earlier state" in refused.json()["error"]["text"]
            kept = (await client.get(f"/api/v1/events?cursor={before}")).json()["events"]
            assert [event["id"] for event in kept] == [f"{EPOCH}-{n}" for n in (6, 7, 8, 9)]


def test_a_clock_that_jumped_removes_nothing(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    database = make_database()
    for n, days_ago in enumerate((200, 100, 2, 0), 1):
        store(both_writer, frame(n), now_ms=NOW_MS - days_ago * DAY_MS)
    year_on = NOW_MS + 365 * DAY_MS
    for _ in range(2):
        with pytest.raises(ClockDoubtedError, match="check it"):
            retention.remove(database, year_on, 180)
        store(both_writer, frame(5), now_ms=year_on - 1)  # ingest has the same wrong clock
    assert EventReading(make_database()).newest(limit=9)[-1].seq == 1
    assert retention.remove(database, NOW_MS, 180).events == 1, "the right clock is believed"
    store(both_writer, frame(6), now_ms=year_on + DAY_MS)
    assert retention.remove(database, year_on + 2 * DAY_MS, 180).events == 3, "events went on being received under it"


def test_a_person_may_say_that_the_clock_is_right(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    store(both_writer, frame(1), now_ms=NOW_MS - 365 * DAY_MS)
    assert retention.remove(make_database(), NOW_MS, 180, trust_clock=True).events == 1


async def test_what_retention_takes_before_a_webhook_came_to_it_is_counted(
    make_database: MakeDatabase, both_writer: EventWriter
) -> None:
    ledger, database = Ledger(make_database()), make_database()
    ledger.begin("police")
    store(both_writer, frame(1, 2, 3), now_ms=NOW_MS - 200 * DAY_MS)
    ledger.reached("police", 1, 1)
    for _ in range(2):
        retention.remove(database, NOW_MS, 180, trust_clock=True)
    assert [one.removed for one in ledger.progress()] == [2]
    async with browser(EventReading(make_database()), enter=False) as client:
        assert 'zhian_center_webhook_removed_total{endpoint="police"} 2.0' in (await client.get("/metrics")).text


def test_a_postgresql_store_of_the_first_version_is_brought_up(postgres: PostgresServer) -> None:
    dsn = postgres.database()
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=zhian") as old:
        old.execute("CREATE SCHEMA zhian")
        old.execute(files("center.store").joinpath("postgres.sql").read_bytes())
        old.execute("INSERT INTO gateway (district, site, gateway) VALUES ('east', 'garden', 'gw-1')")
        old.execute(f"INSERT INTO epoch (gateway_id, epoch, stored_upto, known_upto) VALUES (1, '{EPOCH}', 5, 5)")
    with contextlib.closing(EventWriter(PostgresDatabase(dsn))) as writer:
        assert store(writer, frame(5, 6)).stored == 1
