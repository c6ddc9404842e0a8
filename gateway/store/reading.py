"""Read-only queries over the journal, for pages and reports. Synchronous; callers use a thread."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from center.contract.catalogue import CATALOGUE, AccessDuress, AnyEventData, entry
from gateway.access import reasons
from gateway.errors import StoreError
from gateway.model import Language, Reason
from gateway.store import capacity, database
from gateway.store.capacity import JournalLimits, Room

_decode = msgspec.msgpack.Decoder(AnyEventData).decode
MAX_LIMIT = 500
# What nobody on the site sees without the right to: neither a row, nor a gap in the numbers, nor a count.
DURESS = CATALOGUE[AccessDuress].type
# Null: how many there were before all that is left.
_HIDDEN = """
    SELECT NULL, CAST(value AS INTEGER) FROM meta WHERE key = 'hidden_before'
    UNION ALL SELECT seq, 0 FROM journal WHERE type = 'zhian.access.duress'
    UNION ALL SELECT seq, 0 FROM hidden
    ORDER BY 1
"""
_NEWEST = """
    SELECT seq, time_ms, clock_certain, data, plate, name_zh, name_en
    FROM journal LEFT JOIN holder ON holder.id = journal.holder
    WHERE (?1 IS NULL OR seq < ?1) AND (?2 IS NULL OR seq > ?2) AND (?3 IS NULL OR portal = ?3)
      AND (?5 IS NULL OR type <> ?5)
    ORDER BY seq DESC LIMIT ?4
"""
# Alarms that left while the disk could not be written have no number of the journal, but a place among them.
_EARLY = """
    SELECT place, time_ms, clock_certain, data, plate, name_zh, name_en, acked
    FROM (
        SELECT *, max(1, min(before_seq, (SELECT coalesce(max(seq), 1) FROM journal))) AS place FROM early
    ) AS alarm LEFT JOIN holder ON holder.id = alarm.holder
    WHERE (?1 IS NULL OR place < ?1) AND (?2 IS NULL OR place > ?2) AND (?3 IS NULL OR portal = ?3)
      AND place >= ?4 AND (?5 IS NULL OR type <> ?5)
    ORDER BY place DESC, time_ms DESC, seq DESC LIMIT ?6
"""


@dataclass(frozen=True, slots=True)
class _Hidden:
    """Rows that are not to be seen: how many there were before the oldest row left, and the others' numbers, ascending.
    Those that are gone count on, so that a number which was shown once stays the same."""

    before: int = 0
    seqs: tuple[int, ...] = ()

    def shown(self, seq: int) -> int:
        """How many rows up to `seq` are not hidden."""
        return max(0, seq - self.before - bisect_right(self.seqs, seq))

    def real(self, shown: int) -> int:
        """The number in the journal of the row that is shown as `shown`."""
        seq = shown + self.before
        for one in self.seqs:
            if one > seq:
                break
            seq += 1
        return seq


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One row as a person on the site may see it. `plate` and `holder_name` never leave the site.

    `seq` is the number in the journal; of an alarm that left early that of the row made after it.
    """

    seq: int
    time_ms: int
    clock_certain: bool
    type: str
    severity: str
    portal: str | None
    point: str | None
    title_zh: str
    title_en: str
    credential: str | None
    reason: str | None
    reason_zh: str | None
    reason_en: str | None
    holder_name: dict[str, str] | None
    plate: str | None
    acked: bool


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """How much was made, and how much of it the center has. `early` alarms have no number and are not in `made`."""

    epoch: str
    made: int
    acked_upto: int
    by_type: dict[str, int]
    early: int = 0


class JournalReading:
    """Queries over one gateway's database. Opens it at first use, so that pages may start before core.

    Without `see_duress`, duress leaves no trace: its rows are not shown, and all numbers are counted without them,
    those of `before_seq`, `after_seq` and `shown` included.
    """

    def __init__(self, file: Path, *, see_duress: bool = False) -> None:
        self._file = file
        self._see_duress = see_duress
        self._open: sqlite3.Connection | None = None
        self._lock = threading.Lock()  # callers come from a pool of threads

    def newest(
        self,
        *,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        portal: str | None = None,
    ) -> list[RecordedEvent]:
        """Events, newest first, at most `limit` (capped at MAX_LIMIT), and alarms that left early at their place among
        them, at most MAX_LIMIT more. Raises StoreError."""
        with self._look():
            acked = int(self._query("SELECT value FROM meta WHERE key = 'acked_upto'")[0][0])
            hidden = self._hidden()
            before = None if before_seq is None else hidden.real(before_seq)
            after = None if after_seq is None else hidden.real(after_seq)
            left_out = None if self._see_duress else DURESS
            most = max(1, min(limit, MAX_LIMIT))
            rows = self._query(_NEWEST, (before, after, portal, most, left_out))
            lowest = rows[-1][0] if len(rows) == most else 0
            early = self._query(_EARLY, (before, after, portal, lowest, left_out, MAX_LIMIT))
        found = [_recorded(row, row[0] <= acked, hidden) for row in rows]
        found += [_recorded(row[:-1], bool(row[-1]), hidden) for row in early]
        return sorted(found, key=lambda event: event.seq, reverse=True)  # stable: alarms behind the row made after them

    def shown(self, seq: int) -> int:
        """What the number `seq` of the journal is counted as here. Raises StoreError."""
        with self._look():
            return self._hidden().shown(seq)

    def _hidden(self) -> _Hidden:
        if self._see_duress:
            return _Hidden()
        (_, before), *others = self._query(_HIDDEN)
        return _Hidden(before, tuple(seq for seq, _ in others))

    def counts(self) -> JournalCounts:
        """Totals of the present epoch. Raises StoreError."""
        with self._look():
            meta = dict(self._query("SELECT key, value FROM meta"))
            by_type = dict(self._query("SELECT type, count(*) FROM journal GROUP BY type"))
            made = int(self._query("SELECT coalesce(max(seq), 0) FROM journal")[0][0])
            early = dict(self._query("SELECT type, count(*) FROM early GROUP BY type"))
            hidden = self._hidden()
        for type_, count in early.items():
            by_type[type_] = by_type.get(type_, 0) + count
        if not self._see_duress:
            by_type.pop(DURESS, None)
            early.pop(DURESS, None)
        acked_upto = hidden.shown(int(meta["acked_upto"]))
        return JournalCounts(meta["epoch"], hidden.shown(made), acked_upto, by_type, sum(early.values()))

    def identities(self) -> set[tuple[str, int]]:
        """(epoch, seq) of every event that was ever meant for the center, those that are gone included. Raises
        StoreError."""
        with self._look():
            meta = dict(self._query("SELECT key, value FROM meta"))
            last = int(self._query("SELECT coalesce(max(seq), 0) FROM journal")[0][0])
            early = self._query("SELECT epoch, seq FROM early")
        numbers = range(max(1, int(meta["first_seq"])), last + 1)
        return {(meta["epoch"], seq) for seq in numbers} | {(epoch, seq) for epoch, seq in early}

    def room(self, limits: JournalLimits, *, center: bool = True) -> Room:
        """What is left before events are lost, should the center fall silent now. Raises StoreError."""
        with self._look():
            acked = int(self._query("SELECT value FROM meta WHERE key = 'acked_upto'")[0][0])
            rows, newest = self._query("SELECT count(*), coalesce(max(seq), 0) FROM journal")[0]
        try:
            free = shutil.disk_usage(self._file.parent).free
        except OSError as e:
            raise StoreError(f"{self._file.parent}: its disk cannot be looked at ({e}); check the disk") from e
        return capacity.room(limits, rows, min(rows, newest - acked) if center else 0, free)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    @contextmanager
    def _look(self) -> Iterator[None]:
        """One state of the file for all questions within: a commit between two of them would shift numbers."""
        with self._lock:
            self._query("BEGIN")
            try:
                yield
            finally:
                if self._open is not None and self._open.in_transaction:
                    self._query("ROLLBACK")

    def _query(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple]:  # type: ignore[type-arg]
        try:
            if self._open is None:
                self._open = database.open_for_reading(self._file)
            return self._open.execute(sql, values).fetchall()
        except sqlite3.Error as e:
            raise StoreError(f"{self._file}: cannot be read ({e}); is the gateway's core running?") from e


def _recorded(row: tuple, acked: bool, hidden: _Hidden) -> RecordedEvent:  # type: ignore[type-arg]
    seq, time_ms, certain, body, plate, name_zh, name_en = row
    data = _decode(body)
    about = entry(data)
    reason = getattr(data, "reason", None)
    known = Reason(reason) if reason in Reason.__members__.values() else None
    return RecordedEvent(
        seq=hidden.shown(seq),
        time_ms=time_ms,
        clock_certain=bool(certain),
        type=about.type,
        severity=about.severity,
        portal=getattr(data, "portal", None),
        point=getattr(data, "point", None) or getattr(data, "camera", None) or getattr(data, "device", None),
        title_zh=about.title_zh,
        title_en=about.title_en,
        credential=getattr(data, "credential", None),
        reason=reason,
        reason_zh=reasons.sentence(known, Language.ZH) if known else None,
        reason_en=reasons.sentence(known, Language.EN) if known else None,
        holder_name={"zh": name_zh, "en": name_en} if name_zh else None,
        plate=plate,
        acked=acked,
    )
