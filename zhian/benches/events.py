"""Events on the wire: their size against JSON with gzip, and what sending costs against a bare MQTT client.

Sizes: invented traffic (zhian/event_traffic.py) of a site whose names no dictionary has seen. "JSON" is as short as
honest JSON gets: one identity, one time, the type's name, the fields that are set.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt

from center.contract.acknowledgement import Ack, encode_ack
from center.contract.catalogue import CATALOGUE, Event, PortalOpened
from center.contract.cloudevents import rfc3339, to_cloudevent
from center.contract.frame import FrameDecoder, FrameEncoder
from center.contract.ranges import Ranges
from gateway.drivers.clock import SystemClock
from gateway.ports import NewEntry
from gateway.store import database
from gateway.store.journal import Journal
from gateway.store.journal_rows import row_of
from gateway.store.memory_ring import MemoryRow
from gateway.uplink.uplink import Uplink, UplinkSettings
from runtime.mqtt import Access, Arrived, Connection, Manner
from zhian.benches import Figure, absolute, against
from zhian.event_traffic import Community, epoch, events
from zhian.site_files import free_port

SITE = Community(
    ("unit-5-door", "unit-6-door", "unit-7-door", "unit-8-door", "clubhouse", "bicycle-shed"),
    ("south-barrier", "service-barrier"),
)
SEED = 7
EVENTS = 10_000
BATCH = 100
SLICES = 6  # each way of sending takes turns: the machine's speed varies more than what is measured
SLICE = 500
SENT = SLICES * SLICE
WINDOW = 200
_EPOCH = epoch(SEED)
_TOPIC = "zhian/v1/d/s/g/up/event"


def run() -> list[Figure]:
    """Sizes first; then a broker on loopback for the rest."""
    made = events(SITE, SEED, EVENTS)
    return [*_sizes(made), *asyncio.run(_sending())]


# --- sizes ---------------------------------------------------------------------------------------------------------


def as_json(event: Event) -> bytes:
    """The shortest honest JSON of this event by itself."""
    fields = {k: v for k, v in msgspec.structs.asdict(event.data).items() if v not in (None, False)}
    document: dict[str, Any] = {
        "id": f"{_EPOCH}-{event.seq}",
        "gateway": "gw-1",
        "time": rfc3339(event.time_ms),
        "type": CATALOGUE[type(event.data)].type,
        "clock": "synced" if event.clock_certain else "uncertain",
        "data": fields,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _sizes(made: list[Event]) -> list[Figure]:
    encoder = FrameEncoder()
    zipped = sum(len(gzip.compress(as_json(event), 6, mtime=0)) for event in made) / len(made)
    cloud = [json.dumps(to_cloudevent(e, "east", "garden", "gw-1", _EPOCH, False), separators=(",", ":")) for e in made]
    print(  # what the page about events quotes, beside the figures with a goal
        f"JSON {sum(len(as_json(e)) for e in made) / len(made):.0f} B, with gzip {zipped:.0f} B;"
        f" CloudEvents JSON {sum(map(len, cloud)) / len(made):.0f} B an event",
        file=sys.stderr,
    )
    live = sum(len(encoder.encode(_EPOCH, [event], False)) for event in made) / len(made)
    figures = [against("event: bytes, live", live, "B/event", zipped, 0.25, "lower")]
    for batch, goal in ((BATCH, 0.08), (10, 0.25), (1000, 0.08)):
        frames = [encoder.encode(_EPOCH, made[i : i + batch], False) for i in range(0, len(made), batch)]
        each = sum(map(len, frames)) / len(made)
        figures.append(against(f"event: bytes, batches of {batch}", each, "B/event", zipped, goal, "lower"))
    return figures


# --- sending -------------------------------------------------------------------------------------------------------


async def _sending() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="zhian-bench-", dir=Path.cwd()) as folder:
        broker = _Broker(Path(folder))
        await broker.start()
        try:
            raw, floor, ours, all_of_it = await _take_turns(broker.port, Path(folder))
        finally:
            broker.stop()
    per_1000 = 1e3 / SENT
    return [
        against("event: publish one by one", SENT / ours.wall_s, "events/s", SENT / raw.wall_s, 0.5, "higher"),
        against(
            "event: CPU per 1000, store and send", all_of_it.cpu_s * per_1000, "s", raw.cpu_s * per_1000, 2.5, "lower"
        ),
        against(
            "event: the same against its floor", all_of_it.cpu_s * per_1000, "s", floor.cpu_s * per_1000, 2.5, "lower"
        ),
        against("event: that floor", floor.cpu_s * per_1000, "s", raw.cpu_s * per_1000, 2.5, "lower"),
        absolute("event: kept of 1000 of one device in one ms", await _same_millisecond(), "events", 1000, "higher"),
    ]


async def _take_turns(port: int, folder: Path) -> tuple[_Cost, _Cost, _Cost, _Cost]:
    """The bare client, the floor, our connection, journal and uplink. What is opened or encoded for the yardsticks is
    so before their turns: they are to cost as little as they can."""
    raw, floor, ours, all_of_it = _Cost(), _Cost(), _Cost(), _Cost()
    made = _made()
    connection = database.open_for_writing(folder / "floor.sqlite")
    with contextlib.closing(connection), _bare(port, "raw") as first, _bare(port, "floor") as second:
        async with _Path(port, folder) as path:
            for i in range(SLICES):
                await raw.measure(lambda: _raw(first, made))
                await floor.measure(lambda i=i: _floor(second, connection, made, 1 + i * SLICE))
                await ours.measure(lambda: _publish(port, made))
                await all_of_it.measure(lambda: path.store_and_send(made))
    return raw, floor, ours, all_of_it


@dataclass(slots=True)
class _Cost:
    """Sums over slices: what the work says it took, and the CPU seconds of this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    async def measure(self, work: Callable[[], Awaitable[float]]) -> None:
        began = time.process_time()
        self.wall_s += await work()
        self.cpu_s += time.process_time() - began


class _Broker:
    """nats-server on loopback without users: what is compared is on this side of it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._file = folder / "nats.conf"
        store, mqtt = str(folder / "nats"), {"host": "127.0.0.1", "port": self.port}
        self._file.write_text(
            json.dumps(
                {"server_name": "b", "host": "127.0.0.1", "port": -1, "mqtt": mqtt, "jetstream": {"store_dir": store}}
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        self._process = subprocess.Popen([program, "--config", str(self._file)], stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


@contextmanager
def _bare(port: int, name: str) -> Iterator[mqtt.Client]:
    """A paho client with its own thread, connected: what it costs to be there is not what sending costs."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv311)
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@dataclass(frozen=True, slots=True)
class _Made:
    """What is sent, encoded beforehand: the two yardsticks do not pay for it, ours does."""

    events: list[Event]
    rows: list[MemoryRow]
    frames: list[bytes]


def _made() -> _Made:
    made, encoder = events(SITE, SEED, SLICE), FrameEncoder()
    return _Made(
        made,
        [row_of(event.data, event.time_ms, True, None, None) for event in made],
        [encoder.encode(_EPOCH, [event], False) for event in made],
    )


async def _raw(client: mqtt.Client, made: _Made) -> float:
    """The same bytes, QoS 1, at most WINDOW unconfirmed."""

    def send() -> float:
        began = time.perf_counter()
        sent = [client.publish(_TOPIC, frame, 1) for frame in made.frames]
        for one in sent:
            one.wait_for_publish(20)
        return time.perf_counter() - began

    return await asyncio.to_thread(send)


async def _floor(client: mqtt.Client, connection: database.Connection, made: _Made, first: int) -> float:
    """What no journal with an uplink can do without: each event one durable commit, then one bare publish; no loop, no
    second thread but paho's own, nothing encoded, nothing read back, nothing acknowledged. `first`: the number of the
    first row."""
    insert = "INSERT INTO journal (seq, time_ms, clock_certain, type, portal, data, severity) VALUES (?,?,?,?,?,?,?)"

    def send() -> float:
        began = time.perf_counter()
        sent = []
        for seq, (row, frame) in enumerate(zip(made.rows, made.frames, strict=True), first):
            connection.execute(insert, (seq, row.time_ms, 1, row.type, row.portal, row.data, row.severity))
            sent.append(client.publish(_TOPIC, frame, 1))
        for one in sent:
            one.wait_for_publish(20)
        return time.perf_counter() - began

    return await asyncio.to_thread(send)


async def _publish(port: int, made: _Made) -> float:
    """Encode each event by itself and publish it over our connection, at most WINDOW unconfirmed."""
    encoder = FrameEncoder()
    manner = Manner(in_flight=WINDOW)
    connection = await Connection.open(Access("127.0.0.1", port, "ours"), [], lambda _: None, manner=manner)
    began = time.perf_counter()
    for event in made.events:
        frame = encoder.encode(_EPOCH, [event], False)
        while not connection.publish(_TOPIC, frame):  # noqa: ASYNC110
            await asyncio.sleep(0)
    while connection.unconfirmed:  # noqa: ASYNC110  # a bench: nothing else to do
        await asyncio.sleep(0)
    taken_s = time.perf_counter() - began
    await connection.close()
    return taken_s


class _Path:
    """Journal and uplink as in core, one commit and one message an event; another process answers for the center."""

    def __init__(self, port: int, folder: Path) -> None:
        clock, file = SystemClock("Asia/Shanghai", 0), folder / "bench.sqlite"
        self._port = port
        self._journal = Journal(database.open_for_writing(file), clock, file)
        settings = UplinkSettings("127.0.0.1", port, "d", "s", "g", "uplink", None, None, False)
        self._link = Uplink(settings, self._journal, clock)

    async def __aenter__(self) -> _Path:
        self._center = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "zhian.benches.events", str(self._port), stdout=asyncio.subprocess.PIPE
        )
        assert self._center.stdout is not None
        await self._center.stdout.readline()
        self._task = asyncio.create_task(self._link.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._center.terminate()
        await self._center.wait()
        await self._journal.close()

    async def store_and_send(self, made: _Made) -> float:
        """Until the stand-in has acknowledged the last one."""
        journal = self._journal
        began = time.perf_counter()
        async with asyncio.timeout(90):
            for event in made.events:
                await journal.record([NewEntry(event.data)])
            while journal.acked_upto < journal.last_seq:  # noqa: ASYNC110  # the port has no event for it
                await asyncio.sleep(0.02)
        return time.perf_counter() - began


async def _same_millisecond() -> int:
    """Two doors' worth of events of one device in one millisecond: from the record to what a center has decoded."""
    clock = _OneMillisecond("Asia/Shanghai", 0)
    with tempfile.TemporaryDirectory(prefix="zhian-bench-", dir=Path.cwd()) as folder:
        file = Path(folder) / "same.sqlite"
        journal = Journal(database.open_for_writing(file), clock, file)
        for _ in range(100):
            await journal.record([NewEntry(PortalOpened("lobby"))] * 10)
        encoder, decoder = FrameEncoder(), FrameDecoder()
        kept: set[tuple[str, int]] = set()
        for first in range(1, journal.last_seq + 1, BATCH):
            frame = encoder.encode(journal.epoch, await journal.read(first, first + BATCH - 1, BATCH), False)
            decoded = decoder.decode(frame)
            kept |= {(decoded.epoch, one.seq) for one in decoded.events if one.time_ms == clock.now_ms()}
        await journal.close()
    return len(kept)


class _OneMillisecond(SystemClock):
    """Time stands still."""

    def now_ms(self) -> int:
        return 1_790_000_000_000


async def _stand_in(port: int) -> None:
    """Acknowledges as a center does: for everything that has arrived since the last answer."""
    decoder, seen, arrived, epochs = FrameDecoder(), Ranges(), asyncio.Event(), [""]

    def take(message: Arrived) -> None:
        frame = decoder.decode(message.payload)
        epochs[0] = frame.epoch
        for event in frame.events:
            seen.add(event.seq, event.seq)
        arrived.set()

    center = await Connection.open(Access("127.0.0.1", port, "center"), [_TOPIC], take)
    print("listening", flush=True)
    while True:
        await arrived.wait()
        arrived.clear()
        first = seen.first_range()
        ack = Ack(epoch=epochs[0], stored_upto=first[1] if first and first[0] == 1 else 0)
        center.publish("zhian/v1/d/s/g/down/ack", encode_ack(ack))


if __name__ == "__main__":
    asyncio.run(_stand_in(int(sys.argv[1])))
