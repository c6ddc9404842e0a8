"""The center's whole path (broker, decode, recognise copies, store, acknowledge) against bare stores and a bare client.

Three processes, as in a district: broker, center (this one), and one that sends for all gateways. PostgreSQL is
measured in a server of its own (Debian's programs), or in the database that ZHIAN_BENCH_DSN names, whose schema `zhian`
is dropped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from center.contract.acknowledgement import Ack, decode_answer
from center.contract.catalogue import Event
from center.contract.frame import FrameEncoder
from center.contract.topics import GatewayName, Kind, every_gateway, parse, topic
from center.ingest.ingest import Ingest
from center.store.database import SqliteDatabase
from center.store.reading import EventReading
from center.store.statements import Database
from center.store.writing import EventWriter
from runtime.mqtt import Access, Arrived, Connection, Manner
from zhian.benches import Figure, absolute, against
from zhian.benches import center_ceilings as ceilings
from zhian.benches.events import SEED, SITE, _Broker
from zhian.event_traffic import EVENTS_PER_DAY, epoch, events
from zhian.postgres_server import PostgresServer, programs

EVENTS = 100_000
MESSAGES = 10_000
BATCH = 100
REPEATS = 3
OWN_TABLE_GOAL = 0.5  # docs/adr/0006-what-the-center-can-reach.md
SENDERS = 50  # gateways that the load of the first rows comes from
WINDOW = 200  # messages that the sending process has unconfirmed
DISTRICT_GATEWAYS = 5_000
RUSH = 20  # times the mean of a day
DISTRICT_PER_S = DISTRICT_GATEWAYS * EVENTS_PER_DAY * RUSH / 86_400
DISTRICT_S = 20.0
DSN = "ZHIAN_BENCH_DSN"
_DEADLINE_S = 180.0
_EPOCH = epoch(SEED)


def run() -> list[Figure]:
    """All rows; about two minutes."""
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="zhian-bench-", dir=Path.cwd()) as folder:
        place = Path(folder)
        broker = _Broker(place)
        await broker.start()
        try:
            figures = await _sqlite_in_batches(broker.port, place)
            if os.environ.get(DSN) or programs():
                figures += await _postgresql_in_batches(broker.port, place)
            else:
                print(
                    f"center in PostgreSQL: not measured; {DSN} names no database, none is installed", file=sys.stderr
                )
            figures += [await _one_by_one(broker.port, place), *await _district(broker.port, place)]
        finally:
            broker.stop()
    return figures


# --- rows ---------------------------------------------------------------------------------------------------------


async def _sqlite_in_batches(port: int, place: Path) -> list[Figure]:
    """Path and ceilings in turn, the best of REPEATS each: what else the machine does then weighs on all alike."""
    rows, found = ceilings.rows_of(_load(EVENTS, BATCH)), []
    for turn in range(REPEATS):
        path = await _stored_per_s(port, SqliteDatabase(place / f"batches-{turn}.sqlite"), EVENTS, BATCH)
        bare = ceilings.bare_sqlite_per_s(place / f"bare-{turn}.sqlite", rows)
        found.append((path, bare, ceilings.own_sqlite_per_s(place / f"own-{turn}.sqlite", rows)))
    return _in_batches("SQLite", found, 0.5)


async def _postgresql_in_batches(port: int, place: Path) -> list[Figure]:
    """As above. A store that is not empty would not be measured alike: each turn has its own schema."""
    from center.store.postgres import PostgresDatabase

    rows, found = ceilings.rows_of(_load(EVENTS, BATCH)), []
    async with _postgresql(place) as dsn:
        for _ in range(REPEATS):
            _empty(dsn)
            path = await _stored_per_s(port, PostgresDatabase(dsn), EVENTS, BATCH)
            bare = ceilings.bare_copy_per_s(dsn, rows)
            _empty(dsn)
            found.append((path, bare, ceilings.own_copy_per_s(dsn, rows)))
    return _in_batches("PostgreSQL", found, 0.4)


def _in_batches(store: str, found: list[tuple[float, float, float]], goal: float) -> list[Figure]:
    path, bare, own = (max(column) for column in zip(*found, strict=True))
    name = f"center: whole path, batches of 100, {store}"
    return [
        against(name, path, "events/s", bare, goal, "higher"),
        against(f"{name}; its own table filled bare", path, "events/s", own, OWN_TABLE_GOAL, "higher"),
    ]


@asynccontextmanager
async def _postgresql(place: Path) -> AsyncIterator[str]:
    """The database that DSN names, else a server of our own for as long as this lasts."""
    if given := os.environ.get(DSN):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="zhian-pg-"))  # not in `place`: a socket's path has to be short
    server = PostgresServer(folder)
    await asyncio.to_thread(server.make)
    with (place / "postgres.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *server.words, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        await _until(server.accepts, every_s=0.1)
        yield server.dsn
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # fast shutdown
        await process.wait()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _empty(dsn: str) -> None:
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS zhian CASCADE")
        connection.execute("CHECKPOINT")


async def _one_by_one(port: int, place: Path) -> Figure:
    rate = await _stored_per_s(port, SqliteDatabase(place / "single.sqlite"), MESSAGES, 1)
    ceiling = await _bare_subscriber(port)
    return against("center: whole path, one event a message", rate, "events/s", ceiling, 0.5, "higher")


async def _district(port: int, place: Path) -> list[Figure]:
    """Open loop: what the sender sends does not wait for the center."""
    async with _center(port, SqliteDatabase(place / "district.sqlite")) as reading, _sender(port, "district") as sent:
        cpu_s, began = time.process_time(), time.perf_counter()
        result = json.loads(await sent())
        cpu = (time.process_time() - cpu_s) / (time.perf_counter() - began)
        stored = reading.total("stored")
    load = f"center: {DISTRICT_GATEWAYS} gateways, {DISTRICT_PER_S:.0f} events/s"
    return [
        absolute(f"{load}: made and not stored", result["made"] - stored, "events", 0, "lower"),
        absolute(f"{load}: made to acknowledged, p50", result["p50_ms"], "ms", 500, "lower"),
        absolute(f"{load}: made to acknowledged, p99", result["p99_ms"], "ms", 1000, "lower"),
        absolute(f"{load}: CPU of the center", cpu, "cores", 1.0, "lower"),
    ]


# --- the center's side --------------------------------------------------------------------------------------------


@asynccontextmanager
async def _center(port: int, database: Database) -> AsyncIterator[EventReading]:
    """Ingest in this process, as `zhian center run` has it."""
    writer = EventWriter(database)
    ingest = Ingest(writer, Access("127.0.0.1", port, f"center-{time.monotonic_ns()}"))
    task = asyncio.create_task(ingest.run())
    try:
        await _until(lambda: ingest.connected)
        yield EventReading(database)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


async def _stored_per_s(port: int, database: Database, count: int, batch: int) -> float:
    async with _center(port, database) as reading, _sender(port, "load", count, batch) as sent:
        began = time.perf_counter()
        sending = asyncio.create_task(sent())
        # Seldom enough that the looks cost the center nothing that shows.
        await _until(lambda: reading.total("stored") == count, every_s=0.05)
        took_s = time.perf_counter() - began
        await sending
    return count / took_s


async def _bare_subscriber(port: int) -> float:
    """paho alone: takes the same messages with QoS 1 and does nothing with them."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    arrived = [0]
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv311)
    subscribed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def took(_: object, __: object, ___: mqtt.MQTTMessage) -> None:
        arrived[0] += 1

    def granted(*_: object) -> None:
        loop.call_soon_threadsafe(subscribed.set)

    client.on_message = took
    client.on_subscribe = granted
    client.connect("127.0.0.1", port)
    client.subscribe(every_gateway(Kind.EVENT), qos=1)
    client.loop_start()
    await asyncio.wait_for(subscribed.wait(), 20)
    async with _sender(port, "load", MESSAGES, 1) as sent:
        began = time.perf_counter()
        sending = asyncio.create_task(sent())
        await _until(lambda: arrived[0] >= MESSAGES)
        took_s = time.perf_counter() - began
        await sending
    client.disconnect()
    client.loop_stop()
    return MESSAGES / took_s


async def _until(condition: Callable[[], bool], every_s: float = 0.01) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # another process' work has no event
            await asyncio.sleep(every_s)


# --- the gateways' side, a process of its own -----------------------------------------------------------------------


@asynccontextmanager
async def _sender(port: int, *words: object) -> AsyncIterator[Callable[[], Coroutine[None, None, str]]]:
    """A process with everything encoded and connected; the function has it send, and gives what it says at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhian.benches.center", str(port), *map(str, words),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    told, heard = process.stdin, process.stdout

    async def send() -> str:
        told.write(b"go\n")
        await told.drain()
        async with asyncio.timeout(_DEADLINE_S):
            return (await heard.readline()).decode()

    try:
        async with asyncio.timeout(_DEADLINE_S):
            await heard.readline()
        yield send
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _gateway(number: int) -> GatewayName:
    return GatewayName("east", f"site-{number % 100}", f"gw-{number}")


def _load(count: int, batch: int) -> Iterator[tuple[str, bytes]]:
    """(topic, frame): `count` events of SENDERS gateways in turn, each gateway's numbered from 1."""
    made, encoder = events(SITE, SEED, count // SENDERS), FrameEncoder()
    numbered = [replace(event, seq=n) for n, event in enumerate(made, 1)]
    for first in range(0, len(numbered), batch):
        frame = encoder.encode(_EPOCH, numbered[first : first + batch], False)
        yield from ((topic(_gateway(number), Kind.EVENT), frame) for number in range(SENDERS))


async def _send_load(port: int, count: int, batch: int) -> None:
    frames = list(_load(count, batch))
    connection = await Connection.open(
        Access("127.0.0.1", port, f"load-{os.getpid()}"), [], lambda _: None, manner=Manner(in_flight=WINDOW)
    )
    await _go()
    for where, frame in frames:
        while not connection.publish(where, frame):  # noqa: ASYNC110
            await asyncio.sleep(0)
    while connection.unconfirmed:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    print("sent", flush=True)
    await connection.close()


async def _send_district(port: int) -> None:
    """DISTRICT_PER_S for DISTRICT_S, one event a message, gateways in turn; the time until each is acknowledged."""
    made, encoder = events(SITE, SEED, 1000), FrameEncoder()
    sent_s: dict[tuple[GatewayName, int], float] = {}
    taken_ms: list[float] = []

    def acknowledged(message: Arrived) -> None:
        name, answer = parse(message.topic)[0], decode_answer(message.payload)
        if isinstance(answer, Ack) and (name, answer.stored_upto) in sent_s:
            taken_ms.append((time.perf_counter() - sent_s.pop((name, answer.stored_upto))) * 1000)

    connection = await Connection.open(
        Access("127.0.0.1", port, "district"), [every_gateway(Kind.ACK)], acknowledged, manner=Manner(in_flight=2000)
    )
    await _go()
    count, began = round(DISTRICT_PER_S * DISTRICT_S), time.perf_counter()
    for number in range(count):
        due_s = began + number / DISTRICT_PER_S
        if (early_s := due_s - time.perf_counter()) > 0:
            await asyncio.sleep(early_s)
        name, seq = _gateway(number % DISTRICT_GATEWAYS), number // DISTRICT_GATEWAYS + 1
        event: Event = replace(made[number % len(made)], seq=seq, time_ms=time.time_ns() // 1_000_000)
        sent_s[name, seq] = due_s  # when it was made: a sender that is late does not make the center look better
        connection.publish(topic(name, Kind.EVENT), encoder.encode(_EPOCH, [event], False))
    end_s = time.perf_counter() + 30
    while sent_s and time.perf_counter() < end_s:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    taken_ms.sort()
    found = {f"p{part}_ms": taken_ms[len(taken_ms) * part // 100] if taken_ms else 1e6 for part in (50, 99)}
    print(json.dumps({"made": count, **found}), flush=True)
    await connection.close()


async def _go() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    if sys.argv[2] == "district":
        asyncio.run(_send_district(int(sys.argv[1])))
    else:
        asyncio.run(_send_load(int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])))
