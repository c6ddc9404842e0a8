"""Looks at the clock every second: says once when its time is no longer known, and once when it is again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from center.contract import catalogue
from gateway.control.judge import Judge
from gateway.errors import StoreError
from runtime.log import get

KEY = "clock"  # among the store's kept values: when the time was last known
LOOK_S = 1.0
KEEP_EVERY_MS = 3_600_000  # how old what is kept may become

log = get("clock")


class WatchedClock(Protocol):
    """gateway.drivers.clock.SystemClock."""

    @property
    def certain(self) -> bool: ...

    @property
    def cause(self) -> str:
        """Why it is not certain."""
        ...

    @property
    def doubted(self) -> bool:
        """Whether a time server vouches for a time that is below what is stored."""
        ...

    @property
    def offset_ms(self) -> int:
        """How far off it was when it was last corrected."""
        ...

    def monotonic_ms(self) -> int: ...

    def known(self) -> str | None:
        """What to keep over a restart of core, if there is anything."""
        ...


class Keeper(Protocol):
    """The store's kept values."""

    async def keep(self, key: str, value: str | None) -> None:
        """Raises StoreError where that is not durable yet."""
        ...


class ClockWatch:
    """`changed` is called at every change of certainty: schedules have to be looked at."""

    def __init__(self, judge: Judge, clock: WatchedClock, keeper: Keeper, changed: Callable[[], None]) -> None:
        self._judge = judge
        self._clock = clock
        self._keeper = keeper
        self._changed = changed
        self._was_certain = True  # a start with a clock that is right is no event
        self._kept_ms: int | None = None
        self._kept_doubt: bool | None = None  # None: whatever the last run knew

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Once."""
        certain = self._clock.certain
        if certain is not self._was_certain:
            self._was_certain = certain
            self._changed()
            if certain:
                await self._judge.fact(catalogue.ClockSynced(self._clock.offset_ms))
            else:
                await self._judge.fact(catalogue.ClockLost(self._clock.cause))
        doubted = self._clock.doubted
        if doubted is not self._kept_doubt or (certain and self._is_due()):
            self._kept_ms = self._clock.monotonic_ms()
            self._kept_doubt = doubted
            try:
                await self._keeper.keep(KEY, self._clock.known())
            except StoreError as e:
                log.warning("the known time is not stored yet", error=str(e))
            if certain and (kept := self._judge.pruned()):  # only a certain clock may forget what has expired
                await self._judge.record(keep=kept)

    def _is_due(self) -> bool:
        return self._kept_ms is None or self._clock.monotonic_ms() - self._kept_ms >= KEEP_EVERY_MS
