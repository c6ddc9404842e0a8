"""Keep the center up to date: connect, send what the outbox holds, forget only what the center says it has stored."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from center.contract import topics
from center.contract.acknowledgement import Ack, decode_ack
from center.contract.catalogue import Event, Severity, entry
from center.contract.errors import AcknowledgementError, FrameError
from center.contract.frame import FrameEncoder
from center.contract.ranges import Ranges
from center.contract.state import HEARTBEAT_S, LAST_WILL, GatewayState, encode_state
from center.contract.topics import GatewayName, Kind
from gateway.errors import GatewayError
from gateway.ports import Clock, Outbox
from gateway.uplink.connection import Access, Connection, Will
from gateway.uplink.window import Sending, SendWindow
from runtime import log

_ALARMS = (Severity.ALARM, Severity.LIFE_SAFETY)
_MAX_UNCONFIRMED_ALARMS = 100  # leaves room for frames of events
_STABLE_MS = 10_000  # a connection that held this long: the next attempt after it comes soon
_MAX_SAID = 100
_MAX_ACKS_WAITING = 64  # each says more than the one before it, so the oldest may go
_logger = log.get("uplink")


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Where the center's broker is, who this gateway is, and its credentials there (client_id and password: secret)."""

    host: str
    port: int
    district: str
    site: str
    gateway: str
    client_id: str
    username: str
    password: str
    simulated: bool
    batch_events: int = 100


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits between attempts; each has jitter so that gateways do not come back all at once."""

    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 60.0
    resend_after_s: float = 10.0  # without an acknowledgement; doubles up to window.RESEND_MAX_MS
    heartbeat_s: float = HEARTBEAT_S


class Uplink:
    """`run` does everything; the outbox is read and told what may go, nothing else of the gateway is touched."""

    def __init__(self, settings: UplinkSettings, outbox: Outbox, clock: Clock, timing: Timing | None = None) -> None:
        self._settings = settings
        self._outbox = outbox
        self._clock = clock
        self._timing = timing or Timing()
        self._name = GatewayName(settings.district, settings.site, settings.gateway)
        self._access = Access(settings.host, settings.port, settings.client_id, settings.username, settings.password)
        self._encoder = FrameEncoder()
        self._wake = asyncio.Event()
        self._acks: deque[Ack] = deque(maxlen=_MAX_ACKS_WAITING)
        self._announced = Ranges()  # numbers whose alarms were published on up/alarm
        self._connected = False
        self._said: set[str] = set()

    @property
    def connected(self) -> bool:
        """Connected to the broker and subscribed to the center's answers."""
        return self._connected

    async def run(self) -> None:
        """Until cancelled. A broker that is away, refuses or restarts is tried again with growing, jittered waits."""
        forwarding = asyncio.create_task(self._forward_commits())
        delay_s = self._timing.reconnect_min_s
        try:
            while True:
                began_ms = self._clock.monotonic_ms()
                try:
                    await self._one_connection()
                except GatewayError as e:  # the broker, or the outbox cannot be read
                    self._say_once(str(e))
                if self._clock.monotonic_ms() - began_ms > _STABLE_MS:
                    delay_s = self._timing.reconnect_min_s
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
                delay_s = min(delay_s * 2, self._timing.reconnect_max_s)
        finally:
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)

    async def _one_connection(self) -> None:
        will = Will(topics.topic(self._name, Kind.STATE), LAST_WILL)
        answers = [topics.topic(self._name, Kind.ACK)]
        self._acks.clear()
        connection = await Connection.open(self._access, will, answers, self._arrived)
        connection.closed.add_done_callback(lambda _: self._wake.set())
        self._connected = True
        self._said.clear()
        _logger.info("connected to the center's broker", backlog=self._outbox.last_seq - self._outbox.acked_upto)
        try:
            await self._serve(connection)
            if connection.closed.done():
                _logger.warning("connection to the center's broker lost", why=connection.closed.result())
        finally:
            self._connected = False
            connection.publish(will.topic, will.payload, retain=True)
            await connection.close()

    async def _serve(self, connection: Connection) -> None:
        outbox = self._outbox
        window = SendWindow(
            outbox.acked_upto, outbox.last_seq, self._settings.batch_events, int(self._timing.resend_after_s * 1000)
        )
        state_due_ms = 0
        while not connection.closed.done():
            if connection.stalled:
                self._say_once("the center's broker confirms nothing; connecting anew")
                return
            self._wake.clear()
            await self._take_acks(window)
            window.committed(outbox.last_seq)
            if window.expire(self._clock.monotonic_ms()):
                _logger.debug("sending again", in_flight=window.in_flight)
            await self._send(connection, window)
            now_ms = self._clock.monotonic_ms()
            if now_ms >= state_due_ms:
                self._publish_state(connection)
                state_due_ms = now_ms + int(self._timing.heartbeat_s * 1000)
            due_ms = min(state_due_ms, window.due_ms() or state_due_ms)
            await self._wait((due_ms - now_ms) / 1000)

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _forward_commits(self) -> None:
        """One thing to wait for instead of two: a commit wakes the same event as an acknowledgement."""
        while True:
            await self._outbox.committed.wait()
            self._outbox.committed.clear()
            self._wake.set()

    # --- sending -------------------------------------------------------------------------------------------------

    async def _send(self, connection: Connection, window: SendWindow) -> None:
        while not connection.closed.done():
            window.committed(self._outbox.last_seq)
            sending = window.next()
            if sending is None:
                await self._announce_waiting_alarms(connection)
                return
            events = await self._outbox.read(sending.first, sending.last, sending.last - sending.first + 1)
            if not events or events[0].seq > sending.first:
                last = events[0].seq - 1 if events else sending.last
                window.gone(sending, last)
                self._say_once(f"the center asks for events that are not here any more ({sending.first}..{last})")
                continue
            events = _unbroken(events)
            if sending.live:
                self._publish_alarms(connection, events)
            if not self._publish_events(connection, window, sending, events):
                return

    def _publish_events(
        self, connection: Connection, window: SendWindow, sending: Sending, events: Sequence[Event]
    ) -> bool:
        try:
            frame = self._encoder.encode(self._outbox.epoch, events, self._settings.simulated)
        except FrameError as e:
            if len(events) > 1:
                return self._publish_events(connection, window, sending, events[: len(events) // 2])
            # A mistake of ours in one event must not hold up the others; the center shows its number as missing.
            _logger.error("an event cannot be sent", seq=sending.first, why=str(e))
            window.gone(sending, sending.first)
            return True
        if not connection.publish(topics.topic(self._name, Kind.EVENT), frame):
            return False
        window.sent(sending, events[-1].seq, self._clock.monotonic_ms())
        return True

    def _publish_alarms(self, connection: Connection, events: Sequence[Event]) -> None:
        """Each new alarm once more, by itself, on its own topic: subscribers to alarms wait for nothing else.

        In a flood the rest of them goes only with the other events.
        """
        for event in events:
            if entry(event.data).severity not in _ALARMS or event.seq in self._announced:
                continue
            if connection.unconfirmed > _MAX_UNCONFIRMED_ALARMS:
                break
            with contextlib.suppress(FrameError):  # told of where it is sent with the other events
                frame = self._encoder.encode(self._outbox.epoch, (event,), self._settings.simulated)
                connection.publish(topics.topic(self._name, Kind.ALARM), frame)
        self._announced.add(events[0].seq, events[-1].seq)

    async def _announce_waiting_alarms(self, connection: Connection) -> None:
        """One step: alarms among events that have to wait (a backlog, a center that acknowledges nothing)."""
        outbox = self._outbox
        gap = next(self._announced.gaps(outbox.acked_upto + 1, outbox.last_seq), None)
        if gap is None or connection.unconfirmed > _MAX_UNCONFIRMED_ALARMS:
            return
        last = min(gap[1], gap[0] + self._settings.batch_events - 1)
        if events := await outbox.read(gap[0], last, last - gap[0] + 1):
            self._publish_alarms(connection, events)
        self._announced.add(gap[0], last)
        self._wake.set()  # the next step follows once live events had their turn

    def _publish_state(self, connection: Connection) -> None:
        state = GatewayState(
            online=True,
            version=_version(),
            epoch=self._outbox.epoch,
            last_seq=self._outbox.last_seq,
            simulated=self._settings.simulated,
            clock_certain=self._clock.certain,
        )
        connection.publish(topics.topic(self._name, Kind.STATE), encode_state(state), retain=True)

    # --- the center's answers ------------------------------------------------------------------------------------

    def _arrived(self, topic: str, payload: bytes) -> None:
        if topic != topics.topic(self._name, Kind.ACK):
            return
        try:
            ack = decode_ack(payload)
        except AcknowledgementError as e:
            self._say_once(f"the center's answer is not understood: {e}")
            return
        if ack.epoch != self._outbox.epoch:  # of a store that was here before this one
            return
        if max(ack.stored_upto, ack.seen_upto) > self._outbox.last_seq:
            self._say_once("the center acknowledges events that were never made here; ignored")
            return
        self._acks.append(ack)
        self._wake.set()

    async def _take_acks(self, window: SendWindow) -> None:
        while self._acks:
            ack = self._acks.popleft()
            window.acknowledged(ack)
            if ack.stored_upto > self._outbox.acked_upto:
                await self._outbox.acknowledge(ack.stored_upto)

    def _say_once(self, text: str) -> None:
        """Once per connection: trying again is silent."""
        if text not in self._said and len(self._said) < _MAX_SAID:
            self._said.add(text)
            _logger.warning(text)


def _unbroken(events: list[Event]) -> list[Event]:
    """The events up to the first gap in their numbers."""
    for i, event in enumerate(events):
        if event.seq != events[0].seq + i:
            return events[:i]
    return events


def _version() -> str:
    try:
        return version("zhian")
    except PackageNotFoundError:
        return ""
