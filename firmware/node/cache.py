"""Who may pass here while the gateway is away: the answer that the gateway's `decide` gives for a card, a PIN or both,
or a refusal where the node cannot know (docs/offline.md). Times are Unix milliseconds by the node's clock.
"""

from firmware.wire import cache_file
from firmware.wire import offline as wire
from firmware.wire.cache_file import CacheFile


class Answer:
    """What to tell the person: granted, or waiting for the PIN, or neither. `reason` is a place in wire.REASONS;
    `digest` and `holder` are the first credential's, where it is known; `shown` has bits wire.CARD and wire.PIN."""

    def __init__(self, reason: str, shown: int, digest: bytes = bytes(wire.DIGEST_BYTES), holder=None):
        self.granted = reason == "permitted"
        self.waiting = reason == "pin-required"
        self.reason = reason
        self.shown = shown
        self.digest = digest
        self.holder = holder
        self.duress = False


class Cache:
    """One cache that was checked. `keys` are the offline.CacheKeys that it was made with."""

    def __init__(self, data: bytes, keys):
        """Raises MessageError where it is none."""
        self._file = CacheFile(data, keys)
        self._keys = keys
        self.header = self._file.header
        self.content = self._file.content

    @property
    def credentials(self) -> int:
        """How many cards and PINs it holds."""
        return self._file.counts[cache_file.CREDENTIALS]

    @property
    def open_to_all(self) -> bool:
        """Whoever asks goes, whatever they show: the portal leads out."""
        return bool(self.header.flags & cache_file.LEAVES)

    def judge(self, card, pin, mode: int, unix_ms: int, certain: bool, behind_ms: int = 0) -> Answer:
        """The answer to what was shown.

        card: (bits, value) or None; pin: digits or None, not both None; mode: wire.MODE_*. Where the clock is not
        certain, `unix_ms` is a lower bound; it may have been `behind_ms` later when it was kept, and what ends within
        that has ended.
        """
        shown = (wire.CARD if card else 0) | (wire.PIN if pin else 0)
        if self.header.flags & cache_file.LEAVES:
            return Answer("permitted", shown)
        header = self.header
        if not header.flags & cache_file.JUDGES or not header.made_ms <= unix_ms < header.expires_ms - behind_ms:
            return Answer("not-offline", shown)
        if mode == wire.MODE_NOBODY:
            return Answer("lockdown", shown)
        digest = self._keys.card(card[0], card[1]) if card else self._pin_digest(cache_file.NO_HOLDER, pin)
        first = None if digest is None else self._find(digest, not card)
        if first is None:
            return Answer("unknown-credential", shown)
        holder = first[1]
        answer = Answer("unknown-credential", shown, digest, holder)
        answer.reason = self._window_problem(first[2], unix_ms, behind_ms)
        answer.duress = bool(first[3] & cache_file.CREDENTIAL_DURESS) and not answer.reason
        if card and pin:
            wrong, duress = self._second(holder, pin, unix_ms, behind_ms)
            answer.duress = answer.duress or duress
            answer.reason = answer.reason or wrong
        answer.reason = answer.reason or self._rule_problem(holder, unix_ms, certain) or self._missing(shown, mode)
        answer.granted = answer.reason == "permitted"
        answer.waiting = answer.reason == "pin-required"
        return answer

    def _second(self, holder: int, pin: str, unix_ms: int, behind_ms: int) -> tuple:
        """What is wrong with the PIN after a card, and whether it tells duress."""
        digest = self._pin_digest(holder, pin)
        found = None if digest is None else self._find(digest, True)
        if found is None or found[1] != holder:
            return "wrong-pin", False
        problem = self._window_problem(found[2], unix_ms, behind_ms)
        return problem, bool(found[3] & cache_file.CREDENTIAL_DURESS) and not problem

    def _window_problem(self, window: int, unix_ms: int, behind_ms: int) -> str:
        since_ms, until_ms = self._file.row(cache_file.WINDOWS, window)
        if unix_ms < since_ms:
            return "not-yet-valid"
        return "expired" if unix_ms + behind_ms >= until_ms else ""

    def _rule_problem(self, holder: int, unix_ms: int, certain: bool) -> str:
        """Why nobody, or not this holder, may enter now; "" where nothing is wrong."""
        file = self._file
        if self._within(cache_file.CLOSED_TIMES, 0, file.counts[cache_file.CLOSED_TIMES], unix_ms):
            return "not-today"
        flags, first, count = file.row(cache_file.PROFILES, file.row(cache_file.HOLDERS, holder)[0])
        timed = certain or self.header.clock == cache_file.SCHEDULES
        if flags & cache_file.PROFILE_ALWAYS and (timed or self.header.clock == cache_file.ALWAYS_VALID):
            return ""
        if not timed:
            return "clock-uncertain"
        return "" if self._within(cache_file.OPEN_TIMES, first, count, unix_ms) else "outside-schedule"

    def _missing(self, shown: int, mode: int) -> str:
        """What the portal accepts: "permitted", "pin-required" or "not-accepted-here"."""
        accepts = self.header.accepts
        if mode == wire.MODE_CARD_AND_PIN:
            accepts = cache_file.CARD_PIN if accepts & (wire.CARD | cache_file.CARD_PIN) else 0
        if accepts & shown or (accepts & cache_file.CARD_PIN and shown == wire.CARD | wire.PIN):
            return "permitted"
        return "pin-required" if accepts & cache_file.CARD_PIN and shown == wire.CARD else "not-accepted-here"

    def _pin_digest(self, holder: int, pin: str):
        """The digest of a PIN of `holder`, or None where the cache has no PIN of theirs."""
        low, high = 0, self._file.counts[cache_file.PIN_KEYS]
        while low < high:
            middle = (low + high) // 2
            whose, key = self._file.row(cache_file.PIN_KEYS, middle)
            if whose == holder:
                return self._keys.pin(wire.pin_digest(key, pin))
            if whose < holder:
                low = middle + 1
            else:
                high = middle
        return None

    def _find(self, digest: bytes, pin: bool):
        """The credential's row, or None."""
        low, high = 0, self.credentials
        while low < high:
            middle = (low + high) // 2
            row = self._file.row(cache_file.CREDENTIALS, middle)
            if row[0] == digest:
                return row if bool(row[3] & cache_file.CREDENTIAL_PIN) == pin else None
            if row[0] < digest:
                low = middle + 1
            else:
                high = middle
        return None

    def _within(self, table: int, first: int, count: int, unix_ms: int) -> bool:
        """Whether one of these times holds; they are in order and do not touch."""
        low, high = first, first + count
        while low < high:
            middle = (low + high) // 2
            since_s, until_s = self._file.row(table, middle)
            if unix_ms < since_s * 1000:
                high = middle
            elif unix_ms >= until_s * 1000:
                low = middle + 1
            else:
                return True
        return False
