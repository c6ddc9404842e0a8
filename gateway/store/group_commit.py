"""One commit at a time; whatever is asked for while it runs goes into the next one. No timer: idle means at once.

No task either: a commit costs the loop two callbacks, and one look-out for stalls serves all commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.store.journal_rows import Committed
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
    """`store` begins to commit a group; then comes `committed`, or `failed` with one that is not stored. `stalled` is
    called once where a commit takes longer than `stall_s`."""

    def __init__(
        self,
        store: Callable[[Sequence[Request]], asyncio.Future[Committed]],
        committed: Callable[[Sequence[Request], Committed], None],
        failed: Callable[[Sequence[Request], Exception], None],
        stalled: Callable[[], None],
        stall_s: float,
    ) -> None:
        self._store = store
        self._committed = committed
        self._failed = failed
        self._stalled = stalled
        self._stall_s = stall_s
        self._waiting: list[Request] = []
        self._entries = 0
        self._under_way = False
        self._began_s = 0.0
        self._look_out: asyncio.TimerHandle | None = None
        self._idle: asyncio.Future[None] | None = None
        self.in_hand: Sequence[Request] = ()

    @property
    def entries(self) -> int:
        """Rows that wait for the commit under way to end."""
        return self._entries

    def add(self, request: Request) -> None:
        """Store it with the next commit."""
        self._waiting.append(request)
        self._entries += len(request.rows)
        if not self._under_way:
            self._begin()

    def take_waiting(self) -> list[Request]:
        """All that is not under way yet; it is the caller's now."""
        waiting, self._waiting, self._entries = self._waiting, [], 0
        return waiting

    async def idle(self) -> None:
        """Until nothing is under way."""
        if self._under_way:
            self._idle = self._idle or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._under_way = True
        self.in_hand = self.take_waiting()
        self._began_s = loop.time()
        if self._look_out is None:
            self._look_out = loop.call_later(self._stall_s, self._look)
        self._store(self.in_hand).add_done_callback(self._ended)

    def _ended(self, outcome: asyncio.Future[Committed]) -> None:
        group, self.in_hand = self.in_hand, ()
        error = asyncio.CancelledError() if outcome.cancelled() else outcome.exception()
        if error is None:
            self._committed(group, outcome.result())
            for one in group:
                one.resolve(None)
        else:  # whoever waits must hear of it, whatever it is
            self._failed(group, error if isinstance(error, Exception) else RuntimeError(repr(error)))
        if self._waiting:
            self._begin()
            return
        self._under_way = False
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    def _look(self) -> None:
        """Serves all commits: it comes again when the one that is under way then could have stalled."""
        self._look_out = None
        if not self._under_way:
            return
        loop = asyncio.get_running_loop()
        due_s = self._began_s + self._stall_s
        if loop.time() >= due_s:
            self._stalled()  # the next commit begins a new look-out
        else:
            self._look_out = loop.call_at(due_s, self._look)
