"""Keep the center up to date: connect, send what the outbox holds, forget only what the center says it has stored."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from center.contract import topics
from center.contract.acknowledgement import Ack, Refused, decode_answer
from center.contract.catalogue import AnyEventData, Event, FrameRefused
from center.contract.errors import AcknowledgementError, FrameError
from center.contract.frame import FrameEncoder
from center.contract.ranges import Range
from center.contract.state import HEARTBEAT_S, LAST_WILL, GatewayState, encode_state
from center.contract.topics import GatewayName, Kind
from gateway.errors import GatewayError, StoreError
from gateway.ports import Clock, Outbox
from gateway.uplink.alarms import Alarms
from gateway.uplink.window import Sending, SendWindow
from runtime import log
from runtime.mqtt import Access, Arrived, Connection, Manner, MqttError, Tls, Will

_STABLE_MS = 10_000  # a connection that held this long: the next attempt after it comes soon
_MAX_SAID = 100
_MAX_ANSWERS_WAITING = 64  # each says more than the one before it, so the oldest may go
_LOST_REASON = "gone"
_REPORT_AGAIN_MS = 3_000  # far more than a report takes to arrive; doubles while that does not help
_REPORT_AGAIN_MAX_MS = 600_000
_EPOCHS_APART_MS = 3_600_000  # a center that errs, or lies, must not make this gateway begin one after the other
_READ_AGAIN_MS = 3_000
# Each answer says all that those before it said, and what is not answered is sent again: none of them is urgent, and a
# wake-up each for a confirmation and an answer would cost more than the event did.
_MANNER = Manner(hear_once=True, rest_s=0.01)
_OLDER_CENTER = ("unknown-codec", "unknown-dictionary")
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
    username: str | None
    password: str | None
    simulated: bool
    batch_events: int = 100
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits between attempts; each has jitter so that gateways do not come back all at once."""

    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 60.0
    resend_after_s: float = 10.0  # without an acknowledgement; doubles up to window.RESEND_MAX_MS
    heartbeat_s: float = HEARTBEAT_S


Record = Callable[[AnyEventData], Awaitable[None]]


class Uplink:
    """`run` does everything; the outbox is read and told what may go. `record` makes an event of a refusal."""

    def __init__(
        self,
        settings: UplinkSettings,
        outbox: Outbox,
        clock: Clock,
        timing: Timing | None = None,
        record: Record | None = None,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._clock = clock
        self._timing = timing or Timing()
        self._record = record
        self._name = GatewayName(settings.district, settings.site, settings.gateway)
        self._access = Access(
            settings.host, settings.port, settings.client_id, settings.username, settings.password, settings.tls
        )
        self._event_topic, self._ack_topic = topics.topic(self._name, Kind.EVENT), topics.topic(self._name, Kind.ACK)
        self._encoder = FrameEncoder()
        self._alarms = Alarms(self._name, outbox, self._encoder, settings.simulated, settings.batch_events)
        self._epoch = outbox.epoch
        self._wake = outbox.committed  # one thing to wait for: answers and the connection's end set it as well
        self._answers: deque[Ack | Refused] = deque(maxlen=_MAX_ANSWERS_WAITING)
        self._connected = False
        self._connections = 0
        self._said: set[str] = set()
        self._recorded: set[str] = set()
        self._report_due_ms: int | None = None
        self._report_wait_ms = _REPORT_AGAIN_MS
        self._told_upto = -1  # stored_upto of the answer before: a lower one says that the center has lost its store
        self._reported_at = -1  # stored_upto when numbers were last reported lost
        self._epoch_due_ms = 0
        self._read_due_ms = 0

    @property
    def connected(self) -> bool:
        """Connected to the broker and subscribed to the center's answers."""
        return self._connected

    @property
    def connections(self) -> int:
        """How often it was connected in this run."""
        return self._connections

    async def run(self) -> None:
        """Until cancelled. A broker that is away, refuses or restarts is tried again with growing, jittered waits."""
        least_s, most_s = self._timing.reconnect_min_s, self._timing.reconnect_max_s
        delay_s = least_s
        while True:
            began_ms = self._clock.monotonic_ms()
            try:
                await self._one_connection()
            except (MqttError, GatewayError) as e:  # the broker, or the outbox
                self._say_once(str(e))
            if self._clock.monotonic_ms() - began_ms > _STABLE_MS:
                delay_s = least_s
            # Decorrelated jitter: thousands of gateways that lost the same broker do not stay in step.
            delay_s = min(most_s, random.uniform(least_s, delay_s * 3))  # noqa: S311  # not a secret
            await asyncio.sleep(delay_s)

    async def _one_connection(self) -> None:
        will = Will(topics.topic(self._name, Kind.STATE), LAST_WILL)
        filters = [self._ack_topic]
        self._answers.clear()
        self._encoder.oldest = False  # the center may have been updated
        self._alarms.new_connection()
        self._report_due_ms = None  # the reports that are not acknowledged are sent first
        connection = await Connection.open(self._access, filters, self._arrived, will, _MANNER)
        connection.closed.add_done_callback(lambda _: self._wake.set())
        self._connected = True
        self._connections += 1
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

    def _new_window(self) -> SendWindow:
        outbox = self._outbox
        if outbox.epoch != self._epoch:  # the store was set aside as damaged, or opened late
            self._epoch = outbox.epoch
            self._alarms.new_epoch()
            self._told_upto = -1
        acked_upto = max(outbox.acked_upto, outbox.first_seq - 1)
        return SendWindow(acked_upto, outbox.last_seq, self._settings.batch_events, self._resend_after_ms)

    @property
    def _resend_after_ms(self) -> int:
        return int(self._timing.resend_after_s * 1000)

    async def _serve(self, connection: Connection) -> None:
        window = self._new_window()
        state_due_ms = 0
        while not connection.closed.done():
            if connection.stalled:
                self._say_once("the center's broker confirms nothing; connecting anew")
                return
            self._wake.clear()
            if self._outbox.epoch != self._epoch:
                window, state_due_ms = self._new_window(), 0
            await self._take_answers(window)
            window.committed(self._outbox.last_seq)
            if window.expire(self._clock.monotonic_ms()):
                _logger.debug("sending again", in_flight=window.in_flight)
            now_ms = self._clock.monotonic_ms()
            if now_ms >= state_due_ms:
                self._publish_state(connection)
                state_due_ms = now_ms + int(self._timing.heartbeat_s * 1000)
            self._alarms.publish_early(connection, now_ms, self._resend_after_ms)
            await self._send_unless_unreadable(connection, window)
            await self._wait(window, state_due_ms)

    async def _wait(self, window: SendWindow, state_due_ms: int) -> None:
        """Until something happens or falls due."""
        now_ms = self._clock.monotonic_ms()
        dues = (window.due_ms(), self._alarms.early_due_ms(self._resend_after_ms), self._read_due_ms or None)
        due_ms = min([state_due_ms, *(due for due in dues if due is not None)])
        if self._wake.is_set():
            return
        timer = asyncio.get_running_loop().call_later(max(0.0, (due_ms - now_ms) / 1000), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    # --- sending -------------------------------------------------------------------------------------------------

    async def _send_unless_unreadable(self, connection: Connection, window: SendWindow) -> None:
        """A disk that cannot be read does not end the connection: early alarms and states still need it."""
        if self._clock.monotonic_ms() < self._read_due_ms:
            return
        self._read_due_ms = 0
        try:
            await self._send(connection, window)
        except StoreError as e:
            self._say_once(str(e))
            self._read_due_ms = self._clock.monotonic_ms() + _READ_AGAIN_MS

    async def _send(self, connection: Connection, window: SendWindow) -> None:
        """Live events first, each frame's alarms before it; then the alarms of the backlog; then the backlog."""
        while not connection.closed.done():
            window.committed(self._outbox.last_seq)
            sending = window.next()
            if (sending is None or not sending.live) and await self._alarms.announce_waiting(connection):
                continue
            if sending is None:
                return
            events = await self._outbox.read(sending.first, sending.last, sending.last - sending.first + 1)
            if not events or events[0].seq > sending.first:
                await self._gone(window, sending, events[0].seq - 1 if events else sending.last)
                continue
            events = _unbroken(events)
            if sending.live:
                self._alarms.publish(connection, events)
            if not self._publish_events(connection, window, sending, events):
                return

    async def _gone(self, window: SendWindow, sending: Sending, last: int) -> None:
        """The outbox has nothing of `sending.first`..`last`: an event says so, which the center counts as covering."""
        window.gone(sending, last)
        await self._report_lost([(sending.first, last)])

    async def _report_lost(self, ranges: Sequence[Range], *, again: bool = False) -> None:
        """What was recorded before this site had a center was never meant for it: up/state says so, it is not lost."""
        begins = self._outbox.first_seq
        lost = [(max(first, begins), last) for first, last in ranges if last >= begins]
        if lost:
            await self._outbox.report_lost(lost, _LOST_REASON, again=again)
            self._say_once("events that the center asks for are not here any more; it is told which")

    def _publish_events(
        self, connection: Connection, window: SendWindow, sending: Sending, events: Sequence[Event]
    ) -> bool:
        try:
            frame = self._encoder.encode(self._epoch, events, self._settings.simulated)
        except FrameError as e:
            if len(events) > 1:
                return self._publish_events(connection, window, sending, events[: len(events) // 2])
            # A mistake of ours in one event must not hold up the others; the center shows its number as missing.
            _logger.error("an event cannot be sent", seq=sending.first, why=str(e))
            window.gone(sending, sending.first)
            return True
        if not connection.publish(self._event_topic, frame):
            return False
        window.sent(sending, events[-1].seq, self._clock.monotonic_ms())
        return True

    def _publish_state(self, connection: Connection) -> None:
        state = GatewayState(
            online=True,
            version=_version(),
            epoch=self._epoch,
            last_seq=self._outbox.last_seq,
            simulated=self._settings.simulated,
            clock_certain=self._clock.certain,
            first_seq=self._outbox.first_seq,
        )
        connection.publish(topics.topic(self._name, Kind.STATE), encode_state(state), retain=True)

    # --- the center's answers ------------------------------------------------------------------------------------

    def _arrived(self, message: Arrived) -> None:
        if message.topic != self._ack_topic:
            return
        try:
            answer = decode_answer(message.payload)
        except AcknowledgementError as e:
            self._say_once(f"the center's answer is not understood: {e}")
            return
        self._answers.append(answer)
        self._wake.set()

    async def _take_answers(self, window: SendWindow) -> None:
        """A disk that cannot be used now does not end the connection: the center will say it again."""
        while self._answers:
            answer = self._answers.popleft()
            try:
                if isinstance(answer, Refused):
                    await self._refused(window, answer)
                elif self._alarms.is_early(answer.epoch):  # first: without a store the journal's epoch is the same one
                    await self._outbox.acknowledge_early(answer.epoch, self._alarms.early_stored_upto(answer))
                elif answer.epoch == self._outbox.epoch == self._epoch:
                    await self._acknowledged(window, answer)
                # else: of a store that was here before this one
            except StoreError as e:
                self._say_once(str(e))

    async def _acknowledged(self, window: SendWindow, ack: Ack) -> None:
        if max(ack.stored_upto, ack.seen_upto) > self._outbox.last_seq:
            await self._never_made_here()
            return
        window.acknowledged(ack)
        if ack.stored_upto < self._told_upto:
            self._outbox.offer_early_again()
        self._told_upto = ack.stored_upto
        if ack.stored_upto > self._outbox.acked_upto:
            await self._outbox.acknowledge(ack.stored_upto)
        if lost := window.asked_in_vain(ack):
            await self._report_what_is_asked(lost, ack.stored_upto)
        else:
            self._report_due_ms = None

    async def _report_what_is_asked(self, lost: Sequence[Range], stored_upto: int) -> None:
        """Numbers that are gone, and that the center still asks for: their reports are on the way, or it had no room
        for all that was in them. The first is given some time; then they are reported again."""
        now_ms = self._clock.monotonic_ms()
        if stored_upto > self._reported_at:
            self._report_wait_ms = _REPORT_AGAIN_MS
        if self._report_due_ms is not None and now_ms < self._report_due_ms:
            return
        again = self._report_due_ms is not None
        self._report_due_ms = now_ms + self._report_wait_ms
        self._report_wait_ms = min(2 * self._report_wait_ms, _REPORT_AGAIN_MAX_MS)
        self._reported_at = stored_upto
        await self._report_lost(lost, again=again)

    async def _never_made_here(self) -> None:
        """An older copy of the store was put back: new events would bear numbers that the center has already."""
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._epoch_due_ms:
            self._say_once("the center acknowledges events that were never made here, again; ignored for an hour")
            return
        await self._outbox.begin_epoch()
        self._epoch_due_ms = now_ms + _EPOCHS_APART_MS
        _logger.error("the center has events of this gateway that its store lacks: an older copy was put back")

    async def _refused(self, window: SendWindow, refused: Refused) -> None:
        """An older center: go on with what it knows. Anything else is sent again as if it had got lost."""
        self._say_once(f"the center refused a frame ({refused.refused}, codec {refused.codec})")
        if refused.refused in _OLDER_CENTER and not self._encoder.oldest:
            self._encoder.oldest = True
            window.send_again()
        elif refused.refused == "unknown-event":
            window.one_by_one()
        if self._record is not None and refused.refused not in self._recorded and len(self._recorded) < _MAX_SAID:
            self._recorded.add(refused.refused)
            await self._record(FrameRefused(refused.refused))

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
