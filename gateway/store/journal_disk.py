"""The journal's disk: one file, one thread that works on it, and nobody on the loop who waits for it without end."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from gateway.errors import StoreError
from gateway.store import database, opening
from gateway.store.capacity import JournalLimits
from gateway.store.journal_rows import Committed, JournalRows
from gateway.store.memory_ring import MemoryRow
from gateway.store.reserve import Reserve
from gateway.store.writer_thread import WriterThread
from runtime.log import get

ACK_FLUSH_S = 1.0  # acknowledgements are written this often, with a commit where there is one: each changes a page
ANSWER_S = 2.0  # a question that takes longer is given up; alarms that leave early must not wait behind it
log = get("journal")
_T = TypeVar("_T")


class JournalDisk:
    """`rows` is None while there is no database that can be used."""

    def __init__(self, file: Path, limits: JournalLimits, reserve: Reserve | None, *, center: bool) -> None:
        self.file = file
        self.rows: JournalRows | None = None
        self._limits = limits
        self._reserve = reserve
        self._center = center
        self._writer = WriterThread("journal")
        self._ack_due_s = 0.0
        self._unanswered: asyncio.Future[Any] | None = None

    def use(self, connection: database.Connection) -> JournalRows:
        """Work on this database from now on. Raises sqlite3.Error; then the connection is closed."""
        self.rows = JournalRows(connection, self._limits, center=self._center)
        return self.rows

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Do it in the thread, after what it has to do already."""
        return self._writer.call(function, *arguments)

    def commit(
        self, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], acked_upto: int
    ) -> asyncio.Future[Committed]:
        """All of it in one transaction; where the disk is full, once more without the reserve. The future may carry
        sqlite3.Error or StoreError."""
        return self.call(self._commit, self.rows, rows, keep, acked_upto)

    def _commit(
        self, store: JournalRows | None, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], acked_upto: int
    ) -> Committed:
        """In the thread."""
        if store is None:
            raise StoreError(f"{self.file}: is not open")
        now_s = time.monotonic()
        if now_s < self._ack_due_s and not store.over(len(rows)):  # where room must be made, it decides what may go
            acked_upto = store.acked_upto
        else:
            self._ack_due_s = now_s + ACK_FLUSH_S
        try:
            return store.commit(rows, keep, acked_upto)
        except sqlite3.Error as e:
            if database.cause_of(e) not in ("full", "io") or self._reserve is None or not self._reserve.free():
                raise
            log.error("the disk is full; the reserve was freed, make space now", file=str(self.file))
            return store.commit(rows, keep, acked_upto)

    async def attempt(self, call: Callable[[JournalRows], object]) -> bool:
        """What may fail in silence, since it is done again or does not matter; False where it did."""
        rows = self.rows
        if rows is None:
            return False
        try:
            await self.call(call, rows)
        except sqlite3.Error as e:
            log.warning("not written now", why=str(e))
            return False
        return True

    async def ask(self, call: Callable[[], _T]) -> _T:
        """Raises StoreError where the disk cannot do it, or does not answer within ANSWER_S."""
        if self._unanswered is not None and not self._unanswered.done():
            raise StoreError(f"{self.file}: the disk does not answer; check its health")
        answer = self.call(call)
        answer.add_done_callback(_looked_at)
        await asyncio.wait([answer], timeout=ANSWER_S)
        if not answer.done():
            self._unanswered = answer
            raise StoreError(f"{self.file}: the disk does not answer; check its health")
        try:
            return cast(_T, answer.result())
        except sqlite3.Error as e:
            raise StoreError(f"{self.file}: cannot be used now ({e}); check the disk's space and health") from e

    async def write_early_acknowledgements(self, acked: dict[str, int]) -> None:
        """`acked`: memory epoch -> number; what is written is taken out of it."""
        for epoch, upto in list(acked.items()):
            written = await self.attempt(partial(JournalRows.acknowledge_early, epoch=epoch, upto=upto))
            if written and acked[epoch] == upto:
                del acked[epoch]

    def free_bytes(self) -> int:
        """On its file system; 0 where that cannot be told."""
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self.file.parent).free
        return 0

    async def make_reserve(self) -> None:
        """Set space aside, if there is plenty."""
        if self._reserve is not None:
            await self.call(self._reserve.make)

    async def open_again(self) -> JournalRows | None:
        """Open the file where there was none at start, or where it was left as damaged. Raises sqlite3.Error."""
        try:
            opened = await self.call(opening.open_store, self.file)
        except StoreError as e:
            log.error("the journal cannot be opened", why=str(e))
            return None
        if opened.connection is None:
            return None
        return cast(JournalRows, await self.call(self.use, opened.connection))

    async def leave_damaged(self) -> None:
        """The file is damaged beyond this run: close it, set it aside; the next attempt begins a new epoch."""
        store, self.rows = self.rows, None
        try:
            if store is not None:
                await self.call(store.close)
            aside = await self.call(opening.set_aside, self.file)
        except (sqlite3.Error, OSError) as e:
            log.error("a damaged database cannot be set aside", why=str(e))
        else:
            log.error("the damaged database was set aside; a new epoch begins", aside=str(aside))

    def stop(self, timeout_s: float) -> bool:
        """End the thread after what it has to do; False where the disk still holds it up then."""
        return self._writer.stop(timeout_s)


def _looked_at(answer: asyncio.Future[Any]) -> None:
    """An answer that nobody waits for any more may be an error."""
    if not answer.cancelled():
        answer.exception()
