"""The journal: every event is committed here, in order, before anything moves; the uplink reads it as its outbox.

One writer thread, one transaction at a time; whatever was asked for while a commit ran goes into the next one, so an
idle gateway commits at once and a busy one in groups. Where the disk refuses, what may be late waits in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from center.contract.catalogue import Event, StorageBroken, StorageHealed
from gateway.errors import StoreError
from gateway.ports import Clock, NewEntry
from gateway.store import capacity, database, late
from gateway.store.capacity import JournalLimits, Room
from gateway.store.group_commit import GroupCommit, Request
from gateway.store.healing import Healing, store_late
from gateway.store.journal_disk import ACK_FLUSH_S, JournalDisk
from gateway.store.journal_rows import Committed, JournalRows, row_of, said_late
from gateway.store.late import Late
from gateway.store.memory_ring import MemoryRow
from gateway.store.recent import Recent
from gateway.store.reserve import Reserve
from runtime.log import get

MAX_WAITING = 10_000  # entries not yet committed; beyond this the disk has stopped
STALL_S = 1.0  # a commit that takes longer: the disk stalls, nobody at a door waits for it
SAY_STALL_S = 10.0  # cheap cards pause now and then; only a longer pause is worth an alarm
PRUNE_EVERY_S = 60.0
CLOSE_WAIT_S = 5.0
log = get("journal")


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
        self._disk = JournalDisk(file, self._limits, reserve, center=center)
        self._group = GroupCommit(self._store, self._done, self._failed, self._stalled, STALL_S)
        self._recent = Recent()
        self._healing = Healing(self._heal)
        self._upkeep: asyncio.Task[None] | None = None
        self._committed = asyncio.Event()
        self._late = Late()
        self._names: Sequence[tuple[str, str, str]] | None = None
        self._acked_upto = 0
        self._acked_early: dict[str, int] = {}  # to be written: memory epoch -> number
        self._offered_again = False
        self._broken: str | None = None
        self._breaks = 0
        self._said_broken = False
        self._closed = False
        self._ended_cleanly = True
        self._at_start = trouble if connection is not None else None  # said once things run
        try:
            if connection is not None:
                self._opened(self._disk.use(connection))
        except sqlite3.Error as e:
            trouble = database.cause_of(e)
        if self._rows is None:
            self._break(trouble or "read-only")

    # --- what others ask -----------------------------------------------------------------------------------------

    @property
    def _rows(self) -> JournalRows | None:
        return self._disk.rows

    @property
    def epoch(self) -> str:
        """16 hex digits made when the store was created; a memory epoch while there is no store at all."""
        return self._rows.epoch if self._rows else self._late.early.epoch

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
        return len(self._late)

    @property
    def ended_cleanly(self) -> bool:
        """Whether the run before this one closed the journal in an orderly way."""
        return self._ended_cleanly

    @property
    def kept(self) -> dict[str, str]:
        """The newest value of each key, durable or not yet."""
        newest: dict[str, str | None] = {**(self._rows.kept if self._rows else {}), **self._late.keep}
        return {key: value for key, value in newest.items() if value is not None}

    def room(self) -> Room:
        """What is left before events are lost, should the center fall silent now."""
        rows = self._rows.rows if self._rows else 0
        unacknowledged = min(rows, self.last_seq - self._acked_upto) if self._center else 0
        return capacity.room(self._limits, rows, unacknowledged, self._disk.free_bytes())

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
            late.check_kept(keep, self.kept)
        if self._broken is None and self._group.entries + len(rows) > MAX_WAITING:
            self._break("stalled", say_after_s=SAY_STALL_S)
        if self._broken is not None or self._closed:
            self._healing.begin()
            self._refuse_or_wait(rows, keep or {}, late_ok=late_ok)
            return
        request = Request(rows, late_ok, keep or {}, asyncio.get_running_loop().create_future())
        self._group.add(request)
        await request.done

    async def keep(self, key: str, value: str | None) -> None:
        """Remember `value` under `key` durably (None: forget it).

        Raises StoreError where it is not durable yet; it is remembered all the same and written when the disk heals.
        """
        await self.record((), keep={key: value})

    async def mark_running(self) -> None:
        """Remember that a run began, so that the next one can tell a crash. Says what the start found."""
        await self._disk.attempt(lambda rows: rows.commit((), {}, rows.acked_upto, running=True))
        await self._disk.make_reserve()
        if self._at_start is not None:
            cause, self._at_start = self._at_start, None
            await self.record([NewEntry(StorageBroken(cause)), NewEntry(StorageHealed(0, 0))], late_ok=True)
        self._upkeep = asyncio.create_task(self._keep_up(), name="journal-upkeep")

    async def replace_holders(self, names: Sequence[tuple[str, str, str]]) -> None:
        """Make the holder table hold exactly these (id, name_zh, name_en), for the pages; later where it cannot now."""
        self._names = names
        await self._disk.attempt(lambda rows: rows.replace_holders(names))

    async def close(self, *, clean: bool = True) -> None:
        """Commit what waits, note a clean end, close the file; a disk that hangs holds it up for CLOSE_WAIT_S."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._healing.stop()
                await self._close(clean=clean)
        self._healing.give_up()
        if len(self._late):
            log.error("events that could not be stored are lost with this process", events=len(self._late))
        if not await asyncio.to_thread(self._disk.stop, CLOSE_WAIT_S):
            log.error("the disk does not answer; the journal is left as it is", file=str(self._file))

    async def _close(self, *, clean: bool) -> None:
        await self._group.idle()
        if self._broken is not None:
            await self._heal()
        await self._group.idle()
        acked_upto, disk = self._acked_upto, self._disk
        await self._disk.write_early_acknowledgements(self._acked_early)
        await disk.attempt(lambda rows: rows.commit((), {}, acked_upto, running=False if clean else None))
        await disk.attempt(lambda rows: rows.close())

    # --- the outbox ----------------------------------------------------------------------------------------------

    async def read(self, first: int, last: int, limit: int) -> list[Event]:
        """Events first..last inclusive in order, at most `limit`; those that are gone are absent. Raises StoreError
        where the disk cannot be read now, which does not mean that they are gone."""
        rows = self._rows_now()
        if first <= self._acked_upto and not self._offered_again:
            # The center asks for what it had acknowledged: it has lost its store, and with it what left early.
            self._late.early.found(await self._disk.ask(lambda: rows.early(acknowledged=True)))
            self._offered_again = True
            self._committed.set()
        recent = self._recent.events(rows.epoch, first, min(last, first + limit - 1))
        if recent is not None:
            return recent
        return await self._disk.ask(lambda: rows.read(first, last, limit))

    async def acknowledge(self, upto: int) -> None:
        """Move the mark forward; an older or impossible `upto` is ignored. Written soon, never raises for the disk."""
        if self._acked_upto < upto <= self.last_seq:
            self._acked_upto = upto
            self._offered_again = False

    async def report_lost(self, ranges: Sequence[tuple[int, int]], reason: str, *, again: bool = False) -> None:
        """Record with OutboxLost that these numbers are not here any more, as far as that is so and was not said (or,
        with `again`, was said in a report that the center had no room for)."""
        now_ms, certain = self._clock.now_ms(), self._clock.certain
        rows = self._rows_now()
        self._recent.clear()  # what is gone must not be offered while the disk removes it
        try:
            said = await self._disk.ask(lambda: rows.report_lost(ranges, reason, now_ms, certain, again=again))
        finally:
            self._recent.clear()  # and what was committed meanwhile may have gone, too
        if said:
            self._committed.set()

    async def begin_epoch(self) -> None:
        """An older copy of the file was put back: what is not acknowledged, and all that follows, is of a new epoch."""
        now_ms, certain, acked_upto = self._clock.now_ms(), self._clock.certain, self._acked_upto
        rows = self._rows_now()
        said = [row_of(one, now_ms, certain, None, None) for one in (StorageBroken("put-back"), StorageHealed(0, 0))]
        await self._disk.ask(lambda: rows.begin_epoch(acked_upto, said))
        self._committed.set()

    def _rows_now(self) -> JournalRows:
        if self._rows is None or self._broken == "stalled":
            raise StoreError(f"{self._file}: cannot be read now; it is tried again")
        return self._rows

    def early(self) -> Sequence[tuple[str, Sequence[Event]]]:
        """Alarms that cannot be stored now, and those of such times that the center has not acknowledged: (memory
        epoch, events ascending). Fixes their identity: call it only when connected and about to publish on up/alarm."""
        return self._late.leaving()

    def offer_early_again(self) -> None:
        """The center has forgotten what it had, perhaps for the second time before it caught up."""
        self._offered_again = False

    async def acknowledge_early(self, epoch: str, upto: int) -> None:
        """The center has stored these numbers of a memory epoch. Written soon, never waits for the disk."""
        if self._late.acknowledged(epoch, upto):
            self._acked_early[epoch] = max(upto, self._acked_early.get(epoch, 0))

    # --- committing ----------------------------------------------------------------------------------------------

    def _store(self, group: Sequence[Request]) -> asyncio.Future[Committed]:
        rows = [row for one in group for row in one.rows]
        keep = {key: value for one in group for key, value in one.keep.items()}
        return self._disk.commit(rows, keep, self._acked_upto)

    def _done(self, group: Sequence[Request], done: Committed) -> None:
        if done.removed:
            self._recent.clear()
        self._recent.add(done.epoch, done.first, [row for one in group for row in one.rows])
        self._committed.set()

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
        late_ones = [said_late(row) for one in requests if one.late_ok for row in one.rows]
        self._late.ring.add(late_ones, older=older)
        for one in requests:
            self._keep_for_later(one.rows, one.keep, late_ok=one.late_ok, older=older)
            one.resolve(None if one.late_ok else error)

    def _refuse_or_wait(self, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], *, late_ok: bool) -> None:
        self._keep_for_later(rows, keep, late_ok=late_ok)
        if not late_ok:
            raise StoreError(f"{self._file}: cannot be written ({self._broken}); check the disk's space and health")
        self._late.ring.add([said_late(row) for row in rows])
        self._committed.set()  # there may be an alarm among them

    def _keep_for_later(
        self, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], *, late_ok: bool, older: bool = False
    ) -> None:
        """Not what belongs to a record that was refused: it did not happen."""
        if late_ok or not rows:
            self._late.remember(keep, older=older)

    def _break(self, cause: str, say_after_s: float = 0.0) -> None:
        """From now on nothing waits for the disk. Said once, at once, unless it may be over in a moment."""
        if self._broken is None:
            self._broken = cause
            self._breaks += 1
            log.error("the journal cannot be written; decisions go on, records wait in memory", cause=cause)
            self._healing.begin()
        if say_after_s:
            asyncio.get_running_loop().call_later(say_after_s, self._say_broken, self._breaks)
        else:
            self._say_broken(self._breaks)

    def _say_broken(self, breaks: int) -> None:
        if self._broken is None or self._said_broken or breaks != self._breaks:
            return
        self._said_broken = True
        said = row_of(StorageBroken(self._broken), self._clock.now_ms(), self._clock.certain, None, None)
        self._late.ring.add([said])
        self._committed.set()

    # --- healing -------------------------------------------------------------------------------------------------

    async def _heal(self) -> bool:
        """Try to store what waits; on success the journal is as good as before, and it is True."""
        try:
            store = self._rows
            if store is None and (store := await self._disk.open_again()) is not None:
                self._opened(store)
            if store is None:
                return False
            # A small write first: a disk that still refuses or stalls must not hold alarms back that could leave early.
            await self._disk.call(store.commit, (), {}, store.acked_upto, True)
            stored = await self._store_late(store, say_healed=self._said_broken)
            while self._late.left_unstored():  # left early while the others were being stored
                stored += await self._store_late(store, say_healed=False)
            if self._names is not None:
                await self._disk.call(store.replace_holders, self._names)
        except sqlite3.Error as e:
            log.debug("still not writable", why=str(e))
            if database.is_damage(e):
                self._acked_upto = 0
                await self._disk.leave_damaged()
            return False
        self._broken, self._said_broken = None, False
        log.info("the journal can be written again", recorded_late=stored)
        self._store_what_came_meanwhile()
        self._committed.set()
        return True

    async def _store_late(self, store: JournalRows, *, say_healed: bool) -> int:
        stamp = (self._clock.now_ms(), self._clock.certain) if say_healed else None
        try:
            return await store_late(self._disk, store, self._late, max(self._acked_upto, store.acked_upto), stamp)
        finally:
            self._recent.clear()  # rows may have gone to make room

    def _store_what_came_meanwhile(self) -> None:
        rows, keep = self._late.take_all()
        if rows or keep:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._group.add(Request(rows, True, keep, done))

    def _opened(self, rows: JournalRows) -> None:
        self._acked_upto = rows.acked_upto
        self._ended_cleanly = rows.ended_cleanly
        self._late.early.found(rows.early())

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
                await self._disk.attempt(lambda rows: rows.commit((), {}, self._acked_upto))
            await self._disk.write_early_acknowledgements(self._acked_early)
            due_s += ACK_FLUSH_S
            if due_s >= PRUNE_EVERY_S and self._clock.certain:  # a clock that is wrong must not empty the journal
                due_s = 0.0
                await self._disk.attempt(lambda rows: rows.prune(self._clock.now_ms()))
                await self._disk.make_reserve()
