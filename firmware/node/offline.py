"""What a node does while its gateway is away: it decides by its cache, and keeps a record of every answer. No I/O.

The clock: `unix_ms` is what the gateway told last and what has run since. After a power cut it is a lower bound, the
newest time that was stored, and not certain; so it is CLOCK_GOOD_MS after it was told last. How much later it may have
been when the power went is `_behind_ms`: what ends is taken to end that much earlier, so that nothing that had expired
opens again.
"""

from firmware.node.cache import Answer, Cache
from firmware.wire import codes
from firmware.wire import offline as wire
from firmware.wire.errors import MessageError

# A session that is silent for codes.OFFLINE_AFTER_MS is over for the node, and nothing of it can open the door later.
# Only after that does the node decide itself, so there are never two answers to one card.
LEAST_AFTER_MS = codes.OFFLINE_AFTER_MS + 1000
USUAL_AFTER_MS = 10000
# A plain crystal is off by less than 100 ppm: a minute a week.
CLOCK_GOOD_MS = 7 * 24 * 3600 * 1000
KEEP_TIME_S = 3600
FIRST_KEEP_S = 60  # after a start, then 2, 4, 8 ... minutes: cuts at whatever interval do not hold the time up
MAX_KEYS = 16
MAX_COUNTED = 32  # holders with wrong PINs; beyond it, the oldest is forgotten


class Offline:
    """`scbk` is the device's base key, None for none yet; `kept` what was kept of a cache, in Blocks or
    None; `journal` a Journal; `before` the base key before this one, or None: until the gateway has sent another cache,
    the one that is there was made with it."""

    def __init__(self, scbk, kept, journal, now_ms: int = 0, before=None):
        self.journal = journal
        self.cache = None
        self._wrong = {}  # holder, or None for this reader -> [wrong, first_ms, locked_until_ms]
        self._keys = wire.CacheKeys(scbk) if scbk else None
        if kept is not None and not self.take_cache(kept) and self._keys is not None and before is not None:
            keys, self._keys = self._keys, wire.CacheKeys(before)
            self.take_cache(kept)
            self._keys = keys
        self._base_ms = journal.time_s * 1000
        if self.cache is not None:
            self._base_ms = max(self._base_ms, self.cache.header.made_ms)
        self._base_now_ms = now_ms
        self._certain = False
        self._behind_ms = KEEP_TIME_S * 1000  # 0 once the gateway has told the time
        self._keep_s = FIRST_KEEP_S
        self.kept = True  # the cache in use is also the one on flash
        self._pending = None  # (card, deadline_ms, the answer so far)
        self._typed = ""
        self.blocked = False  # a lock-out began with the last answer

    # --- what the gateway tells

    def new_key(self, scbk: bytes) -> None:
        """The device has another key. The cache stays with the one it was made with until the next one comes."""
        self._keys = wire.CacheKeys(scbk)

    def take_cache(self, data) -> bool:
        """Use another cache from now on, in cache_file.Blocks. False where it is none: then the one before stays."""
        if self._keys is None:
            return False
        try:
            self.cache = Cache(data, self._keys)
        except MessageError:
            return False
        # Holders are numbered by the cache; the reader's own count goes on.
        self._wrong = {None: self._wrong[None]} if None in self._wrong else {}
        return True

    def command(self, data: bytes, now_ms: int):
        """A manufacturer's command: b"" where it is done, None where it is refused."""
        if not data:
            return None
        code, rest = data[0], data[1:]
        try:
            if code == codes.MFG_SET_TIME:
                certain, unix_ms = wire.time_told(rest)
                self._set_time(certain, unix_ms, now_ms)
            elif code == wire.SET_MODE and len(rest) == 1 and rest[0] <= wire.MODE_NOBODY:
                self.journal.set_mode(rest[0])
            elif code == wire.STORED and self.journal.stored(*wire.stored_told(rest)):
                pass
            else:
                return None
        except MessageError:
            return None
        return b""

    def state(self) -> bytes:
        """What the gateway is told when a session begins."""
        cache, journal = self.cache, self.journal
        version, expires_ms, content = 0, 0, bytes(wire.CONTENT_BYTES)
        if cache is not None and self.kept:
            version, expires_ms, content = cache.header.policy_version, cache.header.expires_ms, cache.content
        return wire.State(version, expires_ms, content, journal.id, journal.lost, journal.waiting).encode()

    # --- time

    @property
    def after_ms(self) -> int:
        """How long the gateway must be silent before the node decides."""
        return USUAL_AFTER_MS if self.cache is None else max(self.cache.header.after_ms, LEAST_AFTER_MS)

    def unix_ms(self, now_ms: int) -> int:
        """The time, or a lower bound of it."""
        return self._base_ms + now_ms - self._base_now_ms

    def certain(self, now_ms: int) -> bool:
        """Whether the time is known."""
        return self._certain and now_ms - self._base_now_ms <= CLOCK_GOOD_MS

    def keep_time(self, now_ms: int) -> None:
        """Have the time kept now and then, so that a power cut costs an hour of it at most."""
        time_s = self.unix_ms(now_ms) // 1000
        if self.cache is not None and time_s - self.journal.time_s >= self._keep_s:
            self._keep_s = min(self._keep_s * 2, KEEP_TIME_S)
            self.journal.set_time(time_s)

    def _set_time(self, certain: bool, unix_ms: int, now_ms: int) -> None:
        if not certain:  # both are lower bounds
            unix_ms = max(unix_ms, self.unix_ms(now_ms))
        elif unix_ms // 1000 < self.journal.time_s - FIRST_KEEP_S:  # what was kept comes from a clock that was ahead
            self.journal.set_time(unix_ms // 1000)
        self._base_ms, self._base_now_ms, self._certain, self._behind_ms = unix_ms, now_ms, certain, 0
        self.keep_time(now_ms)

    # --- people

    def card(self, bits: int, data: bytes, now_ms: int):
        """The Answer to a card; one that waits is followed by `keys` or `expire`."""
        self._pending, self._typed = None, ""
        card = (bits, int.from_bytes(data, "big") >> (len(data) * 8 - bits))
        return self._answered(card, None, now_ms)

    def keys(self, text: str, now_ms: int) -> list:
        """The Answers to keys: one for each `#` that ends something typed."""
        answers = []
        for key in text:
            if key == "*":
                self._typed = ""
            elif key == "#":
                typed, self._typed = self._typed, ""
                if typed:
                    pending, self._pending = self._pending, None
                    answers.append(self._answered(pending[0] if pending else None, typed, now_ms, pending))
            elif len(self._typed) < MAX_KEYS:
                self._typed += key
        return answers

    def expire(self, now_ms: int, over: bool = False):
        """The Answer that it comes to where no PIN came in time, or the gateway is back (`over`); else None."""
        pending = self._pending
        if pending is None or (now_ms < pending[1] and not over):
            return None
        self._pending, self._typed = None, ""
        answer = pending[2]
        answer.waiting = False
        return answer

    def due_ms(self):
        """When `expire` is worth calling, or None."""
        return None if self._pending is None else self._pending[1]

    def record(self, answer, now_ms: int):
        """Put a final answer into the journal. Its number, or None where there is no room."""
        what = wire.GRANTED if answer.granted else wire.DENIED
        return self._add(what, answer, now_ms, not answer.granted)

    def record_blocked(self, answer, now_ms: int):
        """Put into the journal that a lock-out began with this answer."""
        return self._add(wire.BLOCKED, answer, now_ms, True)

    def to_tell(self, now_ms: int):
        """The next record to tell the gateway, or None."""
        return self.journal.to_tell(self.unix_ms(now_ms), wire.CLOCK_CERTAIN if self.certain(now_ms) else 0)

    # ---

    def _add(self, what: int, answer, now_ms: int, keep_room: bool):
        flags = (wire.CLOCK_CERTAIN if self.certain(now_ms) else 0) | (wire.DURESS if answer.duress else 0)
        reason = wire.REASONS.index(answer.reason)
        return self.journal.add(
            self.unix_ms(now_ms), answer.digest, what, answer.shown, reason, flags, keep_room
        )  # fmt: skip

    def _answered(self, card, pin, now_ms: int, pending=None):
        self.blocked = False
        shown = (wire.CARD if card else 0) | (wire.PIN if pin else 0)
        before = pending[2] if pending else None
        if pin and not self.cache.open_to_all and self._locked(before.holder if before else None, now_ms):
            if before is None:
                return Answer("too-many-attempts", shown)
            return Answer("too-many-attempts", shown, before.digest, before.holder)
        try:
            answer = self.cache.judge(
                card, pin, self.journal.mode, self.unix_ms(now_ms), self.certain(now_ms), self._behind_ms
            )
        except MessageError:
            answer = Answer("not-offline", shown)
        if answer.waiting:
            self._pending = (card, now_ms + self.cache.header.wait_ms, answer)
        if pin and not self.cache.open_to_all:
            self._count(answer, now_ms)
        return answer

    def _locked(self, holder, now_ms: int) -> bool:
        for name in (None, holder):
            count = self._wrong.get(name)
            if count is not None and now_ms < count[2]:
                return True
        return False

    def _count(self, answer, now_ms: int) -> None:
        """As the gateway's access.attempts: by reader and by holder; a right PIN clears its holder's count only."""
        limits, names = self.cache.header, (None,) if answer.holder is None else (None, answer.holder)
        if answer.granted:
            count = self._wrong.get(answer.holder)
            if answer.holder is not None and count is not None and count[2] <= now_ms:
                del self._wrong[answer.holder]
            return
        if answer.reason != "wrong-pin" and not (answer.reason == "unknown-credential" and answer.shown == wire.PIN):
            return
        for name in names:
            count = self._wrong.get(name)
            if count is None or now_ms - count[1] >= limits.window_s * 1000 or count[2]:
                count = self._wrong[name] = [0, now_ms, 0]
            count[0] += 1
            if count[0] >= limits.wrong:
                count[2] = now_ms + limits.lockout_s * 1000
                self.blocked = True
        if len(self._wrong) > MAX_COUNTED:
            oldest = min([name for name in self._wrong if name is not None], key=lambda name: self._wrong[name][1])
            del self._wrong[oldest]
