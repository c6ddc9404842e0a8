"""Tries again and again until the disk is well, and ends in order: what it has begun to store is never cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from center.contract.catalogue import StorageHealed
from gateway.store.journal_disk import JournalDisk
from gateway.store.journal_rows import JournalRows, row_of
from gateway.store.late import Late
from runtime.log import get

PROBE_MIN_S, PROBE_MAX_S = 0.5, 5.0  # between attempts to write again
log = get("journal")


class Healing:
    """`attempt` is True where all is well again; whatever it raises, it is tried again."""

    def __init__(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        self._attempt = attempt
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def begin(self) -> None:
        """Unless it is under way. At construction there may be no loop yet: whoever records first comes here again."""
        if not self._stopping.is_set() and (self._task is None or self._task.done()):
            with contextlib.suppress(RuntimeError):
                self._task = asyncio.get_running_loop().create_task(self._run(), name="journal-healing")

    async def stop(self) -> None:
        """No further attempt; returns when the one under way has ended. Cut off, it would store in secret what its
        caller believes to be waiting still, and stores again."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    def give_up(self) -> None:
        """End what `stop` did not see the end of: nothing may be stored after this."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        delay_s = PROBE_MIN_S
        while not await self._stopped_within(delay_s):
            delay_s = min(delay_s * 2, PROBE_MAX_S)
            try:
                if await self._attempt():
                    return
            except Exception as e:  # this loop is the supervisor: whatever went wrong, it is tried again
                log.exception("healing the journal failed; tried again", why=str(e))

    async def _stopped_within(self, delay_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        return self._stopping.is_set()


async def store_late(
    disk: JournalDisk, store: JournalRows, late: Late, acked_upto: int, said_at: tuple[int, bool] | None
) -> int:
    """Store what waits in one commit, with StorageHealed at `said_at` (time in ms, certain); returns how many events.
    Raises sqlite3.Error, and then all of it waits still."""
    batch = late.begin()
    said = StorageHealed(len(batch.rows), batch.overflowed)
    healed = row_of(said, *said_at, None, None) if said_at is not None else None
    arguments = (batch.rows, late.early.epoch, late.early.acknowledged, healed, batch.keep, acked_upto)
    try:
        await disk.call(store.commit_late, *arguments)
    finally:
        late.end()
    late.done(batch)
    return len(batch.rows)
