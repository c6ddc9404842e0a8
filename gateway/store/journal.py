"""The journal: every event is committed here, in order, before anything moves; the uplink reads it as its outbox.

One writer thread, one transaction at a time; whatever was asked for while a commit ran goes into the next one, so an
idle gateway commits at once and a busy one in groups.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from center.contract.catalogue import AnyEventData, Event, entry
from gateway.errors import StoreError
from gateway.ports import Clock, NewEntry

MAX_WAITING = 10_000  # entries not yet committed; beyond this the disk has stopped and new ones are refused

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyEventData).decode

_Row = tuple[str, str | None, bytes, str | None, str | None]  # type, portal, data, holder, plate
_Waiting = tuple[Sequence[_Row], int, bool, "asyncio.Future[None]"]  # rows of one record(), their time


class Journal:
    """Implements ports.Recorder and ports.Outbox over one SQLite file. `connection` comes from
    `database.open_for_writing`."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, file: Path) -> None:
        self._connection = connection
        self._clock = clock
        self._file = file
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[_Waiting] = []
        self._waiting_entries = 0
        self._draining: asyncio.Task[None] | None = None
        self._committed = asyncio.Event()
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        self._epoch = meta["epoch"]
        self._acked_upto = int(meta["acked_upto"])
        self._ended_cleanly = meta["running"] == "0"
        newest = connection.execute("SELECT seq, time_ms FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        self._last_seq: int = newest[0] if newest else 0
        self._newest_ms: int = newest[1] if newest else 0
        self._ok = True

    @staticmethod
    def newest_time_ms(connection: sqlite3.Connection) -> int:
        """The newest stored time, the clock's lower bound; 0 in an empty journal."""
        return int(connection.execute("SELECT coalesce(max(time_ms), 0) FROM journal").fetchone()[0])

    @property
    def epoch(self) -> str:
        """16 hex digits made when the store was created."""
        return str(self._epoch)

    @property
    def last_seq(self) -> int:
        """The newest committed number; 0 when there is none."""
        return self._last_seq

    @property
    def acked_upto(self) -> int:
        """Everything up to here is stored at the center."""
        return self._acked_upto

    @property
    def committed(self) -> asyncio.Event:
        """Set at every commit; a reader clears it before it looks."""
        return self._committed

    @property
    def ok(self) -> bool:
        """False after a failed commit, until one succeeds."""
        return self._ok

    @property
    def ended_cleanly(self) -> bool:
        """Whether the run before this one closed the journal in an orderly way."""
        return self._ended_cleanly

    async def mark_running(self) -> None:
        """Remember that a run began, so that the next one can tell a crash."""
        await self._in_writer(self._set_meta, "running", "1")

    async def record(self, entries: Sequence[NewEntry]) -> None:
        """Commit `entries` in order in one transaction. Raises StoreError; then none of them is stored."""
        rows = [
            (entry(new.data).type, getattr(new.data, "portal", None), _encode(new.data), new.holder, new.plate)
            for new in entries
        ]
        if self._waiting_entries + len(entries) > MAX_WAITING:
            raise StoreError(f"{self._file}: {self._waiting_entries} events wait for the disk; it has stopped writing")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, self._clock.now_ms(), self._clock.certain, done))
        self._waiting_entries += len(entries)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        await done

    async def read(self, first: int, last: int, limit: int) -> list[Event]:
        """Events first..last inclusive in order, at most `limit`."""
        return await self._in_writer(self._read, first, last, limit)

    async def acknowledge(self, upto: int) -> None:
        """Move the mark forward; an older or impossible `upto` is ignored."""
        if self._acked_upto < upto <= self._last_seq:
            await self._in_writer(self._raise_mark, upto)

    async def replace_holders(self, names: Sequence[tuple[str, str, str]]) -> None:
        """Make the holder table hold exactly these (id, name_zh, name_en), for the pages."""
        await self._in_writer(self._replace_holders, names)

    async def close(self, *, clean: bool = True) -> None:
        """Commit what waits, note a clean end, close the file."""
        if self._draining is not None:
            await asyncio.gather(self._draining, return_exceptions=True)
        try:
            if clean:
                await self._in_writer(self._set_meta, "running", "0")
        finally:
            self._writer.shutdown(wait=True)
            self._connection.close()

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._waiting_entries = 0
            try:
                await self._in_writer(self._commit, batch)
            except Exception as e:  # whoever waits must hear of it, whatever it is
                self._ok = False
                for *_, done in batch:
                    if not done.done():
                        done.set_exception(e)
                continue
            self._ok = True
            self._committed.set()
            for *_, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _in_writer(self, call, *arguments):  # type: ignore[no-untyped-def]
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, call, *arguments)
        except sqlite3.Error as e:
            raise StoreError(f"{self._file}: cannot be written ({e}); check the disk's space and health") from e

    # --- in the writer thread ---

    def _commit(self, batch: list[_Waiting]) -> None:
        seq, newest_ms = self._last_seq, self._newest_ms
        rows: list[tuple[int, int, bool, str, str | None, bytes, str | None, str | None]] = []
        for entries, time_ms, certain, _ in batch:
            newest_ms = max(newest_ms, time_ms)
            for row in entries:
                seq += 1
                rows.append((seq, newest_ms, certain, *row))
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT INTO journal VALUES (?,?,?,?,?,?,?,?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._last_seq, self._newest_ms = seq, newest_ms

    def _read(self, first: int, last: int, limit: int) -> list[Event]:
        rows = self._connection.execute(
            "SELECT seq, time_ms, clock_certain, data FROM journal WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (first, last, limit),
        )
        return [Event(seq, time_ms, bool(certain), _decode(data)) for seq, time_ms, certain, data in rows]

    def _set_meta(self, key: str, value: str) -> None:
        self._connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))

    def _raise_mark(self, upto: int) -> None:
        if upto > self._acked_upto:
            self._set_meta("acked_upto", str(upto))
            self._acked_upto = upto

    def _replace_holders(self, names: Sequence[tuple[str, str, str]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("DELETE FROM holder")
        self._connection.executemany("INSERT INTO holder VALUES (?,?,?)", names)
        self._connection.execute("COMMIT")
