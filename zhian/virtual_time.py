"""An asyncio event loop on virtual time: where a real one would wait, the clock jumps. Same code, exact times.

Only for what waits by timers and within the process: a socket or a thread that is waited for would never come.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


class VirtualLoop(asyncio.SelectorEventLoop):
    """`speed`: virtual seconds per real second at most; None = as fast as the machine."""

    def __init__(self, speed: float | None = None) -> None:
        self.virtual_s = 0.0
        super().__init__(_Selector(self, speed))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.virtual_s


class _Selector(selectors.SelectSelector):
    """Instead of waiting, moves the loop's clock on."""

    def __init__(self, loop: VirtualLoop, speed: float | None) -> None:
        super().__init__()
        self._loop = loop
        self._speed = speed
        self._begun_s = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if timeout is None:
            raise RuntimeError("virtual time stands still: every task waits for something that nothing will do")
        self._loop.virtual_s += timeout
        if self._speed is not None:
            ahead_s = self._loop.virtual_s / self._speed - (time.monotonic() - self._begun_s)
            if ahead_s > 0.001:
                time.sleep(ahead_s)
        return []


class WorldClock:
    """The world's clock (sim.timeline.Clock) over a virtual loop."""

    speed = 1.0

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def elapsed_ms(self) -> float:
        """Whole microseconds, rounded up: what was due at a moment is due when its timer fires."""
        return math.ceil(self._loop.virtual_s * 1e6 - 0.01) / 1000


class GatewayClock:
    """The gateway's clock (gateway.ports.Clock) over a virtual loop; right from the start."""

    certain = True

    def __init__(self, loop: VirtualLoop, start: datetime, zone: ZoneInfo) -> None:
        self._loop = loop
        self._start_ms = round(start.timestamp() * 1000)
        self._zone = zone

    def monotonic_ms(self) -> int:
        """Milliseconds since the loop began."""
        return math.floor(self._loop.virtual_s * 1000 + 0.001)

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._start_ms + self.monotonic_ms()

    def local(self) -> datetime:
        """The site's wall time."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC).astimezone(self._zone)
