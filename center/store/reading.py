"""What pages and exports ask of the store: read-only, synchronous, each call on a connection of its own."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from center.contract.catalogue import CATALOGUE, Severity
from center.contract.ranges import Ranges
from center.contract.state import HEARTBEAT_S
from center.errors import StoreError
from center.store.coverage import Coverage
from center.store.database import SEVERITIES, open_for_reading

MAX_ROWS = 1000
# A gateway publishes its state every HEARTBEAT_S; after three silent ones it is not called online any more.
ONLINE_WITHIN_MS = int(3 * HEARTBEAT_S * 1000)
_TITLES = {described.type: (described.title_zh, described.title_en) for described in CATALOGUE.values()}
_ALARM = SEVERITIES.index(Severity.ALARM)


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


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """One gateway and where its newest epoch stands. `missing` counts numbers known to exist and not here."""

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
class Counts:
    """Totals since the file was made. An alarm is sent twice by design, so its second copy is in refused_duplicates."""

    stored: int
    refused_duplicates: int
    duplicated: int
    missing: int
    alarms: int
    by_type: dict[str, int]


class EventReading:
    """Questions to the store. May be used from several threads. Every method raises StoreError with one sentence."""

    def __init__(self, database: Path, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._path = database
        self._now_ms = now_ms
        self._tally_lock = threading.Lock()
        self._tally = _Tally()

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
        where, values = ["1"], []
        for condition, value in (
            ("e.row < ?", before_row),
            ("e.row > ?", after_row),
            ("g.gateway = ?", gateway),
            ("e.severity >= ?", None if severity_at_least is None else _rank(severity_at_least)),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        with self._open() as connection:
            rows = connection.execute(
                "SELECT e.row, g.district, g.site, g.gateway, p.epoch, e.seq, e.time_ms, e.received_ms, e.type,"  # noqa: S608
                " e.severity, e.subject, e.data, e.simulated, e.clock_certain"
                " FROM event e JOIN epoch p ON p.id = e.epoch_id JOIN gateway g ON g.id = p.gateway_id"
                f" WHERE {' AND '.join(where)} ORDER BY e.row DESC LIMIT ?",
                (*values, max(1, min(limit, MAX_ROWS))),
            ).fetchall()
        return [_event(row) for row in rows]

    def gateways(self) -> list[GatewayRow]:
        """Every gateway ever seen, by district, site and name."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT g.district, g.site, g.gateway, g.online, g.last_seen_ms, coalesce(p.epoch, ''),"
                " coalesce(p.stored_upto, 0), coalesce(p.known_upto, 0), coalesce(p.islands, '[]'), g.simulated,"
                " g.version FROM gateway g LEFT JOIN epoch p ON p.id ="
                " (SELECT max(id) FROM epoch WHERE gateway_id = g.id) ORDER BY 1, 2, 3"
            ).fetchall()
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
                missing=_coverage(*row[6:9]).missing(),
                simulated=bool(row[9]),
                version=row[10],
            )
            for row in rows
        ]

    def counts(self) -> Counts:
        """Totals. The first call of an instance reads every row; later ones only the new rows."""
        with self._tally_lock, self._open() as connection:
            connection.execute("BEGIN")  # one snapshot for all of it
            self._tally.extend(connection)
            totals = dict(connection.execute("SELECT name, value FROM total"))
            epochs = connection.execute("SELECT stored_upto, known_upto, islands FROM epoch").fetchall()
            return Counts(
                stored=sum(self._tally.by_type.values()),
                refused_duplicates=totals.get("redelivered", 0),
                duplicated=self._tally.duplicated,
                missing=sum(_coverage(*row).missing() for row in epochs),
                alarms=self._tally.alarms,
                by_type=dict(sorted(self._tally.by_type.items())),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = open_for_reading(self._path)
        try:
            yield connection
        except sqlite3.Error as e:
            raise StoreError(f"{self._path}: the center's database cannot be read ({e}); check the disk") from e
        finally:
            connection.close()


class _Tally:
    """Counts over the event table, brought up to the newest row at each call: rows are only ever appended."""

    def __init__(self) -> None:
        self._upto_row = 0
        self.by_type: dict[str, int] = {}
        self.alarms = 0
        self.duplicated = 0

    def extend(self, connection: sqlite3.Connection) -> None:
        newest = connection.execute("SELECT coalesce(max(row), 0) FROM event").fetchone()[0]
        if newest < self._upto_row:  # another file took the place of the one that was counted
            self._upto_row = self.alarms = self.duplicated = 0
            self.by_type = {}
        span = (self._upto_row, newest)
        for type_, severity, count in connection.execute(
            "SELECT type, severity, count(*) FROM event WHERE row > ? AND row <= ? GROUP BY 1, 2", span
        ):
            self.by_type[type_] = self.by_type.get(type_, 0) + count
            self.alarms += count if severity >= _ALARM else 0
        # Counted, not assumed from the unique index: this figure is the proof that it works.
        self.duplicated += connection.execute(
            "SELECT count(*) FROM event e WHERE row > ? AND row <= ? AND EXISTS"
            " (SELECT 1 FROM event o WHERE o.epoch_id = e.epoch_id AND o.seq = e.seq AND o.row < e.row)",
            span,
        ).fetchone()[0]
        self._upto_row = newest


def _rank(severity: str) -> int:
    try:
        return SEVERITIES.index(Severity(severity))
    except ValueError:
        raise StoreError(f"severity: expected one of {[s.value for s in SEVERITIES]}, got {severity[:40]!r}") from None


def _coverage(stored_upto: int, known_upto: int, islands: str) -> Coverage:
    return Coverage(stored_upto, known_upto, Ranges((a, b) for a, b in msgspec.json.decode(islands)))


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
    )
