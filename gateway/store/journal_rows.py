"""The journal's statements: synchronous, one connection, one transaction per call; sqlite3 or apsw alike.

What is remembered in memory changes only after COMMIT. Errors of the connection pass through unchanged.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import msgspec

from center.contract.catalogue import AnyEventData, Event, OutboxLost, Severity, entry
from center.contract.ranges import Range, Ranges
from gateway.store.capacity import JournalLimits
from gateway.store.database import Connection
from gateway.store.memory_ring import MemoryRow

MAX_RANGES = 256  # of one OutboxLost, as the catalogue says
_MAX_REPORTS = 16  # OutboxLost events of one report_lost; the center asks for the rest again
_MAX_REPORTS_AGAIN = 2  # what the center has room for at once
_DAY_MS = 86_400_000
_PRUNE_ROWS = 2_000  # acknowledged rows removed in one go, so that no commit waits long
RANK = {severity: rank for rank, severity in enumerate(Severity)}
LOST_TYPE = "zhian.outbox.lost"
_INSERT = (
    "INSERT INTO journal (seq, time_ms, clock_certain, type, portal, data, holder, plate, severity)"
    " VALUES (?,?,?,?,?,?,?,?,?)"
)
_INSERT_EARLY = (
    "INSERT INTO early (epoch, before_seq, seq, time_ms, clock_certain, type, portal, data, holder, plate, severity)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?)"
)
# A memory epoch goes as a whole: what is left must begin at 1, or a center that asks anew would wait for the rest.
_PRUNE_EARLY = (
    "DELETE FROM early WHERE epoch IN"
    " (SELECT epoch FROM early GROUP BY epoch HAVING min(acked) = 1 AND max(time_ms) < ?)"
)

# Numbers of rows that the pages hide, removed and below all that is still shown as a number: their count is enough.
# ?1: what the center has.
_OLDEST_SHOWN = (
    "SELECT min(?1, coalesce((SELECT min(seq) FROM journal), ?1), coalesce((SELECT min(before_seq) FROM early), ?1))"
)
_COUNT_HIDDEN = (
    "UPDATE meta SET value = CAST(value AS INTEGER) + (SELECT count(*) FROM hidden WHERE seq < ?)"
    " WHERE key = 'hidden_before'"
)

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(AnyEventData).decode


class Committed(NamedTuple):
    """What a commit did: its rows have the numbers from `first` on in `epoch`; `removed` older ones went for them."""

    epoch: str
    first: int
    removed: int


def row_of(data: AnyEventData, time_ms: int, certain: bool, holder: str | None, plate: str | None) -> MemoryRow:
    """A row without a number. Raises TypeError, ValueError or KeyError for what is no event."""
    about = entry(data)
    portal = getattr(data, "portal", None)
    return MemoryRow(time_ms, certain, about.type, portal, encode(data), holder, plate, RANK[about.severity])


def said_late(row: MemoryRow) -> MemoryRow:
    """The row, saying that it was stored late, where its event can say so."""
    data = decode(row.data)
    if hasattr(data, "recorded_late"):
        row.data = encode(msgspec.structs.replace(data, recorded_late=True))
    return row


class JournalRows:
    """One open database. `center` is False on a site without one: then nothing waits for an acknowledgement."""

    def __init__(self, connection: Connection, limits: JournalLimits, *, center: bool = True) -> None:
        """Closes `connection` where it cannot be read."""
        self._connection = connection
        self._limits = limits
        self._center = center
        with ExitStack() as undo:
            undo.callback(connection.close)
            self._load()
            undo.pop_all()

    def _load(self) -> None:
        connection = self._connection
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        self.epoch: str = meta["epoch"]
        self.acked_upto = int(meta["acked_upto"])
        self.ended_cleanly: bool = meta["running"] == "0"
        self.last_seq: int = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
        self.rows: int = connection.execute("SELECT count(*) FROM journal").fetchone()[0]
        self.kept: dict[str, str] = dict(connection.execute("SELECT key, value FROM kept").fetchall())
        self._first_seq_stored = int(meta["first_seq"])
        self.first_seq = self._first_for_center()
        self._reported = self._unacknowledged_reports()

    def close(self) -> None:
        """Close the file; what was not committed is rolled back."""
        self._connection.close()

    # --- writing -------------------------------------------------------------------------------------------------

    def commit(
        self, rows: Sequence[MemoryRow], keep: Mapping[str, str | None], acked_upto: int, running: bool | None = None
    ) -> Committed:
        """All of it in one transaction. Numbers are given here only."""
        if len(rows) == 1 and not keep and acked_upto == self.acked_upto and running is None and not self.over(1):
            (row,) = rows
            self._connection.execute(_INSERT, _numbered(row, self.last_seq + 1))
            self.last_seq, self.rows = self.last_seq + 1, self.rows + 1
            return Committed(self.epoch, self.last_seq, 0)
        with self._transaction():
            removed, lost = self._make_room(len(rows), acked_upto) if rows else (0, [])
            reports = _reports(self.epoch, lost, "full", rows[-1] if rows else None)
            seq, reported = self._insert([*reports, *rows])
            for key, value in keep.items():
                self._write_kept(key, value)
            if acked_upto > self.acked_upto:
                self._set_meta("acked_upto", str(acked_upto))
            if running is not None:
                self._set_meta("running", "1" if running else "0")
                self._set_meta("first_seq", str(self.first_seq if self._center else self._first_seq_stored))
        self._stored(seq, removed, reported)
        self._keep_in_memory(keep)
        self._acked(acked_upto)
        return Committed(self.epoch, seq + 1 - len(rows), removed)

    def commit_late(
        self,
        rows: Sequence[MemoryRow],
        memory_epoch: str,
        acked_early: Callable[[int], bool],
        healed: MemoryRow | None,
        keep: Mapping[str, str | None],
        acked_upto: int,
    ) -> None:
        """What waited in memory, then `healed`; rows that left early keep the identity they left with."""
        early = [row for row in rows if row.early_seq]
        with self._transaction():
            ordinary = [row for row in (*rows, healed) if row is not None and not row.early_seq]
            removed, lost = self._make_room(len(ordinary), acked_upto) if ordinary else (0, [])
            reports = _reports(self.epoch, lost, "full", ordinary[-1] if ordinary else None)
            self._insert_early(memory_epoch, rows, self.last_seq + len(reports) + 1)
            self._connection.executemany(
                "UPDATE early SET acked = 1 WHERE epoch = ? AND seq = ?",
                [(memory_epoch, row.early_seq) for row in early if acked_early(row.early_seq)],
            )
            seq, reported = self._insert([*reports, *ordinary])
            for key, value in keep.items():
                self._write_kept(key, value)
            self._set_meta("acked_upto", str(max(acked_upto, self.acked_upto)))
            self._set_meta("running", "1")
        self._stored(seq, removed, reported)
        self._keep_in_memory(keep)
        self._acked(acked_upto)

    def report_lost(
        self, ranges: Sequence[Range], reason: str, time_ms: int, certain: bool, *, again: bool = False
    ) -> int:
        """Record that these numbers are not here; returns how many numbers were reported.

        Numbers that are here, were never made, or stand in a report that is still on its way are left out. `again`: the
        center had no room for what those reports say; the lowest of it is said once more.
        """
        gone = Ranges()
        if again:
            ranges = [*ranges, *(one for _, told in self._reported for one in told if one[0] >= ranges[0][0])]
        for first, last in ranges:
            if max(1, first) <= min(last, self.last_seq):
                gone.add(max(1, first), min(last, self.last_seq))
        for first, last in list(gone):
            for (seq,) in self._connection.execute("SELECT seq FROM journal WHERE seq BETWEEN ? AND ?", (first, last)):
                gone.remove(seq, seq)
        for first, last in () if again else (one for _, told in self._reported for one in told):
            gone.remove(first, last)
        told_now = list(gone)[: MAX_RANGES * (_MAX_REPORTS_AGAIN if again else _MAX_REPORTS)]
        if not told_now:
            return 0
        stamp = row_of(OutboxLost(self.epoch, (), reason), time_ms, certain, None, None)
        self.commit(_reports(self.epoch, told_now, reason, stamp), {}, self.acked_upto)
        self._reported = self._unacknowledged_reports()
        return Ranges(told_now).count()

    def acknowledge_early(self, epoch: str, upto: int) -> None:
        """The center has stored these."""
        self._connection.execute("UPDATE early SET acked = 1 WHERE epoch = ? AND seq <= ?", (epoch, upto))

    def begin_epoch(self, acked_upto: int, said: Sequence[MemoryRow]) -> None:
        """From here on another epoch, `said` its first new events. Rows keep their numbers: the center is told that
        this epoch begins with the lowest that is not acknowledged."""
        epoch, first_seq = secrets.token_hex(8), max(acked_upto, self.acked_upto) + 1
        with self._transaction():
            self._set_meta("epoch", epoch)
            self._set_meta("first_seq", str(first_seq))
            self._set_meta("acked_upto", str(first_seq - 1))
            seq, _ = self._insert(said)
        self._stored(seq, 0, [])
        self.epoch, self.first_seq, self._first_seq_stored = epoch, first_seq, first_seq
        self.acked_upto = first_seq - 1
        self._reported = self._unacknowledged_reports()

    def prune(self, now_ms: int) -> int:
        """Remove a portion of what is acknowledged and older than the limit; returns how many rows. Never the newest:
        the next number is one above it."""
        before_ms = now_ms - self._limits.retain_days * _DAY_MS
        found = self._connection.execute(
            "SELECT seq FROM journal WHERE seq <= ? AND seq < ? AND time_ms < ? ORDER BY seq LIMIT ?",
            (self._free_upto(0), self.last_seq, before_ms, _PRUNE_ROWS),
        ).fetchall()
        with self._transaction():
            self._connection.executemany("DELETE FROM journal WHERE seq = ?", found)
            self._connection.execute(_PRUNE_EARLY, (before_ms,))
            oldest = self._connection.execute(_OLDEST_SHOWN, (self._free_upto(0),)).fetchone()
            self._connection.execute(_COUNT_HIDDEN, oldest)
            self._connection.execute("DELETE FROM hidden WHERE seq < ?", oldest)
        self.rows -= len(found)
        return len(found)

    def replace_holders(self, names: Sequence[tuple[str, str, str]]) -> None:
        """Make the holder table hold exactly these (id, name_zh, name_en)."""
        with self._transaction():
            self._connection.execute("DELETE FROM holder")
            self._connection.executemany("INSERT INTO holder VALUES (?,?,?)", names)

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, first: int, last: int, limit: int) -> list[Event]:
        """Events first..last in order, at most `limit`; those that are gone are absent."""
        found = self._connection.execute(
            "SELECT seq, time_ms, clock_certain, data FROM journal WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (first, last, limit),
        ).fetchall()
        return [Event(seq, time_ms, bool(certain), decode(data)) for seq, time_ms, certain, data in found]

    def early(self, *, acknowledged: bool = False) -> dict[str, dict[int, Event]]:
        """Events that left under a memory epoch of an earlier time, unacknowledged ones only or all: epoch -> number ->
        event."""
        found: dict[str, dict[int, Event]] = {}
        for epoch, seq, time_ms, certain, data in self._connection.execute(
            "SELECT epoch, seq, time_ms, clock_certain, data FROM early WHERE acked <= ? ORDER BY epoch, seq",
            (int(acknowledged),),
        ):
            found.setdefault(epoch, {})[seq] = Event(seq, time_ms, bool(certain), decode(data))
        return found

    # --- inside --------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _insert_early(self, epoch: str, rows: Sequence[MemoryRow], first: int) -> None:
        """Those of `rows` that have left, each with the number of the one made after it; `first` is the next one's."""
        placed = []
        for row in rows:
            if row.early_seq:
                placed.append((epoch, first, *_numbered(row, row.early_seq)))
            else:
                first += 1
        self._connection.executemany(_INSERT_EARLY, placed)

    def _insert(self, rows: Sequence[MemoryRow]) -> tuple[int, list[tuple[int, Ranges]]]:
        seq, numbered, reported = self.last_seq, [], []
        for row in rows:
            seq += 1
            numbered.append(_numbered(row, seq))
            if row.type == LOST_TYPE:
                reported.append((seq, self._lost_ranges(row.data)))
        self._connection.executemany(_INSERT, numbered)
        return seq, reported

    def _stored(self, seq: int, removed: int, reported: list[tuple[int, Ranges]]) -> None:
        self.rows += seq - self.last_seq - removed
        self.last_seq = seq
        if removed:
            self._reported = self._unacknowledged_reports()
        else:
            self._reported += reported

    def over(self, new: int) -> int:
        """How many rows are too many with `new` ones more."""
        return max(0, self.rows + new - self._limits.rows_max)

    def _free_upto(self, acked_upto: int) -> int:
        return max(acked_upto, self.acked_upto) if self._center else self.last_seq

    def _make_room(self, new: int, acked_upto: int) -> tuple[int, list[Range]]:
        """How many rows were removed, and the numbers among them that the center does not have."""
        over, free_upto = self.over(new), self._free_upto(acked_upto)
        if not over:
            return 0, []
        wanted = max(over, self._limits.chunk)
        done = self._remove("seq <= ?", (free_upto,), wanted)
        if len(done) >= over:
            return len(done), []
        lost = Ranges()
        removed = len(done)
        for severity in range(len(RANK)):
            for kind in ("type <> ?", "type = ?"):  # what was said to be lost is forgotten last of its rank
                if removed < wanted:
                    where = f"severity = ? AND {kind} AND seq > ?"
                    gone = self._remove(where, (severity, LOST_TYPE, free_upto), wanted - removed)
                    removed += len(gone)
                    for seq in gone:
                        lost.add(seq, seq)
        return removed + self._absorb_reports(lost), list(lost)

    def _absorb_reports(self, lost: Ranges) -> int:
        """Take earlier reports into the new one, else a long outage would fill the journal with reports; returns how
        many rows went. What one of them said is said again by the next, its own number included."""
        absorbed = 0
        for seq, told in self._reported:
            if len(told) > MAX_RANGES // 2 or not self._remove("seq = ?", (seq,), 1):
                continue
            absorbed += 1
            lost.add(seq, seq)
            for first, last in told:
                lost.add(first, last)
        return absorbed

    def _remove(self, where: str, values: tuple[object, ...], limit: int) -> list[int]:
        found = self._connection.execute(
            f"SELECT seq FROM journal WHERE {where} AND seq < ? ORDER BY seq LIMIT ?",  # noqa: S608  # only constants
            (*values, self.last_seq, limit),
        ).fetchall()
        self._connection.executemany("DELETE FROM journal WHERE seq = ?", found)
        return [seq for (seq,) in found]

    def _first_for_center(self) -> int:
        """The lowest number ever meant for the center: fixed when there first is one, stored with `running`."""
        if self._first_seq_stored or not self._center:
            return self._first_seq_stored or self.last_seq + 1
        lowest = self._connection.execute("SELECT min(seq) FROM journal").fetchone()[0]
        return 1 if self.acked_upto else lowest or self.last_seq + 1

    def _unacknowledged_reports(self) -> list[tuple[int, Ranges]]:
        found = self._connection.execute(
            "SELECT seq, data FROM journal WHERE type = ? AND seq > ?", (LOST_TYPE, self.acked_upto)
        ).fetchall()
        return [(seq, self._lost_ranges(data)) for seq, data in found]

    def _lost_ranges(self, data: bytes) -> Ranges:
        lost = decode(data)
        return Ranges(lost.ranges) if isinstance(lost, OutboxLost) and lost.epoch == self.epoch else Ranges()

    def _acked(self, upto: int) -> None:
        if upto > self.acked_upto:
            self.acked_upto = upto
            self._reported = [(seq, told) for seq, told in self._reported if seq > upto]

    def _set_meta(self, key: str, value: str) -> None:
        self._connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))

    def _write_kept(self, key: str, value: str | None) -> None:
        if value is None:
            self._connection.execute("DELETE FROM kept WHERE key = ?", (key,))
        else:
            self._connection.execute(
                "INSERT INTO kept VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
            )

    def _keep_in_memory(self, keep: Mapping[str, str | None]) -> None:
        for key, value in keep.items():
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value


def _numbered(row: MemoryRow, seq: int) -> tuple[object, ...]:
    return (
        seq,
        row.time_ms,
        int(row.clock_certain),
        row.type,
        row.portal,
        row.data,
        row.holder,
        row.plate,
        row.severity,
    )


def _reports(epoch: str, lost: Sequence[Range], reason: str, stamp: MemoryRow | None) -> list[MemoryRow]:
    """As many OutboxLost as the ranges need, at the time of `stamp`."""
    if not lost or stamp is None:
        return []
    return [
        row_of(
            OutboxLost(epoch, tuple(lost[i : i + MAX_RANGES]), reason), stamp.time_ms, stamp.clock_certain, None, None
        )
        for i in range(0, len(lost), MAX_RANGES)
    ]
