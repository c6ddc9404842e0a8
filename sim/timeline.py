"""When things happen in the world. Physics schedules on a Timeline; real runs wait for it, tests step through it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

MAX_SCHEDULED = 20_000  # a world of a few hundred devices has some thousand; more means a loop went wrong


class Clock(Protocol):
    """Where a world's time comes from."""

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        ...

    def elapsed_ms(self) -> float:
        """Simulated milliseconds since the world began. Never goes back."""
        ...


class RealClock:
    """Follows the machine's monotonic clock, `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._start_s = time.monotonic()

    def elapsed_ms(self) -> float:
        """Simulated milliseconds since construction."""
        return (time.monotonic() - self._start_s) * 1000 * self.speed


class ManualClock:
    """Stands still until it is moved: exact virtual time."""

    speed = 1.0

    def __init__(self) -> None:
        self.now_ms = 0.0

    def elapsed_ms(self) -> float:
        """The time it was last set to."""
        return self.now_ms


@dataclass(order=True, slots=True)
class Scheduled:
    """One thing that will happen, unless it is cancelled first."""

    due_ms: float
    order: int
    action: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """It shall not happen. Harmless when it already has."""
        self.cancelled = True


class Timeline:
    """Calls actions at their times, equal times in the order of scheduling."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._heap: list[Scheduled] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()

    @property
    def now_ms(self) -> float:
        """Simulated milliseconds since the world began."""
        return self.clock.elapsed_ms()

    def call_later(self, delay_ms: float, action: Callable[[], None]) -> Scheduled:
        """Run `action` after `delay_ms`. Raises OverflowError when MAX_SCHEDULED things already wait."""
        if len(self._heap) >= MAX_SCHEDULED:
            raise OverflowError(f"{MAX_SCHEDULED} actions are already scheduled; something schedules without end")
        entry = Scheduled(self.now_ms + max(0.0, delay_ms), next(self._order), action)
        heapq.heappush(self._heap, entry)
        self._changed.set()
        return entry

    async def sleep(self, delay_ms: float) -> None:
        """Wait `delay_ms` of simulated time."""
        done = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        entry = self.call_later(delay_ms, wake)
        try:
            await done
        finally:
            entry.cancel()

    def next_due_ms(self) -> float | None:
        """When the next thing happens; None when nothing is scheduled."""
        while self._heap and self._heap[0].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0].due_ms if self._heap else None

    def run_due(self) -> int:
        """Do everything that is due by now; how many actions ran."""
        count = 0
        while (due := self.next_due_ms()) is not None and due <= self.now_ms:
            heapq.heappop(self._heap).action()
            count += 1
        return count

    async def run(self) -> None:
        """Follow the clock until cancelled."""
        while True:
            self._changed.clear()
            self.run_due()
            due = self.next_due_ms()
            wait_s = None if due is None else max(0.0, due - self.now_ms) / 1000 / self.clock.speed
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue


async def advance(timeline: Timeline, clock: ManualClock, delta_ms: float) -> None:
    """Move virtual time on by `delta_ms`, doing each thing at its exact time and letting waiting tasks run between."""
    end_ms = clock.now_ms + delta_ms
    await _let_tasks_run()
    while (due := timeline.next_due_ms()) is not None and due <= end_ms:
        clock.now_ms = max(clock.now_ms, due)
        timeline.run_due()
        await _let_tasks_run()
    clock.now_ms = end_ms


async def _let_tasks_run() -> None:
    for _ in range(10):  # deeper chains of awaits than any agent has
        await asyncio.sleep(0)
