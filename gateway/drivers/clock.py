"""The machine's clock, held to what is known: never below the newest stored time."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

# Nothing of this program ran before it was written: a wall clock below this is a Pi without a battery.
EARLIEST_PLAUSIBLE_MS = int(datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)


class SystemClock:
    """Implements ports.Clock. `newest_stored_ms` is the newest time in the journal when core starts."""

    def __init__(self, timezone: str, newest_stored_ms: int) -> None:
        self._zone = ZoneInfo(timezone)
        self._floor_ms = max(newest_stored_ms, EARLIEST_PLAUSIBLE_MS)

    @property
    def certain(self) -> bool:
        """False while the wall clock is behind a time that has certainly passed."""
        return time.time_ns() // 1_000_000 >= self._floor_ms

    def now_ms(self) -> int:
        """Unix milliseconds, never below the floor and never backwards."""
        self._floor_ms = max(self._floor_ms, time.time_ns() // 1_000_000)
        return self._floor_ms

    def monotonic_ms(self) -> int:
        """Milliseconds for time-outs."""
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        """`now_ms` as local time of the site."""
        return datetime.fromtimestamp(self.now_ms() / 1000, self._zone)
