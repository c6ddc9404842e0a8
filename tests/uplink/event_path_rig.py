"""A small district for tests: a folder with center.toml and users, real broker processes, ingest, gateways' uplinks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from center.broker.authority import make_authority, make_certificate
from center.broker.files import write_mosquitto
from center.contract import topics
from center.contract.acknowledgement import Ack, decode_ack
from center.contract.catalogue import Event, EventData, OutboxLost, PortalOpened
from center.contract.topics import GatewayName, Kind
from center.ingest.ingest import Ingest
from center.store.reading import EventReading
from center.store.writing import EventWriter
from gateway.errors import StoreError
from gateway.uplink.uplink import Timing, Uplink, UplinkSettings
from runtime.mqtt import Access, Tls, tls_context

REPOSITORY = Path(__file__).resolve().parents[2]
EPOCH = "00112233445566aa"
FAST = Timing(reconnect_min_s=0.05, reconnect_max_s=0.2, resend_after_s=1.0, heartbeat_s=2.0)
DEADLINE_S = 30.0


async def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fails with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        await asyncio.sleep(0.01)  # between two looks at a condition that is not ours to await


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _tls_keys(name: str) -> str:
    return (
        f"tls_ca_file = 'certificates/ca.pem'\ntls_certificate_file = 'certificates/{name}.pem'\n"
        f"tls_key_file = 'certificates/{name}.key'\n"
    )


class SteadyClock:
    """gateway.ports.Clock over the machine's clock."""

    certain = True

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        return datetime.now(UTC)


class MemoryOutbox:
    """gateway.ports.Outbox in memory: numbers are contiguous from 1, nothing is forgotten unless a test says so."""

    def __init__(self, epoch: str = EPOCH, first_seq: int = 1) -> None:
        self._epoch = epoch
        self._events: dict[int, Event] = {}
        self._last_seq = 0
        self._acked_upto = 0
        self._committed = asyncio.Event()
        self._first_seq = first_seq
        self._reported: set[tuple[int, int]] = set()
        self.reads: list[tuple[int, int]] = []
        self.broken = False
        self.early_alarms: list[tuple[str, list[Event]]] = []

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def last_seq(self) -> int:
        return self._last_seq

    @property
    def acked_upto(self) -> int:
        return self._acked_upto

    @property
    def committed(self) -> asyncio.Event:
        return self._committed

    def make(self, count: int = 1, data: EventData | None = None) -> None:
        """Commit `count` events."""
        for _ in range(count):
            self._last_seq += 1
            self._events[self._last_seq] = Event(
                self._last_seq, 1_790_000_000_000 + self._last_seq, True, data or PortalOpened("lobby")
            )
        self._committed.set()

    def all(self) -> list[Event]:
        """What is still here."""
        return list(self._events.values())

    def begin_again(self, epoch: str) -> None:
        """As a journal whose damaged file was set aside."""
        self._epoch, self._events, self._last_seq, self._acked_upto = epoch, {}, 0, 0

    def forget(self, first: int, last: int) -> None:
        """As a journal that has thrown rows away."""
        for seq in range(first, last + 1):
            self._events.pop(seq, None)

    async def read(self, first: int, last: int, limit: int) -> list[Event]:
        await asyncio.sleep(0)
        if self.broken:
            raise StoreError("the disk cannot be read")
        self.reads.append((first, last))
        there = (self._events.get(seq) for seq in range(first, min(last, self._last_seq) + 1))
        return [event for event in there if event is not None][:limit]

    async def acknowledge(self, upto: int) -> None:
        await asyncio.sleep(0)
        assert upto <= self._last_seq
        self._acked_upto = max(self._acked_upto, upto)

    @property
    def first_seq(self) -> int:
        return self._first_seq

    async def report_lost(self, ranges: Sequence[tuple[int, int]], reason: str, *, again: bool = False) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise StoreError("the disk cannot be written")
        new = tuple(one for one in ranges if again or one not in self._reported)
        self._reported.update(new)
        if new:
            self.make(data=OutboxLost(self._epoch, new, reason))

    async def begin_epoch(self) -> None:
        await asyncio.sleep(0)
        self._epoch, self._first_seq = f"{int(self._epoch, 16) ^ 1:016x}", self._acked_upto + 1

    def early(self) -> Sequence[tuple[str, Sequence[Event]]]:
        return self.early_alarms

    def offer_early_again(self) -> None:
        """Nothing that was acknowledged is kept here."""

    async def acknowledge_early(self, epoch: str, upto: int) -> None:
        left = [(one, [event for event in kept if event.seq > upto]) for one, kept in self.early_alarms if one == epoch]
        self.early_alarms = [(one, kept) for one, kept in left if kept]


class District:
    """center.toml, users and secrets of one district in `folder`; gateways gw-1 and gw-2 of site garden."""

    def __init__(self, folder: Path, gateways: Sequence[str] = ("gw-1", "gw-2"), *, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.tls = tls
        self.config = folder / "center.toml"
        broker, ingest = "", "password_file = 'center.password'\n"
        if tls:
            self._make_certificates(("center", *gateways))
            broker = _tls_keys("broker")
            ingest = _tls_keys("center")
        self.config.write_text(
            "[center]\ndata = 'data'\nrun = 'run'\n"
            f"[broker]\ndata = 'broker'\nusers_file = 'users.json'\nport = {self.port}\n{broker}"
            f"[ingest]\nusername = 'center'\nclient_id_file = 'center.client-id'\n{ingest}"
        )
        self.write_users(gateways)
        (folder / "center.password").write_text(self.password("center") + "\n")
        (folder / "center.client-id").write_text("client-id-of-ingest\n")

    def _make_certificates(self, users: Sequence[str]) -> None:
        now, folder = datetime.now(UTC), self.folder / "certificates"
        make_authority(folder, "test authority", now)
        make_certificate(folder, folder, "broker", now, ["127.0.0.1", "localhost"])
        for user in users:
            make_certificate(folder, folder, user, now)

    def write_users(self, gateways: Sequence[str], site: str = "garden") -> None:
        """The users file: the center and these gateways."""
        users: list[dict[str, str]] = [{"username": "center", "role": "center"}]
        for gateway in gateways:
            place = {"district": "east", "site": site, "gateway": gateway}
            users.append({"username": gateway, "role": "gateway", **place})
        if not self.tls:
            users = [user | {"password": self.password(user["username"])} for user in users]
        (self.folder / "users.json").write_text(json.dumps(users))

    def tls_of(self, user: str) -> Tls | None:
        """The client's side of TLS; None without it."""
        folder = self.folder / "certificates"
        return Tls(folder / "ca.pem", folder / f"{user}.pem", folder / f"{user}.key") if self.tls else None

    @staticmethod
    def password(username: str) -> str:
        return f"\"$' of {username} 0123456789".replace(" ", "{")

    @property
    def database(self) -> Path:
        return self.folder / "data" / "center.sqlite"

    @property
    def reading(self) -> EventReading:
        return EventReading(self.database)

    def stored(self) -> int:
        """Rows in the store; 0 where there is none yet."""
        if not self.database.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as connection:
            try:
                return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])
            except sqlite3.OperationalError:  # being made
                return 0

    def rows(self) -> list[tuple[str, str, int]]:
        """(gateway, epoch, seq) in the order of storing."""
        with contextlib.closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as connection:
            return list(
                connection.execute(
                    "SELECT g.gateway, p.epoch, e.seq FROM event e JOIN epoch p ON p.id = e.epoch_id"
                    " JOIN gateway g ON g.id = p.gateway_id ORDER BY e.row"
                )
            )

    def settings(self, gateway: str = "gw-1", **changes: Any) -> UplinkSettings:
        values = {
            "host": "127.0.0.1",
            "port": self.port,
            "district": "east",
            "site": "garden",
            "gateway": gateway,
            "client_id": f"client-id-of-{gateway}",
            "username": gateway,
            "password": self.password(gateway),
            "simulated": False,
            "tls": self.tls_of(gateway),
        }
        if self.tls:
            values |= {"username": None, "password": None, "client_id": f"{gateway}/client-id-of-{gateway}"}
        return UplinkSettings(**{**values, **changes})

    def session_of(self, gateway: str) -> str:
        """The client id with which this gateway is connected."""
        told = self.settings(gateway)
        return Access("127.0.0.1", self.port, told.client_id, told.username, told.password, told.tls).session

    @property
    def access(self) -> Access:
        """Ingest's own."""
        if self.tls:
            return Access("127.0.0.1", self.port, "center/client-id-of-ingest", tls=self.tls_of("center"))
        return Access("127.0.0.1", self.port, "client-id-of-ingest", "center", self.password("center"))

    def process(self, *words: str) -> Command:
        return Command([*words, "--config", str(self.config)], self.folder / f"{'-'.join(words)}.log")

    @contextlib.asynccontextmanager
    async def ingesting(self) -> AsyncIterator[Ingest]:
        """Ingest in this process."""
        with contextlib.closing(EventWriter(self.database)) as writer:
            ingest = Ingest(writer, self.access)
            async with running(ingest.run()):
                await until(lambda: ingest.connected, "ingest listens")
                yield ingest


@contextlib.asynccontextmanager
async def running(work: Any) -> AsyncIterator[asyncio.Task[None]]:
    """A coroutine as a task for the length of a block; its own failure fails the test."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Command:
    """`zhian ...` as a process. `ready` waits for READY=1; leaving the block ends it and checks nothing else."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self._words = list(words)
        self._log = log
        self._notify: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, stdout: int = subprocess.DEVNULL) -> None:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)
        address = f"\0zhian-test-{os.getpid()}-{id(self)}-{time.monotonic_ns()}"
        self._notify.bind(address)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "zhian", *self._words],
                cwd=REPOSITORY,
                env={**os.environ, "NOTIFY_SOCKET": "@" + address[1:]},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
            )

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self._notify is not None
        assert self.process.poll() is None, f"{self._words} ended: {self.log()[-2000:]}"
        try:
            return b"READY=1" in self._notify.recv(4096)
        except BlockingIOError:
            return False

    async def ready(self) -> None:
        await until(self._is_ready, f"{self._words} is ready: {self.log()[-500:]}")

    async def start_and_wait(self) -> None:
        self.start()
        await self.ready()

    def read_users_again(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, DEADLINE_S)

    async def __aenter__(self) -> Command:
        await self.start_and_wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            await self.kill(signal.SIGTERM)
        if self._notify is not None:
            self._notify.close()


class Peer:
    """A plain paho client that a test drives by hand: what somebody else's program could send."""

    def __init__(
        self, port: int, username: str | None, password: str | None, client_id: str, tls: Tls | None = None
    ) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.granted: list[bool] = []
        self.published = 0
        self.connected = False
        self.refused = False
        self.port = port
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311, clean_session=True
        )
        if username is not None:
            client.username_pw_set(username, password)
        if tls is not None:
            client.tls_set_context(tls_context(tls))
        client.on_connect = self._connected
        client.on_message = lambda _, __, m: self.messages.append((m.topic, bytes(m.payload)))
        client.on_subscribe = lambda _, __, ___, reasons, ____: self.granted.extend(not r.is_failure for r in reasons)
        client.on_publish = self._published

    def _connected(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self.connected = not reason.is_failure
        self.refused = bool(reason.is_failure)

    def _published(self, *_: Any) -> None:
        self.published += 1

    async def __aenter__(self) -> Peer:
        await asyncio.to_thread(self.client.connect, "127.0.0.1", self.port)
        self.client.loop_start()
        await until(lambda: self.connected, "the peer is connected")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)

    async def subscribe(self, filter_: str) -> bool:
        before = len(self.granted)
        self.client.subscribe(filter_, 1)
        await until(lambda: len(self.granted) > before, "SUBACK")
        return self.granted[-1]

    async def publish(self, topic: str, payload: bytes) -> None:
        before = self.published
        self.client.publish(topic, payload, 1)
        await until(lambda: self.published > before, "PUBACK")

    def acks(self) -> list[Ack]:
        return [decode_ack(payload) for topic, payload in self.messages if topic.endswith("/down/ack")]


def peer(district: District, gateway: str = "gw-1", client_id: str = "") -> Peer:
    name = client_id or f"peer-as-{gateway}"
    if district.tls:
        return Peer(district.port, None, None, name, district.tls_of(gateway))
    return Peer(district.port, gateway, district.password(gateway), name)


def topic(kind: Kind, gateway: str = "gw-1") -> str:
    return topics.topic(GatewayName("east", "garden", gateway), kind)


class Mosquitto:
    """Debian's mosquitto with the files of `zhian broker mosquitto`. It persists nothing: a restart loses all."""

    def __init__(self, district: District) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        assert program, "mosquitto is not installed: apt-get install mosquitto (setup/test-packages.sh)"
        self._program = program
        self._district = district
        self._process: subprocess.Popen[bytes] | None = None

    def _written(self) -> Path:
        folder = self._district.folder / "mosquitto"
        configuration = write_mosquitto(self._district.config, folder)[0]
        if os.geteuid() == 0:  # else it would become the user mosquitto, who may not read this folder
            configuration.write_text(configuration.read_text() + "user root\n")
        return configuration

    def _answers(self) -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self._district.port)) == 0

    async def start(self) -> None:
        with (self._district.folder / "mosquitto.log").open("ab") as log:
            words = [self._program, "-c", str(self._written())]
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        await until(self._answers, f"mosquitto answers: {self._district.folder / 'mosquitto.log'}")

    async def start_and_wait(self) -> None:
        await self.start()

    def read_users_again(self) -> None:
        assert self._process is not None
        self._written()
        self._process.send_signal(signal.SIGHUP)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def __aenter__(self) -> Mosquitto:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            await self.kill()


BROKERS = ("nats", "nats-tls", "mosquitto", "mosquitto-tls")


def broker_of(kind: str, district: District) -> Command | Mosquitto:
    """The broker's process, not started: the same methods for either."""
    return Mosquitto(district) if kind.startswith("mosquitto") else district.process("broker", "run")


def uplink(district: District, outbox: MemoryOutbox, gateway: str = "gw-1", **changes: Any) -> Uplink:
    return Uplink(district.settings(gateway, **changes), outbox, SteadyClock(), FAST)
