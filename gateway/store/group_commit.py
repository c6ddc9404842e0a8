"""One commit at a time; whatever is asked for while it runs goes into the next one. No timer: idle means at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.store.memory_ring import MemoryRow


@dataclass(slots=True, eq=False)
class Request:
    """What one caller asked to be stored; `done` tells whoever waits."""

    rows: list[MemoryRow]
    late_ok: bool
    keep: Mapping[str, str | None]
    done: asyncio.Future[None]

    def resolve(self, error: Exception | None) -> None:
        """The first answer counts: a commit that stalled is answered before its fate is known."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class GroupCommit:
    """`store` commits a group; `failed` gets one that is not stored; `stalled` is called where it takes too long."""

    def __init__(
        self,
        store: Callable[[Sequence[Request]], Awaitable[None]],
        failed: Callable[[Sequence[Request], Exception], None],
        stalled: Callable[[], None],
        committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._failed = failed
        self._stalled = stalled
        self._committed = committed
        self._waiting: list[Request] = []
        self._entries = 0
        self._draining: asyncio.Task[None] | None = None
        self.in_hand: Sequence[Request] = ()

    @property
    def entries(self) -> int:
        """Rows that wait for the commit under way to end."""
        return self._entries

    def add(self, request: Request, stall_s: float) -> None:
        """Store it with the next commit; one that takes longer than `stall_s` is told of."""
        self._waiting.append(request)
        self._entries += len(request.rows)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(stall_s))

    def take_waiting(self) -> list[Request]:
        """All that is not under way yet; it is the caller's now."""
        waiting, self._waiting, self._entries = self._waiting, [], 0
        return waiting

    async def idle(self) -> None:
        """Until nothing is under way."""
        if self._draining is not None:
            await asyncio.wait([self._draining])

    async def _drain(self, stall_s: float) -> None:
        while self._waiting:
            group = self.in_hand = self.take_waiting()
            watch = asyncio.get_running_loop().call_later(stall_s, self._stalled)
            error: Exception | None = None
            try:
                await self._store(group)
            except Exception as e:  # whoever waits must hear of it, whatever it is
                error = e
            finally:
                watch.cancel()
                self.in_hand = ()
            if error is not None:
                self._failed(group, error)
                continue
            self._committed()
            for one in group:
                one.resolve(None)
