"""The journal: every event is committed here, in order, before anything moves; the uplink reads it as its outbox.

One writer thread, one transaction at a time; whatever was asked for while a commit ran goes into the next one, so an
idle gateway commits at once and a busy one in groups. Where the disk refuses, what may be late waits in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from center.contract.catalogue import Event, StorageBroken, StorageHealed
from gateway.errors import StoreError
from gateway.ports import Clock, NewEntry
from gateway.store import capacity, database, opening
from gateway.store.capacity import JournalLimits, Room
from gateway.store.early_alarms import EarlyAlarms
from gateway.store.group_commit import GroupCommit, Request
from gateway.store.journal_rows import JournalRows, late, row_of
from gateway.store.memory_ring import MemoryRing, MemoryRow
from gateway.store.reserve import Reserve
from gateway.store.writer_thread import WriterThread
from runtime.log import get

MAX_WAITING = 10_000  # entries not yet committed; beyond this the disk has stopped
STALL_S = 1.0  # a commit that takes longer: the disk stalls, nobody at a door waits for it
SAY_STALL_S = 10.0  # cheap cards pause now and then; only a longer pause is worth an alarm
PROBE_MIN_S, PROBE_MAX_S = 0.5, 5.0  # between attempts to write again
ACK_FLUSH_S = 1.0  # an acknowledgement is written with the next commit, or after this
PRUNE_EVERY_S = 60.0
CLOSE_WAIT_S = 5.0
MAX_KEPT, MAX_KEY, MAX_VALUE = 1_000, 64, 65_536
log = get("journal")
_T = TypeVar("_T")


class Journal:
    """Implements ports.Recorder and ports.Outbox over one SQLite file.

    `connection` comes from `opening.open_store` (None: the disk cannot be written now) or `database.open_for_writing`.
    `trouble` is what open_store said. `center` is False on a site without one.
    """

    def __init__(
        self,
        connection: database.Connection | None,
        clock: Clock,
        file: Path,
        *,
        limits: JournalLimits | None = None,
        center: bool = True,
        trouble: str | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        self._clock = clock
        self._file = file
        self._limits = limits or JournalLimits()
        self._center = center
        self._reserve = reserve
        self._writer = WriterThread("journal")
        self._group = GroupCommit(self._store, self._failed, self._stalled, lambda: self._committed.set())
        self._healing: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._committed = asyncio.Event()
        self._ring = MemoryRing()
        self._storing: set[int] = set()  # id() of ring rows that are being written: their identity is the disk's
        self._keep_later: dict[str, str | None] = {}
        self._names: Sequence[tuple[str, str, str]] | None = None
        self._early = EarlyAlarms()
        self._acked_upto = 0
        self._offered_again = False
        self._broken: str | None = None
        self._said_broken = False
        self._closed = False
        self._rows: JournalRows | None = None
        self._ended_cleanly = True
        self._at_start = trouble if connection is not None else None  # said once things run
        try:
            if connection is not None:
                self._use(JournalRows(connection, self._limits, center=center))
        except sqlite3.Error as e:
            trouble = database.cause_of(e)
        if self._rows is None:
            self._break(trouble or "read-only")

    # --- what others ask -----------------------------------------------------------------------------------------

    @staticmethod
    def newest_time_ms(connection: database.Connection) -> int:
        """The time of the newest row, the clock's lower bound; 0 in an empty journal."""
        newest = connection.execute("SELECT time_ms FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        return int(newest[0]) if newest else 0

    @property
    def epoch(self) -> str:
        """16 hex digits made when the store was created; a memory epoch while there is no store at all."""
        return self._rows.epoch if self._rows else self._early.epoch

    @property
    def last_seq(self) -> int:
        """The newest committed number; 0 when there is none."""
        return self._rows.last_seq if self._rows else 0

    @property
    def first_seq(self) -> int:
        """The lowest number that was ever meant for the center."""
        return self._rows.first_seq if self._rows else 1

    @property
    def acked_upto(self) -> int:
        """Everything up to here is stored at the center."""
        return self._acked_upto

    @property
    def committed(self) -> asyncio.Event:
        """Set at every commit and when an alarm waits that cannot be stored; a reader clears it before it looks."""
        return self._committed

    @property
    def ok(self) -> bool:
        """False from the first failed or stalled commit until what waited in memory is stored."""
        return self._broken is None

    @property
    def broken(self) -> str | None:
        """Why it is not ok, one word as in StorageBroken."""
        return self._broken

    @property
    def in_memory(self) -> int:
        """Events that wait for the disk."""
        return len(self._ring)

    @property
    def ended_cleanly(self) -> bool:
        """Whether the run before this one closed the journal in an orderly way."""
        return self._ended_cleanly

    @property
    def kept(self) -> dict[str, str]:
        """The newest value of each key, durable or not yet."""
        newest: dict[str, str | None] = {**(self._rows.kept if self._rows else {}), **self._keep_later}
        return {key: value for key, value in newest.items() if value is not None}

    def room(self) -> Room:
        """What is left before events are lost, should the center fall silent now."""
        rows = self._rows.rows if self._rows else 0
        unacknowledged = min(rows, self.last_seq - self._acked_upto) if self._center else 0
        free = 0
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(self._file.parent).free
        return capacity.room(self._limits, rows, unacknowledged, free)

    # --- recording -----------------------------------------------------------------------------------------------

    async def record(
        self, entries: Sequence[NewEntry], *, late_ok: bool = False, keep: Mapping[str, str | None] | None = None
    ) -> None:
        """Commit `entries` in order in one transaction, with `keep`.

        Raises StoreError where that cannot be; then none of them is stored. With `late_ok` it never does: what cannot
        be stored within STALL_S waits in memory and is stored with `recorded_late` when the disk is well again.
        """
        now_ms, certain = self._clock.now_ms(), self._clock.certain
        rows = [row_of(new.data, now_ms, certain, new.holder, new.plate) for new in entries]
        if keep:
            self._check_kept(keep)
        if self._broken is None and self._group.entries + len(rows) > MAX_WAITING:
            self._break("stalled", say_after_s=SAY_STALL_S)
        if self._broken is not None or self._closed:
            self._begin_healing()
            self._refuse_or_wait(rows, keep or {}, late_ok=late_ok)
            return
        request = Request(rows, late_ok, keep or {}, asyncio.get_running_loop().create_future())
        self._group.add(request, STALL_S)
        await request.done

    async def keep(self, key: str, value: str | None) -> None:
        """Remember `value` under `key` durably (None: forget it).

        Raises StoreError where it is not durable yet; it is remembered all the same and written when the disk heals.
        """
        await self.record((), keep={key: value})

    async def mark_running(self) -> None:
        """Remember that a run began, so that the next one can tell a crash. Says what the start found."""
        await self._try(lambda rows: rows.commit((), {}, rows.acked_upto, running=True))
        if self._reserve is not None:
            await self._writer.call(self._reserve.make)
        if self._at_start is not None:
            cause, self._at_start = self._at_start, None
            await self.record([NewEntry(StorageBroken(cause)), NewEntry(StorageHealed(0, 0))], late_ok=True)
        self._upkeep = asyncio.create_task(self._keep_up(), name="journal-upkeep")

    async def replace_holders(self, names: Sequence[tuple[str, str, str]]) -> None:
        """Make the holder table hold exactly these (id, name_zh, name_en), for the pages; later where it cannot now."""
        self._names = names
        await self._try(lambda rows: rows.replace_holders(names))

    async def close(self, *, clean: bool = True) -> None:
        """Commit what waits, note a clean end, close the file; a disk that hangs holds it up for CLOSE_WAIT_S."""
        for task in (self._healing, self._upkeep):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._close(clean=clean)
        if len(self._ring):
            log.error("events that could not be stored are lost with this process", events=len(self._ring))
        if not await asyncio.to_thread(self._writer.stop, CLOSE_WAIT_S):
            log.error("the disk does not answer; the journal is left as it is", file=str(self._file))

    async def _close(self, *, clean: bool) -> None:
        await self._group.idle()
        if self._broken is not None:
            await self._heal_once()
        await self._group.idle()
        acked_upto = self._acked_upto
        await self._try(lambda rows: rows.commit((), {}, acked_upto, running=False if clean else None))
        await self._try(lambda rows: rows.close())

    # --- the outbox ----------------------------------------------------------------------------------------------

    async def read(self, first: int, last: int, limit: int) -> list[Event]:
        """Events first..last inclusive in order, at most `limit`; those that are gone are absent. Raises StoreError
        where the disk cannot be read now, which does not mean that they are gone."""
        rows = self._rows
        if rows is None:
            raise StoreError(f"{self._file}: cannot be read now; it is tried again")
        if first <= self._acked_upto and not self._offered_again:
            # The center asks for what it had acknowledged: it has lost its store, and with it what left early.
            self._offered_again = True
            self._early.found(await self._in_writer(lambda: rows.early(acknowledged=True)))
            self._committed.set()
        return await self._in_writer(lambda: rows.read(first, last, limit))

    async def acknowledge(self, upto: int) -> None:
        """Move the mark forward; an older or impossible `upto` is ignored. Written soon, never raises for the disk."""
        if self._acked_upto < upto <= self.last_seq:
            self._acked_upto = upto
            self._offered_again = False

    async def report_lost(self, ranges: Sequence[tuple[int, int]], reason: str) -> None:
        """Record with OutboxLost that these numbers are not here any more, as far as that is so and was not said."""
        now_ms, certain = self._clock.now_ms(), self._clock.certain
        rows = self._rows
        if rows is not None and await self._in_writer(lambda: rows.report_lost(ranges, reason, now_ms, certain) > 0):
            self._committed.set()

    def early(self) -> Sequence[tuple[str, Sequence[Event]]]:
        """Alarms that cannot be stored now, and those of such times that the center has not acknowledged: (memory
        epoch, events ascending). Fixes their identity: call it only when connected and about to publish on up/alarm."""
        return self._early.take(self._ring.rows, self._storing)

    async def acknowledge_early(self, epoch: str, upto: int) -> None:
        """The center has stored these numbers of a memory epoch."""
        if self._early.acknowledge(epoch, upto):
            await self._try(lambda rows: rows.acknowledge_early(epoch, upto))

    # --- committing ----------------------------------------------------------------------------------------------

    async def _store(self, group: Sequence[Request]) -> None:
        rows = [row for one in group for row in one.rows]
        keep = {key: value for one in group for key, value in one.keep.items()}
        acked_upto, store = self._acked_upto, self._rows
        if store is None:
            raise StoreError(f"{self._file}: is not open")
        try:
            await self._writer.call(store.commit, rows, keep, acked_upto)
        except sqlite3.Error as e:
            if database.cause_of(e) not in ("full", "io") or self._reserve is None or not self._reserve.free():
                raise
            log.error("the disk is full; the reserve was freed, make space now", file=str(self._file))
            await self._writer.call(store.commit, rows, keep, acked_upto)

    def _failed(self, group: Sequence[Request], error: Exception) -> None:
        told = StoreError(f"{self._file}: cannot be written ({error}); check the disk's space and health")
        told.__cause__ = error
        if self._broken is None:
            self._break(database.cause_of(error))
            self._give_back([*group, *self._group.take_waiting()], told)
        else:  # it stalled first: what was made since is behind it
            self._give_back(group, told, older=True)
        self._committed.set()

    def _stalled(self) -> None:
        """The commit under way takes too long. Its fate is open: what is in hand counts as stored or is given back
        when it ends, and nobody waits for that."""
        self._break("stalled", say_after_s=SAY_STALL_S)
        told = StoreError(f"{self._file}: the disk does not answer; check its health")
        for one in self._group.in_hand:
            one.resolve(None if one.late_ok else told)
        self._give_back(self._group.take_waiting(), told)

    def _give_back(self, requests: Sequence[Request], error: StoreError, *, older: bool = False) -> None:
        """What may be late waits in memory; who may not hears that it is not stored."""
        late_ones = [late(row) for one in requests if one.late_ok for row in one.rows]
        self._ring.add(late_ones, older=older)
        for one in requests:
            self._keep_for_later(one.rows, one.keep, late_ok=one.late_ok, older=older)
            one.resolve(None if one.late_ok else error)

    def _refuse_or_wait(self, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], *, late_ok: bool) -> None:
        self._keep_for_later(rows, keep, late_ok=late_ok)
        if not late_ok:
            raise StoreError(f"{self._file}: cannot be written ({self._broken}); check the disk's space and health")
        self._ring.add([late(row) for row in rows])
        self._committed.set()  # there may be an alarm among them

    def _keep_for_later(
        self, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], *, late_ok: bool, older: bool = False
    ) -> None:
        """Not what belongs to a record that was refused: it did not happen."""
        if late_ok or not rows:
            self._keep_later = {**keep, **self._keep_later} if older else {**self._keep_later, **keep}

    def _break(self, cause: str, say_after_s: float = 0.0) -> None:
        """From now on nothing waits for the disk. Said once, at once, unless it may be over in a moment."""
        if self._broken is None:
            self._broken = cause
            log.error("the journal cannot be written; decisions go on, records wait in memory", cause=cause)
            self._begin_healing()
        if say_after_s and self._healing is not None:
            asyncio.get_running_loop().call_later(say_after_s, self._say_broken, self._healing)
        else:
            self._say_broken(self._healing)

    def _say_broken(self, healing: asyncio.Task[None] | None) -> None:
        if self._broken is None or self._said_broken or healing is not self._healing:
            return
        self._said_broken = True
        self._ring.add([row_of(StorageBroken(self._broken), self._clock.now_ms(), self._clock.certain, None, None)])
        self._committed.set()

    def _begin_healing(self) -> None:
        """At construction there may be no loop yet; whoever records first comes here again."""
        if self._healing is None or self._healing.done():
            with contextlib.suppress(RuntimeError):
                self._healing = asyncio.get_running_loop().create_task(self._heal(), name="journal-healing")

    # --- healing -------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        delay_s = PROBE_MIN_S
        while self._broken is not None:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, PROBE_MAX_S)
            try:
                await self._heal_once()
            except Exception as e:  # this loop is the supervisor: whatever went wrong, it is tried again
                with contextlib.suppress(OSError):  # the log may be on the disk that is full
                    log.exception("healing the journal failed; tried again", why=str(e))

    async def _heal_once(self) -> None:
        """Try to store what waits; on success the journal is as good as before."""
        try:
            store = self._rows or await self._open_again()
            if store is None:
                return
            # A small write first: a disk that still refuses or stalls must not hold alarms back that could leave early.
            await self._writer.call(store.commit, (), {}, store.acked_upto, True)
            stored = await self._store_late(store, say_healed=self._said_broken)
            while any(row.early_seq for row in self._ring.rows):  # left early while the others were being stored
                stored += await self._store_late(store, say_healed=False)
            if self._names is not None:
                await self._writer.call(store.replace_holders, self._names)
        except sqlite3.Error as e:
            log.debug("still not writable", why=str(e))
            if database.is_damage(e):
                await self._leave_damaged()
            return
        self._broken, self._said_broken = None, False
        log.info("the journal can be written again", recorded_late=stored)
        self._store_what_came_meanwhile()
        self._committed.set()

    async def _store_late(self, store: JournalRows, *, say_healed: bool) -> int:
        batch, keep, overflowed = self._ring.rows, dict(self._keep_later), self._ring.overflowed
        said = StorageHealed(len(batch), overflowed)
        healed = row_of(said, self._clock.now_ms(), self._clock.certain, None, None) if say_healed else None
        self._storing = {id(row) for row in batch}
        acked_upto = max(self._acked_upto, store.acked_upto)
        arguments = (batch, self._early.epoch, self._early.acknowledged, healed, keep, acked_upto)
        try:
            await self._writer.call(store.commit_late, *arguments)
        finally:
            self._storing = set()
        self._ring.remove(batch)
        self._ring.overflowed -= overflowed
        for key, value in keep.items():
            if self._keep_later.get(key) == value:
                self._keep_later.pop(key, None)
        return len(batch)

    def _store_what_came_meanwhile(self) -> None:
        rows = list(self._ring.rows)
        if not rows and not self._keep_later:
            return
        self._ring.remove(rows)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._group.add(Request(rows, True, dict(self._keep_later), done), STALL_S)
        self._keep_later.clear()

    async def _open_again(self) -> JournalRows | None:
        """Open the file where there was none at start, or where it was left as damaged."""
        try:
            opened = await self._writer.call(opening.open_store, self._file)
            if opened.connection is None:
                return None
            store: JournalRows = await self._writer.call(
                lambda: JournalRows(opened.connection, self._limits, center=self._center)
            )
        except StoreError as e:
            log.error("the journal cannot be opened", why=str(e))
            return None
        self._use(store)
        return store

    async def _leave_damaged(self) -> None:
        """The file is damaged beyond this run: close it, set it aside; the next attempt begins a new epoch."""
        store, self._rows = self._rows, None
        self._acked_upto = 0
        try:
            if store is not None:
                await self._writer.call(store.close)
            aside = await self._writer.call(opening.set_aside, self._file)
        except (sqlite3.Error, OSError) as e:
            log.error("a damaged database cannot be set aside", why=str(e))
        else:
            log.error("the damaged database was set aside; a new epoch begins", aside=str(aside))

    def _use(self, rows: JournalRows) -> None:
        self._rows = rows
        self._acked_upto = rows.acked_upto
        self._ended_cleanly = rows.ended_cleanly
        self._early.found(rows.early())

    # --- small things --------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        """Write acknowledgements that no commit took along; remove what is old, a portion at a time."""
        due_s = 0.0
        while True:
            await asyncio.sleep(ACK_FLUSH_S)
            rows = self._rows
            if self._broken is not None or rows is None:
                continue
            if self._acked_upto > rows.acked_upto and not self._group.entries:
                await self._try(lambda rows: rows.commit((), {}, self._acked_upto))
            due_s += ACK_FLUSH_S
            if due_s >= PRUNE_EVERY_S and self._clock.certain:  # a clock that is wrong must not empty the journal
                due_s = 0.0
                await self._try(lambda rows: rows.prune(self._clock.now_ms()))
                if self._reserve is not None:
                    await self._writer.call(self._reserve.make)

    async def _try(self, call: Callable[[JournalRows], object]) -> None:
        """What may fail in silence, since it is done again or does not matter."""
        rows = self._rows
        if rows is None:
            return
        try:
            await self._writer.call(call, rows)
        except sqlite3.Error as e:
            log.warning("not written now", why=str(e))

    async def _in_writer(self, call: Callable[[], _T]) -> _T:
        try:
            return cast(_T, await self._writer.call(call))
        except sqlite3.Error as e:
            raise StoreError(f"{self._file}: cannot be used now ({e}); check the disk's space and health") from e

    def _check_kept(self, keep: Mapping[str, str | None]) -> None:
        for key, value in keep.items():
            if not 0 < len(key) <= MAX_KEY or (value is not None and len(value.encode()) > MAX_VALUE):
                raise ValueError(
                    f"kept {key[:MAX_KEY]!r}: expected a key of 1..{MAX_KEY} and at most {MAX_VALUE} bytes"
                )
            if value is not None and key not in self.kept and len(self.kept) >= MAX_KEPT:
                raise ValueError(f"kept {key!r}: there are {MAX_KEPT} keys already; forget some")
