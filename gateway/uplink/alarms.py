"""Alarms leave before everything else, by themselves, on their own topic: who listens for alarms waits for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from center.contract import topics
from center.contract.acknowledgement import Ack
from center.contract.catalogue import Event, Severity, entry
from center.contract.errors import FrameError
from center.contract.frame import FrameEncoder
from center.contract.ranges import Ranges
from center.contract.topics import GatewayName, Kind
from gateway.ports import Outbox
from runtime import log
from runtime.mqtt import Connection

ALARMS = (Severity.ALARM, Severity.LIFE_SAFETY)
MAX_UNCONFIRMED = 100  # leaves room for frames of events; in a flood the rest waits until some are confirmed
_LOOK_AGAIN_MS = 200  # where early alarms wait for room
_logger = log.get("uplink")


class Alarms:
    """What was announced on up/alarm. The same events also go on up/event; the center stores each once.

    Early alarms are those that a broken disk cannot number: they have an epoch of their own, go on up/alarm only, and
    are sent until that epoch is acknowledged.
    """

    def __init__(self, name: GatewayName, outbox: Outbox, encoder: FrameEncoder, simulated: bool, step: int) -> None:
        self._topic = topics.topic(name, Kind.ALARM)
        self._outbox = outbox
        self._encoder = encoder
        self._simulated = simulated
        self._step = step
        self._announced = Ranges()
        self._early_sent: dict[tuple[str, int], int] = {}  # (epoch, seq) -> when, ms
        self._look_again_ms: int | None = None  # early alarms wait for room until then

    def new_epoch(self) -> None:
        """The journal has another epoch: its numbers begin again."""
        self._announced = Ranges()

    def publish(self, connection: Connection, events: Sequence[Event]) -> None:
        """Each alarm among `events`, which are new and in order, unless it was announced before."""
        self._publish_some(connection, events)

    def _publish_some(self, connection: Connection, events: Sequence[Event]) -> bool:
        """False where there was no room for all; the rest is announced later."""
        for event in events:
            if entry(event.data).severity in ALARMS and event.seq not in self._announced:
                if connection.unconfirmed > MAX_UNCONFIRMED:
                    return False
                self._publish_one(connection, self._outbox.epoch, event)
            self._announced.add(event.seq, event.seq)
        return True

    async def announce_waiting(self, connection: Connection) -> bool:
        """One step through what is not acknowledged, lowest first. False: all was looked at, or enough is on the way.

        Raises StoreError.
        """
        outbox = self._outbox
        gap = next(self._announced.gaps(outbox.acked_upto + 1, outbox.last_seq), None)
        if gap is None or connection.unconfirmed > MAX_UNCONFIRMED:
            return False
        last = min(gap[1], gap[0] + self._step - 1)
        if not self._publish_some(connection, await outbox.read(gap[0], last, last - gap[0] + 1)):
            return False
        self._announced.add(gap[0], last)  # with the numbers that are gone
        return True

    def publish_early(self, connection: Connection, now_ms: int, resend_after_ms: int) -> None:
        """Every early alarm that was not sent within `resend_after_ms`, as far as there is room."""
        sent: dict[tuple[str, int], int] = {}
        self._look_again_ms = None
        for epoch, events in self._outbox.early():
            for event in events:
                key = (epoch, event.seq)
                sent_ms = self._early_sent.get(key)
                if sent_ms is None or now_ms >= sent_ms + resend_after_ms:
                    if connection.unconfirmed > MAX_UNCONFIRMED:
                        self._look_again_ms = now_ms + _LOOK_AGAIN_MS
                    else:
                        self._publish_one(connection, epoch, event)
                        sent_ms = now_ms
                if sent_ms is not None:
                    sent[key] = sent_ms
        self._early_sent = sent

    def new_connection(self) -> None:
        """What was sent early on the connection before may not have arrived."""
        self._early_sent = {}

    def is_early(self, epoch: str) -> bool:
        """True for an epoch of early alarms that were sent on this connection."""
        return any(one == epoch for one, _ in self._early_sent)

    def early_stored_upto(self, ack: Ack) -> int:
        """Up to which number the center has every early alarm that was sent and not acknowledged; the lowest numbers
        of that epoch may be gone here, so this may be above `ack.stored_upto`."""
        upto = ack.stored_upto
        for seq in sorted(seq for epoch, seq in self._early_sent if epoch == ack.epoch):
            if not ack.stores(seq, seq):
                break
            upto = max(upto, seq)
        return upto

    def early_due_ms(self, resend_after_ms: int) -> int | None:
        """When there is an early alarm to send, if nothing arrives before; None where there is none."""
        if self._look_again_ms is not None:
            return self._look_again_ms
        return min(self._early_sent.values()) + resend_after_ms if self._early_sent else None

    def _publish_one(self, connection: Connection, epoch: str, event: Event) -> None:
        try:
            frame = self._encoder.encode(epoch, (event,), self._simulated)
        except FrameError as e:  # a mistake of ours in one event must not hold up the others
            _logger.error("an alarm cannot be sent", seq=event.seq, why=str(e))
            return
        connection.publish(self._topic, frame)
