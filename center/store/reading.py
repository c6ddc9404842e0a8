"""What pages, exports and webhooks ask of the store: read-only, synchronous, the same over SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from center.contract.catalogue import CATALOGUE, Severity
from center.contract.ranges import Range
from center.contract.state import HEARTBEAT_S
from center.store.batch import SEVERITIES
from center.store.coverage import coverage_of
from center.store.database import SqliteDatabase
from center.store.search import Search
from center.store.statements import DAY_MS, Database, Statements

MAX_ROWS = 1000
SHOWN_RANGES = 16
# A gateway publishes its state every HEARTBEAT_S; after three silent ones it is not called online any more.
ONLINE_WITHIN_MS = int(3 * HEARTBEAT_S * 1000)
_TITLES = {described.type: (described.title_zh, described.title_en) for described in CATALOGUE.values()}
_ALARM = SEVERITIES.index(Severity.ALARM)
_FROM = " FROM event e JOIN epoch p ON p.id = e.epoch_id JOIN gateway g ON g.id = p.gateway_id"
_SELECT = (
    "SELECT e.row, g.district, g.site, g.gateway, p.epoch, e.seq, e.time_ms, e.received_ms, e.type,"
    f" e.severity, e.subject, e.data, e.simulated, e.clock_certain, e.address, e.grid{_FROM}"
)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is in the store. Rows rise in the order of storing; `time_ms` is the gateway's own time."""

    row: int
    district: str
    site: str
    gateway: str
    epoch: str
    seq: int
    time_ms: int
    received_ms: int
    type: str
    severity: str
    subject: str
    title_zh: str
    title_en: str
    data: dict[str, Any]
    simulated: bool
    clock_certain: bool
    address: str | None = None
    grid: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """One gateway and where the epoch stands that its newest state names. `missing` counts numbers known to exist and
    not here, of all its epochs."""

    district: str
    site: str
    gateway: str
    online: bool
    last_seen_ms: int
    epoch: str
    stored_upto: int
    highest_seen: int
    missing: int
    simulated: bool
    version: str


@dataclass(frozen=True, slots=True)
class EpochRow:
    """What is here of one epoch: its newest number, how many are missing or lost, the first SHOWN_RANGES of each."""

    district: str
    site: str
    gateway: str
    epoch: str
    stored_upto: int
    highest_seen: int
    missing: int
    missing_ranges: tuple[Range, ...]
    lost: int
    lost_ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals since the store was made, also of events removed since. An alarm is sent twice by design, so its second
    copy is in refused_duplicates."""

    stored: int
    refused_duplicates: int
    duplicated: int
    missing: int
    alarms: int
    by_type: dict[str, int]


class EventReading:
    """Questions to the store. May be used from several threads. Every method raises StoreError with one sentence."""

    def __init__(
        self, database: Database | Path, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        """A path means the SQLite file there."""
        self.database = SqliteDatabase(database) if isinstance(database, Path) else database
        self._now_ms = now_ms
        self._duplicates = _Duplicates()

    def newest(
        self,
        *,
        limit: int = 50,
        before_row: int | None = None,
        after_row: int | None = None,
        gateway: str | None = None,
        severity_at_least: str | None = None,
    ) -> list[StoredEvent]:
        """The newest events that match, newest first; limit 1..MAX_ROWS. `gateway` is the gateway's own name."""
        search = Search(gateway=gateway, severity_at_least=severity_at_least)
        return self.search(search, limit=limit, before_row=before_row, after_row=after_row)

    def search(
        self,
        search: Search,
        *,
        limit: int = 50,
        before_row: int | None = None,
        after_row: int | None = None,
        oldest_first: bool = False,
    ) -> list[StoredEvent]:
        """The events that match, in the order of storing or against it; limit 1..MAX_ROWS. Raises SearchError, too."""
        where, values = search.conditions()
        for condition, value in (("e.row < ?", before_row), ("e.row > ?", after_row)):
            if value is not None:
                where.append(condition)
                values.append(value)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        order = "ASC" if oldest_first else "DESC"
        with self.database.reading() as read:
            rows = read.rows(
                f"{_SELECT}{condition} ORDER BY e.row {order} LIMIT ?", (*values, max(1, min(limit, MAX_ROWS)))
            )
        return [_event(row) for row in rows]

    def every(self, search: Search, limit: int) -> Iterator[StoredEvent]:
        """Up to `limit` events that match, oldest first, read a piece at a time."""
        after = 0
        while limit > 0:
            found = self.search(search, limit=min(limit, MAX_ROWS), after_row=after, oldest_first=True)
            if not found:
                return
            yield from found
            after, limit = found[-1].row, limit - len(found)

    def newest_row(self) -> int:
        """The number of the newest event ever stored, 0 before the first."""
        with self.database.reading() as read:
            return _total(read, "row")

    def total(self, name: str) -> int:
        """One of the totals kept beside the events: stored, redelivered, refused, messages_..., ..._ms."""
        with self.database.reading() as read:
            return _total(read, name)

    def run_of(self, row: int) -> int:
        """The random number of the run of ingest that gave this row's number (or will give it); 0 = none yet."""
        with self.database.reading() as read:
            found = read.rows("SELECT id FROM run WHERE first_row <= ? ORDER BY first_row DESC LIMIT 1", (row,))
        return int(found[0][0]) if found else 0

    def gateways(self) -> list[GatewayRow]:
        """Every gateway ever seen, by district, site and name."""
        with self.database.reading() as read:
            rows = read.rows(
                "SELECT g.district, g.site, g.gateway, g.online, g.last_seen_ms, coalesce(p.epoch, ''),"
                " coalesce(p.stored_upto, 0), coalesce(p.known_upto, 0), g.simulated, g.version, g.id"
                " FROM gateway g LEFT JOIN epoch p ON p.id ="
                " coalesce(g.epoch_id, (SELECT max(id) FROM epoch WHERE gateway_id = g.id)) ORDER BY 1, 2, 3"
            )
            missing: Counter[int] = Counter()
            for gateway_id, *columns in read.rows(
                "SELECT gateway_id, stored_upto, known_upto, islands, lost FROM epoch WHERE stored_upto < known_upto"
            ):
                missing[gateway_id] += coverage_of(*columns).missing()
        fresh_ms = self._now_ms() - ONLINE_WITHIN_MS
        return [
            GatewayRow(
                district=row[0],
                site=row[1],
                gateway=row[2],
                online=bool(row[3]) and row[4] >= fresh_ms,
                last_seen_ms=row[4],
                epoch=row[5],
                stored_upto=row[6],
                highest_seen=row[7],
                missing=missing[row[10]],
                simulated=bool(row[8]),
                version=row[9],
            )
            for row in rows
        ]

    def coverage(self, *, incomplete: bool = False, limit: int = MAX_ROWS) -> list[EpochRow]:
        """Every epoch of every gateway, newest epoch of each first; `incomplete`: those where something is missing or
        lost."""
        with self.database.reading() as read:
            rows = read.rows(
                "SELECT g.district, g.site, g.gateway, p.epoch, p.stored_upto, p.known_upto, p.islands, p.lost,"
                " p.lost_beyond FROM epoch p JOIN gateway g ON g.id = p.gateway_id"
                " WHERE NOT ? OR p.stored_upto < p.known_upto OR p.lost <> '[]'"
                " ORDER BY 1, 2, 3, p.id DESC LIMIT ?",
                (incomplete, limit),
            )
        return [_epoch(row) for row in rows]

    def counts(self) -> Counts:
        """Totals. Reads the events stored since the last call once, to see that none is there twice."""
        with self.database.reading() as read:
            tally = read.rows("SELECT type, severity, count FROM tally")
            epochs = read.rows("SELECT stored_upto, known_upto, islands, lost FROM epoch")
            by_type: dict[str, int] = {}
            for type_, _, count in tally:
                by_type[type_] = by_type.get(type_, 0) + count
            return Counts(
                stored=sum(by_type.values()),
                refused_duplicates=_total(read, "redelivered"),
                duplicated=self._duplicates.counted(read),
                missing=sum(coverage_of(*row).missing() for row in epochs),
                alarms=sum(count for _, severity, count in tally if severity >= _ALARM),
                by_type=dict(sorted(by_type.items())),
            )


class _Duplicates:
    """Counted, not assumed from an index: this figure is the proof that recognising copies works.

    The first call looks at the last two days of receipt there are, later ones at what is new; rows are only appended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._upto_row = 0
        self._found = 0

    def counted(self, read: Statements) -> int:
        with self._lock:
            newest = read.rows("SELECT coalesce(max(row), 0) FROM event")[0][0]
            if newest < self._upto_row:  # another store took the place of the one that was counted
                self._upto_row = self._found = 0
            since_ms = 0
            if self._upto_row == 0 and newest:
                since_ms = read.rows("SELECT received_ms FROM event WHERE row = ?", (newest,))[0][0] - 2 * DAY_MS
            self._found += read.rows(
                "SELECT count(*) FROM event e WHERE e.row > ? AND e.row <= ? AND e.received_ms >= ? AND EXISTS"
                " (SELECT 1 FROM event o WHERE o.epoch_id = e.epoch_id AND o.seq = e.seq AND o.row < e.row)",
                (self._upto_row, newest, since_ms),
            )[0][0]
            self._upto_row = newest
            return self._found


def _total(read: Statements, name: str) -> int:
    found = read.rows("SELECT value FROM total WHERE name = ?", (name,))
    return int(found[0][0]) if found else 0


def _epoch(row: tuple[Any, ...]) -> EpochRow:
    coverage = coverage_of(*row[4:9])
    return EpochRow(
        district=row[0],
        site=row[1],
        gateway=row[2],
        epoch=row[3],
        stored_upto=coverage.stored_upto,
        highest_seen=coverage.known_upto,
        missing=coverage.missing(),
        missing_ranges=tuple(coverage.missing_ranges(SHOWN_RANGES)),
        lost=coverage.lost_count(),
        lost_ranges=tuple(coverage.lost)[:SHOWN_RANGES],
    )


def _event(row: tuple[Any, ...]) -> StoredEvent:
    title_zh, title_en = _TITLES.get(row[8], (row[8], row[8]))
    return StoredEvent(
        row=row[0],
        district=row[1],
        site=row[2],
        gateway=row[3],
        epoch=row[4],
        seq=row[5],
        time_ms=row[6],
        received_ms=row[7],
        type=row[8],
        severity=SEVERITIES[row[9]].value,
        subject=row[10],
        title_zh=title_zh,
        title_en=title_en,
        data=msgspec.json.decode(row[11]),
        simulated=bool(row[12]),
        clock_certain=bool(row[13]),
        address=row[14],
        grid=row[15],
    )
