"""Alarms leave before everything else, by themselves, on their own topic: who listens for alarms waits for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from center.contract import topics
from center.contract.catalogue import Event, Severity, entry
from center.contract.errors import FrameError
from center.contract.frame import FrameEncoder
from center.contract.ranges import Ranges
from center.contract.topics import GatewayName, Kind
from gateway.ports import Outbox
from runtime import log
from runtime.mqtt import Connection

ALARMS = (Severity.ALARM, Severity.LIFE_SAFETY)
MAX_UNCONFIRMED = 100  # leaves room for frames of events; in a flood the rest goes only with the other events
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

    def new_epoch(self) -> None:
        """The journal has another epoch: its numbers begin again."""
        self._announced = Ranges()

    def publish(self, connection: Connection, events: Sequence[Event]) -> None:
        """Each alarm among `events`, which are new and in order, unless it was announced before."""
        for event in events:
            if entry(event.data).severity not in ALARMS or event.seq in self._announced:
                continue
            if connection.unconfirmed > MAX_UNCONFIRMED:
                break
            self._publish_one(connection, self._outbox.epoch, event)
        self._announced.add(events[0].seq, events[-1].seq)

    async def announce_waiting(self, connection: Connection) -> bool:
        """One step through what is not acknowledged, lowest first. False: all was looked at, or enough is on the way.

        Raises StoreError.
        """
        outbox = self._outbox
        gap = next(self._announced.gaps(outbox.acked_upto + 1, outbox.last_seq), None)
        if gap is None or connection.unconfirmed > MAX_UNCONFIRMED:
            return False
        last = min(gap[1], gap[0] + self._step - 1)
        if events := await outbox.read(gap[0], last, last - gap[0] + 1):
            self.publish(connection, events)
        self._announced.add(gap[0], last)
        return True

    def publish_early(self, connection: Connection, now_ms: int, resend_after_ms: int) -> None:
        """Every early alarm that was not sent within `resend_after_ms`."""
        waiting: dict[tuple[str, int], int] = {}
        for epoch, events in self._outbox.early():
            for event in events:
                key = (epoch, event.seq)
                sent_ms = self._early_sent.get(key)
                if sent_ms is None or now_ms >= sent_ms + resend_after_ms:
                    if connection.unconfirmed > MAX_UNCONFIRMED:
                        return
                    self._publish_one(connection, epoch, event)
                    sent_ms = now_ms
                waiting[key] = sent_ms
        self._early_sent = waiting

    def new_connection(self) -> None:
        """What was sent early on the connection before may not have arrived."""
        self._early_sent = {}

    def is_early(self, epoch: str) -> bool:
        """True for an epoch of early alarms that were sent on this connection."""
        return any(one == epoch for one, _ in self._early_sent)

    def early_due_ms(self, resend_after_ms: int) -> int | None:
        """When the oldest early alarm is to be sent again; None where there is none."""
        return min(self._early_sent.values()) + resend_after_ms if self._early_sent else None

    def _publish_one(self, connection: Connection, epoch: str, event: Event) -> None:
        try:
            frame = self._encoder.encode(epoch, (event,), self._simulated)
        except FrameError as e:  # a mistake of ours in one event must not hold up the others
            _logger.error("an alarm cannot be sent", seq=event.seq, why=str(e))
            return
        connection.publish(self._topic, frame)
