"""Simulated power cuts: the journal's own code on a disk that keeps what was synced and any part of what was not.

The journal runs once on a recording VFS (apsw). Then the power is cut at seeded points of the record: every write
since the last sync of its file is kept, lost, or torn into 512-byte sectors, each by itself and in any order; names
that were not synced may be gone. The product opens what is left with the stock sqlite3 and must find exactly what it
had confirmed, or that and the one transaction that was under way: never less, never half.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from center.contract import catalogue
from gateway.store import database, opening
from gateway.store.capacity import JournalLimits
from gateway.store.journal_rows import JournalRows, row_of, said_late
from gateway.store.memory_ring import MemoryRow

SECTOR_BYTES = 512
TRANSACTIONS = 250  # of one record: several checkpoints of the WAL among them
LIMITS = JournalLimits(rows_max=120, retain_days=1)
_START_MS = 1_790_000_000_000
_MEMORY_EPOCH = "00000000000000ee"


@dataclass(frozen=True, slots=True)
class State:
    """What of the store must be there: numbers with their data, marks, kept values, early alarms."""

    rows: tuple[tuple[int, bytes], ...]
    acked_upto: int
    kept: tuple[tuple[str, str], ...]
    early: tuple[tuple[int, int], ...]  # number, acknowledged


@dataclass(slots=True)
class Step:
    """One thing that happened to the disk. `file` is a name in the folder; `state` is set by what was confirmed."""

    what: str  # create, write, truncate, sync, delete, confirmed
    file: str = ""
    offset: int = 0
    data: bytes = b""
    state: State | None = None


@dataclass(slots=True)
class Tally:
    """What the cuts did."""

    cuts: int = 0
    damaged: int = 0  # the product could not use what was left
    lost: int = 0  # cuts after which something confirmed was missing or half of a transaction there
    rows_lost: int = 0
    newer: int = 0  # cuts after which the transaction under way was complete: allowed


# --- recording ------------------------------------------------------------------------------------------------------


@contextmanager
def _recording_vfs(steps: list[Step]) -> Iterator[str]:
    import apsw

    class File(apsw.VFSFile):
        def __init__(self, vfs: str, name: Any, flags: list[int]) -> None:
            path = Path(name.filename() if hasattr(name, "filename") else str(name))
            self._name = path.name
            if not path.exists():
                steps.append(Step("create", self._name))
            super().__init__(vfs, name, flags)

        def xWrite(self, data: bytes, offset: int) -> None:  # SQLite's name
            steps.append(Step("write", self._name, offset, bytes(data)))
            super().xWrite(data, offset)

        def xTruncate(self, size: int) -> None:
            steps.append(Step("truncate", self._name, size))
            super().xTruncate(size)

        def xSync(self, flags: int) -> None:
            steps.append(Step("sync", self._name))
            super().xSync(flags)

    class Disk(apsw.VFS):
        def __init__(self, name: str) -> None:
            super().__init__(name, "")

        def xOpen(self, name: Any, flags: list[int]) -> File:
            return File("", name, flags)

        def xDelete(self, path: str, sync_folder: bool) -> None:
            steps.append(Step("delete", Path(path).name))
            super().xDelete(path, sync_folder)

    name = f"record-{id(steps)}"
    disk = Disk(name)
    try:
        yield name
    finally:
        disk.unregister()


def record(seed: int, transactions: int = TRANSACTIONS, pragma: str | None = None) -> list[Step]:
    """The steps of one run of the journal's own code; `pragma` weakens it, for the control."""
    import apsw

    steps: list[Step] = []
    folder = Path(tempfile.mkdtemp(prefix="zhian-power-"))
    try:
        with _recording_vfs(steps) as vfs:
            connection = apsw.Connection(str(folder / "gateway.sqlite"), vfs=vfs)
            # apsw's VFS cannot share memory, which only other processes would need.
            connection.execute("PRAGMA locking_mode=exclusive").fetchall()
            database.prepare(connection, folder)
            if pragma is not None:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            rows = JournalRows(connection, LIMITS)
            rows.commit((), {}, 0, running=True)
            work = _Workload(rows, connection, random.Random(seed))  # noqa: S311  # repeatable, not secret
            steps.append(Step("confirmed", state=work.state()))
            for _ in range(transactions):
                work.one()
                steps.append(Step("confirmed", state=work.state()))
            recorded = list(steps)  # what closing writes is not part of it
            connection.close()
    finally:
        shutil.rmtree(folder)
    return recorded


@dataclass
class _Workload:
    """Everything that the journal does to its file, in a seeded mixture."""

    rows: JournalRows
    connection: Any
    dice: random.Random
    made: int = 0
    early: int = 0
    now_ms: int = _START_MS
    kinds: tuple[str, ...] = field(default=("event",) * 10 + ("group",) * 4 + ("ack", "keep", "late", "lost", "prune"))

    def one(self) -> None:
        """One transaction."""
        self.now_ms += self.dice.randrange(1, 3_600_000)
        match self.dice.choice(self.kinds):
            case "event":
                self.rows.commit([self._row()], {}, self.rows.acked_upto)
            case "group":
                group = [self._row() for _ in range(self.dice.randrange(2, 30))]
                self.rows.commit(group, {"presence": "x" * self.dice.randrange(3000)}, self.rows.acked_upto)
            case "ack":
                self.rows.commit([], {}, self.dice.randint(self.rows.acked_upto, self.rows.last_seq))
            case "keep":
                value = None if self.dice.random() < 0.3 else str(self.made)
                self.rows.commit([], {f"mode/{self.dice.randrange(4)}": value}, self.rows.acked_upto)
            case "late":
                self._late()
            case "lost":
                self.rows.report_lost([(1, self.rows.last_seq)], "not-kept", self.now_ms, True)
            case "prune":
                self.rows.prune(self.now_ms)

    def _row(self) -> MemoryRow:
        self.made += 1
        alarm = self.dice.random() < 0.1
        portal = f"door-{self.dice.randrange(9)}"
        data = catalogue.PortalForced(portal) if alarm else catalogue.PortalClosed(portal, self.made)
        return row_of(data, self.now_ms, True, "holder" * self.dice.randrange(5), None)

    def _late(self) -> None:
        waiting = [said_late(self._row()) for _ in range(self.dice.randrange(1, 12))]
        for row in waiting[:2]:
            self.early += 1
            row.early_seq = self.early
        healed = row_of(catalogue.StorageHealed(len(waiting), 0), self.now_ms, True, None, None)
        self.rows.commit_late(
            waiting, _MEMORY_EPOCH, lambda seq: seq % 2 == 0, healed, {"fire": "on"}, self.rows.acked_upto
        )

    def state(self) -> State:
        return read_state(self.connection)


def read_state(connection: Any) -> State:
    """What a store holds, by any connection."""
    rows = connection.execute("SELECT seq, data FROM journal ORDER BY seq").fetchall()
    acked = connection.execute("SELECT value FROM meta WHERE key = 'acked_upto'").fetchone()[0]
    kept = connection.execute("SELECT key, value FROM kept ORDER BY key").fetchall()
    early = connection.execute("SELECT seq, acked FROM early ORDER BY seq").fetchall()
    return State(
        tuple((seq, bytes(data)) for seq, data in rows),
        int(acked),
        tuple((k, v) for k, v in kept),
        tuple((a, b) for a, b in early),
    )


def lying(steps: list[Step]) -> list[Step]:
    """The same run on a disk that says it has synced and has not: the control."""
    return [step for step in steps if step.what != "sync"]


# --- cutting --------------------------------------------------------------------------------------------------------


def cut(steps: list[Step], cuts: int, seed: int, folder: Path, judged: Callable[[int], None] | None = None) -> Tally:
    """Cut the power `cuts` times at random steps after the first confirmation, and judge what is left each time."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    begin = next(i for i, step in enumerate(steps) if step.what == "confirmed") + 1
    points = sorted(dice.randint(begin, len(steps)) for _ in range(cuts))
    tally = Tally()
    disk = _Disk()
    done = 0
    for point in points:
        for step in steps[done:point]:
            disk.apply(step)
        done = point
        under_way = next((step.state for step in steps[point:] if step.state is not None), disk.confirmed)
        left = folder / "left"
        left.mkdir()
        disk.leave(left, dice)
        _judge(left, disk.confirmed, under_way, tally)
        shutil.rmtree(left)
        if judged is not None:
            judged(tally.cuts)
    return tally


class _Disk:
    """What is durable, and what the disk has been told since without a sync."""

    def __init__(self) -> None:
        self._durable: dict[str, bytearray] = {}
        self._named: set[str] = set()  # whose names are durable
        self._pending: dict[str, list[Step]] = {}
        self.confirmed: State | None = None

    def apply(self, step: Step) -> None:
        if step.what == "confirmed":
            self.confirmed = step.state
        elif step.what == "sync":
            content = self._durable.setdefault(step.file, bytearray())
            for one in self._pending.pop(step.file, []):
                _write(content, one.what, one.offset, one.data)
            # SQLite syncs the folder with the first sync of a WAL or journal, which makes every name in it durable.
            self._named.update(self._durable, self._pending)
        elif step.what == "delete":
            self._durable.pop(step.file, None)
            self._pending.pop(step.file, None)
        else:
            self._pending.setdefault(step.file, []).append(step)

    def leave(self, folder: Path, dice: random.Random) -> None:
        """Write into `folder` what a power cut now may leave."""
        for name in {*self._durable, *self._pending}:
            if name.endswith("-shm") or (name not in self._named and dice.random() < 0.5):
                continue
            content = bytearray(self._durable.get(name, b""))
            for step in self._pending.get(name, []):
                for offset, data in _survivors(step, dice):
                    _write(content, step.what, offset, data)
            (folder / name).write_bytes(content)


def _survivors(step: Step, dice: random.Random) -> Iterator[tuple[int, bytes]]:
    """The parts of one unsynced step that reached the disk: all, none, or some sectors of it."""
    fate = dice.random()
    if fate < 0.4:
        yield step.offset, step.data
    elif fate < 0.7 and len(step.data) > SECTOR_BYTES:
        for at in range(0, len(step.data), SECTOR_BYTES):
            if dice.random() < 0.5:
                yield step.offset + at, step.data[at : at + SECTOR_BYTES]


def _write(content: bytearray, what: str, offset: int, data: bytes) -> None:
    if what == "truncate":
        del content[offset:]
    elif what == "write":
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data


def _judge(left: Path, confirmed: State | None, under_way: State | None, tally: Tally) -> None:
    tally.cuts += 1
    opened = opening.open_store(left / "gateway.sqlite")
    if opened.connection is None or opened.trouble is not None:
        tally.damaged += 1
        if opened.connection is not None:
            opened.connection.close()
        return
    found = read_state(opened.connection)
    opened.connection.close()
    if found == confirmed:
        return
    if found == under_way:
        tally.newer += 1
        return
    tally.lost += 1
    tally.rows_lost += len(set(confirmed.rows if confirmed else ()) - set(found.rows))
