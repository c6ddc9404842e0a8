"""Milliseconds that only grow, out of a tick counter that wraps."""

import time


class Ticks:
    """Call `now_ms` at least once in half the counter's period (about three days on small boards)."""

    def __init__(self):
        self._last = time.ticks_ms()
        self._now_ms = 0

    def now_ms(self) -> int:
        now = time.ticks_ms()
        self._now_ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._now_ms
