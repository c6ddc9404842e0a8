"""One contact or button: a level counts once it has been still for a while."""


class DebouncedInput:
    """`active` is the debounced state; `active_level` is the electrical level (0 or 1) that means active."""

    def __init__(self, name: str, active_level: int, stable_ms: int, at_once: bool = True):
        """`at_once`: the first level ever seen counts without waiting."""
        self.name = name
        self._at_once = at_once
        self.active = False
        self._active_level = active_level
        self._stable_ms = stable_ms
        self._known = False
        self._raw = False
        self._since_ms = 0

    def level(self, value: int, now_ms: int) -> bool:
        """The pin now has this level. True where `active` is known or changed at once: the first level ever seen."""
        raw = value == self._active_level
        if not self._known:
            self._known = True
            self._raw = raw
            self._since_ms = now_ms
            if self._at_once:
                self.active = raw
            return self._at_once
        if raw != self._raw:
            self._raw = raw
            self._since_ms = now_ms
        return False

    def settle(self, now_ms: int) -> bool:
        """True where the level has been still long enough and `active` changed just now."""
        if self._raw == self.active or now_ms - self._since_ms < self._stable_ms:
            return False
        self.active = self._raw
        return True

    def due_ms(self):
        """When `settle` is worth calling next; None where nothing is pending."""
        return None if self._raw == self.active else self._since_ms + self._stable_ms
