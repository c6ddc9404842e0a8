"""What the node has to tell the control panel: a bounded queue that never lets an old card open a door."""

from firmware.wire import codes

CAPACITY = 16
# Room that only vital messages may use, so that a chattering button or a rush of cards never costs the news of a fire.
VITAL_CAPACITY = 4
# Somebody who presented a card this long ago has walked on; opening now would let in whoever stands there.
STALE_MS = 5000
PEOPLE = (codes.RAW, codes.KEYPPAD)  # what somebody showed or typed


class EventQueue:
    """Replies waiting for a poll, oldest first.

    An event stays at the head while it is on its way (`take`) until the panel's next command proves that it arrived
    (`confirm`). `dropped` counts what found no room, `expired` what grew old before it could be told. What is vital
    never grows old. While `hold` is set, what people showed or typed waits, and grows old.
    """

    def __init__(self, capacity: int = CAPACITY, stale_ms: int = STALE_MS):
        self._capacity = capacity
        self._stale_ms = stale_ms
        self._waiting = []
        self._told = None
        self.hold = False
        self.dropped = 0
        self.expired = 0

    def push(self, message, now_ms: int, vital: bool = False) -> bool:
        """Queue a reply. False where there is no room: the newest is refused, what came first stays."""
        if len(self._waiting) >= self._capacity + (VITAL_CAPACITY if vital else 0):
            self.dropped += 1
            return False
        self._waiting.append((message, now_ms, vital))
        return True

    def push_first(self, message, now_ms: int) -> None:
        """Have this reply told next; it never grows old. For one at a time, so that it needs no room."""
        self._waiting.insert(0, (message, now_ms, True))

    def take(self, now_ms: int):
        """The reply to send now, or None. The same one again until it is confirmed, unless it has grown old."""
        kept = []
        for waiting in self._waiting:
            if waiting[2] or now_ms - waiting[1] <= self._stale_ms:
                kept.append(waiting)
            else:
                self.expired += 1
        self._waiting = kept
        self._told = None
        for waiting in kept:
            if not self.hold or waiting[0].code not in PEOPLE:
                self._told = waiting
                return waiting[0]
        return None

    def confirm(self) -> None:
        """The reply taken last has arrived."""
        if self._told is not None:
            self._waiting = [waiting for waiting in self._waiting if waiting is not self._told]
            self._told = None

    def drop(self, code: int) -> bool:
        """Forget every waiting reply with this code. True where there was one."""
        kept = [waiting for waiting in self._waiting if waiting[0].code != code]
        found = len(kept) < len(self._waiting)
        if self._told is not None and self._told[0].code == code:
            self._told = None
        self._waiting = kept
        return found

    def untold(self) -> None:
        """The session ended: nobody knows whether the last reply arrived, so it will be taken again."""
        self._told = None

    def __len__(self):
        return len(self._waiting)
