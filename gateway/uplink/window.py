"""What to send next, what is on the way, what to send again. Pure: numbers and milliseconds in, ranges out.

The center's acknowledgement is the only truth. Numbers are in one of four states: not yet sent live (`next_live` and
above), waiting (`todo`: backlog, or asked for again), in flight (in a frame that was sent), stored at the center.
"""

from __future__ import annotations

from dataclasses import dataclass

from center.contract.acknowledgement import MAX_MISSING_RANGES, Ack
from center.contract.ranges import Range, Ranges

MAX_FRAMES_IN_FLIGHT = 32
MAX_BACKLOG_FRAMES_IN_FLIGHT = 4  # leaves room for live events while a backlog is sent
# An acknowledgement names few gaps, and says nothing of what is above them: frames there must not hold up the others.
MAX_UNKNOWN_FRAMES_IN_FLIGHT = 12
# up/alarm and up/event are different topics, so a copy on one may pass a frame on the other for this long.
REORDER_MS = 1_000
RESEND_MAX_MS = 300_000


@dataclass(slots=True)
class Sending:
    """A frame to send, or one that is in flight. `live`: these numbers are sent for the first time."""

    first: int
    last: int
    live: bool
    sent_ms: int = 0
    overtaken: bool = False
    unknown: bool = False  # the last acknowledgement could not say whether it is there


class SendWindow:
    """One connection's view of the outbox. A new connection starts with a new window."""

    def __init__(self, acked_upto: int, last_seq: int, batch_events: int, resend_after_ms: int) -> None:
        self._batch = batch_events
        self._resend_after_ms = resend_after_ms
        self._timeout_ms = resend_after_ms
        self._next_live = last_seq + 1
        self._last_seq = last_seq
        self._todo = Ranges([(acked_upto + 1, last_seq)] if acked_upto < last_seq else ())
        self._gone = Ranges()
        self._in_flight: list[Sending] = []  # in the order of sending

    @property
    def in_flight(self) -> int:
        """Frames sent and not known to be stored."""
        return len(self._in_flight)

    @property
    def idle(self) -> bool:
        """Nothing on the way and nothing to send."""
        return not self._in_flight and not len(self._todo) and self._next_live > self._last_seq

    def committed(self, last_seq: int) -> None:
        """The outbox now ends at `last_seq`."""
        self._last_seq = max(self._last_seq, last_seq)

    def next(self) -> Sending | None:
        """What to send now, live before backlog, lowest first; None where the window is full or all is sent."""
        if len(self._in_flight) >= MAX_FRAMES_IN_FLIGHT:
            return None
        if self._next_live <= self._last_seq:
            return Sending(self._next_live, min(self._last_seq, self._next_live + self._batch - 1), live=True)
        lowest = self._todo.first_range()
        backlog = [sending.unknown for sending in self._in_flight if not sending.live]
        if lowest is None or backlog.count(False) >= MAX_BACKLOG_FRAMES_IN_FLIGHT:
            return None
        if backlog.count(True) >= MAX_UNKNOWN_FRAMES_IN_FLIGHT:
            return None
        return Sending(lowest[0], min(lowest[1], lowest[0] + self._batch - 1), live=False)

    def sent(self, sending: Sending, last: int, now_ms: int) -> None:
        """`sending.first`..`last` went out as one frame; the rest of what `next` offered is offered again."""
        self._leave(sending, last)
        self._in_flight.append(Sending(sending.first, last, sending.live, sent_ms=now_ms))

    def gone(self, sending: Sending, last: int) -> None:
        """The outbox has no events `sending.first`..`last` any more: they are not offered again."""
        self._leave(sending, last)
        self._gone.add(sending.first, last)

    def _leave(self, sending: Sending, last: int) -> None:
        if sending.live:
            self._next_live = last + 1
        else:
            self._todo.remove(sending.first, last)

    def acknowledged(self, ack: Ack) -> None:
        """Take over what the center says: forget what it has, send again what it misses and is not on the way."""
        self._timeout_ms = self._resend_after_ms
        kept = [s for s in self._in_flight if not ack.stores(s.first, s.last)]
        newest_stored = max((i for i, s in enumerate(self._in_flight) if s not in kept), default=-1)
        for sending in self._in_flight[: newest_stored + 1]:
            sending.overtaken = True  # one sent later is there and this one is not: very likely lost
        self._in_flight = kept
        for sending in kept:
            sending.unknown = len(ack.missing) == MAX_MISSING_RANGES and sending.last > ack.seen_upto
        missing = Ranges(ack.missing)
        self._todo.remove(1, ack.stored_upto)
        for first, last in missing.gaps(ack.stored_upto + 1, ack.seen_upto):
            self._todo.remove(first, last)
        missing.remove(self._next_live, 1 << 53)
        for sending in self._in_flight:
            missing.remove(sending.first, sending.last)
        for first, last in self._gone:
            missing.remove(first, last)
        for first, last in missing:
            self._todo.add(first, last)

    def expire(self, now_ms: int) -> int:
        """Offer again what was very likely lost, and the oldest frame where no acknowledgement comes; returns how many.

        Only the oldest, and each time later: its acknowledgement says what else is missing, while a center that is
        away for hours must not find its broker full of copies.
        """
        lost = [s for s in self._in_flight if s.overtaken and now_ms >= s.sent_ms + REORDER_MS]
        if not lost and self._in_flight and now_ms >= self._in_flight[0].sent_ms + self._timeout_ms:
            lost = self._in_flight[:1]
            self._timeout_ms = min(self._timeout_ms * 2, RESEND_MAX_MS)
        for sending in lost:
            self._todo.add(sending.first, sending.last)
        self._in_flight = [s for s in self._in_flight if s not in lost]
        return len(lost)

    def due_ms(self) -> int | None:
        """When `expire` has something to do, if nothing arrives before; None = never."""
        if not self._in_flight:
            return None
        oldest = self._in_flight[0].sent_ms + self._timeout_ms
        return min([oldest, *(s.sent_ms + REORDER_MS for s in self._in_flight if s.overtaken)])

    def asked_in_vain(self, ack: Ack) -> list[Range]:
        """What the center misses and the outbox does not have."""
        missing = Ranges(ack.missing)
        asked = missing.copy()
        for first, last in self._gone:
            asked.remove(first, last)
        for first, last in asked:
            missing.remove(first, last)
        return list(missing)

    def send_again(self) -> None:
        """Everything in flight was refused as it was: offer it again."""
        for sending in self._in_flight:
            self._todo.add(sending.first, sending.last)
        self._in_flight = []

    def one_by_one(self) -> None:
        """A frame holds something that the center does not know: what it does know must not share one with it."""
        self._batch = 1

    def missing_here(self) -> list[Range]:
        """Numbers that the center asked for and the outbox does not have any more."""
        return list(self._gone)
