"""What the node has to tell the control panel: a bounded queue that never lets an old card open a door."""

CAPACITY = 16
# Room that only vital messages may use, so that a chattering button or a rush of cards never costs the news of a fire.
VITAL_CAPACITY = 4
# Somebody who presented a card this long ago has walked on; opening now would let in whoever stands there.
STALE_MS = 5000


class EventQueue:
    """Replies waiting for a poll, oldest first.

    An event stays at the head while it is on its way (`take`) until the panel's next command proves that it arrived
    (`confirm`). `dropped` counts what found no room, `expired` what grew old before it could be told. What is vital
    never grows old.
    """

    def __init__(self, capacity: int = CAPACITY, stale_ms: int = STALE_MS):
        self._capacity = capacity
        self._stale_ms = stale_ms
        self._waiting = []
        self._told = False
        self.dropped = 0
        self.expired = 0

    def push(self, message, now_ms: int, vital: bool = False) -> bool:
        """Queue a reply. False where there is no room: the newest is refused, what came first stays."""
        if len(self._waiting) >= self._capacity + (VITAL_CAPACITY if vital else 0):
            self.dropped += 1
            return False
        self._waiting.append((message, now_ms, vital))
        return True

    def take(self, now_ms: int):
        """The reply to send now, or None. The same one again until it is confirmed, unless it has grown old."""
        while self._waiting:
            message, since_ms, vital = self._waiting[0]
            if vital or now_ms - since_ms <= self._stale_ms:
                self._told = True
                return message
            self._waiting.pop(0)
            self._told = False
            self.expired += 1
        return None

    def confirm(self) -> None:
        """The reply taken last has arrived."""
        if self._told:
            self._waiting.pop(0)
            self._told = False

    def drop(self, code: int) -> bool:
        """Forget every waiting reply with this code. True where there was one."""
        kept = [waiting for waiting in self._waiting if waiting[0].code != code]
        found = len(kept) < len(self._waiting)
        if found and self._waiting[0][0].code == code:
            self._told = False
        self._waiting = kept
        return found

    def untold(self) -> None:
        """The session ended: nobody knows whether the last reply arrived, so it will be taken again."""
        self._told = False

    def __len__(self):
        return len(self._waiting)
