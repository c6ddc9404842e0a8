"""One task per portal (and one for the devices): does its jobs in order, and wakes at its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.errors import DriverError, OperationRefusedError, StoreError
from gateway.ports import Clock
from runtime.log import get

QUEUE_LENGTH = 100  # a door that has this much waiting is stuck: the newest is refused and counted
Job = Callable[[], Awaitable[None]]

log = get("control")


class JobLoop:
    """A bounded queue of jobs. `deadline_ms` (monotonic) is asked before every wait; then `expire`.

    `length`: who speaks for many devices or portals may get one job of each in a moment. What must not be lost goes in
    by `submit_latest`.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        deadline_ms: Callable[[], int | None] | None = None,
        expire: Job | None = None,
        length: int = QUEUE_LENGTH,
    ) -> None:
        self._name = name
        self._clock = clock
        self._deadline_ms = deadline_ms
        self._expire = expire
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(length)
        self._latest: dict[str, Job] = {}
        self.refused = 0

    def submit(self, job: Job) -> bool:
        """Queue a job; False (counted and logged) where it does not keep up."""
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            self.refused += 1
            log.error("this part does not keep up; a job was dropped", part=self._name, dropped=self.refused)
            return False
        return True

    def submit_latest(self, name: str, job: Job) -> None:
        """Queue a job that tells how something is now: where the queue is full, the newest of each `name` waits beside
        it and is done when the queue is empty."""
        if name not in self._latest and not self._jobs.full():
            self._jobs.put_nowait(job)
        else:
            self._latest[name] = job

    def nudge(self) -> None:
        """The deadline has changed: look at it again. A queue that is not empty looks by itself."""
        if self._jobs.empty():
            self._jobs.put_nowait(_nothing)

    async def perform(self, job: Job) -> None:
        """Do `job` in its turn and wait for it. Its StoreError, DriverError or OperationRefusedError is raised here,
        not logged."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def tell() -> None:
            try:
                await job()
            except (StoreError, DriverError, OperationRefusedError) as e:
                if not done.done():
                    done.set_exception(e)
            else:
                if not done.done():
                    done.set_result(None)

        if not self.submit(tell):
            raise DriverError(f"{self._name!r} does not keep up; try again in a moment")
        await done

    async def run(self) -> None:
        """Until cancelled. A fault of store or device ends the job, never the loop."""
        while True:
            job = await self._next()
            try:
                if job is not None:
                    await job()
                elif self._expire is not None:
                    await self._expire()
            except (StoreError, DriverError) as e:
                log.error("a job failed", part=self._name, error=str(e))

    async def _next(self) -> Job | None:
        if self._latest and self._jobs.empty():
            return self._latest.pop(next(iter(self._latest)))
        deadline = self._deadline_ms() if self._deadline_ms is not None else None
        if deadline is None:
            return await self._jobs.get()
        wait_s = max(0.0, (deadline - self._clock.monotonic_ms()) / 1000)
        try:
            async with asyncio.timeout(wait_s):
                return await self._jobs.get()
        except TimeoutError:
            return None


async def _nothing() -> None:
    """A job that only wakes the loop."""
