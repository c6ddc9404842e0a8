"""The one writer: frames and states in, one commit, acknowledgements out, which cover committed rows only."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from center.contract.acknowledgement import Ack
from center.contract.catalogue import Event, OutboxLost, entry, subject
from center.contract.frame import Frame
from center.contract.ranges import Ranges
from center.contract.state import GatewayState
from center.contract.topics import GatewayName
from center.errors import StoreError
from center.store.coverage import Coverage
from center.store.database import SEVERITIES, open_for_writing

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_KEPT_EPOCHS = 20_000  # coverages held in memory; more are read again from the file


@dataclass(frozen=True, slots=True)
class Received:
    """A frame or state as it arrived, with the gateway that its topic names."""

    name: GatewayName
    content: Frame | GatewayState
    retained: bool = False  # kept by the broker: no sign that the gateway is alive now


@dataclass(slots=True)
class Outcome:
    """What one commit did."""

    acknowledgements: list[tuple[GatewayName, Ack]] = field(default_factory=list)
    stored: int = 0
    redelivered: int = 0
    refused: int = 0  # not stored: the epoch has too many gaps


@dataclass(slots=True)
class _Epoch:
    id: int
    epoch: str
    coverage: Coverage


class EventWriter:
    """Stores events, each once. Used by one thread at a time; opening and closing are its own."""

    def __init__(self, database: Path) -> None:
        self._path = database
        self._connection = open_for_writing(database)
        self._lock = _only_writer(database, self._connection)
        self._epochs: dict[tuple[GatewayName, str], _Epoch] = {}
        self._json = msgspec.json.Encoder()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        os.close(self._lock)

    def store(self, received: Sequence[Received], now_ms: int) -> Outcome:
        """Apply all of `received` in order, in one transaction. Raises StoreError; then nothing of it is stored."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            work = _Work(self._connection, self._epochs, self._json, now_ms)
            for one in received:
                work.apply(one)
            outcome = work.finish()
            self._connection.execute("COMMIT")
        except sqlite3.Error as e:
            raise StoreError(f"{self._path}: events cannot be stored ({e}); check the disk") from e
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        # Only now: a transaction that failed leaves no trace in memory either.
        if len(self._epochs) > _KEPT_EPOCHS:
            self._epochs.clear()
        self._epochs.update(work.touched)
        return outcome


def _only_writer(database: Path, connection: sqlite3.Connection) -> int:
    """A lock that ends with the process: two writers would each believe their own picture of what is covered."""
    path = database.with_suffix(".lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        connection.close()
        raise StoreError(f"{path}: cannot be made ({e.strerror}); check the data folder") from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        connection.close()
        raise StoreError(f"{database}: another center writes to this file already; stop that one first") from None
    return lock


class _Work:
    """One transaction. Coverage is changed on copies, which the writer takes over after the commit."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        known: dict[tuple[GatewayName, str], _Epoch],
        json: msgspec.json.Encoder,
        now_ms: int,
    ) -> None:
        self._connection = connection
        self._known = known
        self._json = json
        self._now_ms = now_ms
        self._outcome = Outcome()
        self.touched: dict[tuple[GatewayName, str], _Epoch] = {}
        self._gateways: dict[GatewayName, int] = {}
        self._heard: set[int] = set()

    def apply(self, received: Received) -> None:
        if not received.retained:
            self._heard.add(self._gateway(received.name))
        if isinstance(received.content, Frame):
            self._frame(received.name, received.content)
        else:
            self._state(received.name, received.content)

    def finish(self) -> Outcome:
        for (name, epoch), touched in self.touched.items():
            coverage = touched.coverage
            self._connection.execute(
                "UPDATE epoch SET stored_upto = ?, known_upto = ?, islands = ? WHERE id = ?",
                (
                    coverage.stored_upto,
                    coverage.known_upto,
                    self._json.encode(list(coverage.islands)).decode(),
                    touched.id,
                ),
            )
            self._outcome.acknowledgements.append((name, coverage.acknowledgement(epoch)))
        self._connection.executemany(
            "UPDATE gateway SET last_seen_ms = ? WHERE id = ?", [(self._now_ms, i) for i in self._heard]
        )
        self._connection.executemany(
            "INSERT INTO total (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [("stored", self._outcome.stored), ("redelivered", self._outcome.redelivered)],
        )
        return self._outcome

    def _frame(self, name: GatewayName, frame: Frame) -> None:
        epoch = self._epoch(name, frame.epoch)
        coverage = epoch.coverage
        rows = []
        for event in frame.events:
            if not coverage.room_for(event.seq, event.seq):
                self._outcome.refused += 1
                continue
            coverage.cover(event.seq, event.seq)
            rows.append(self._row(epoch.id, name, event, frame.simulated))
            if isinstance(event.data, OutboxLost):
                self._lost(name, event.data)
        before = self._connection.total_changes
        self._connection.executemany(
            "INSERT INTO event (epoch_id, seq, time_ms, received_ms, clock_certain, simulated, type, severity, subject,"
            " data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (epoch_id, seq) DO NOTHING",
            rows,
        )
        stored = self._connection.total_changes - before
        self._outcome.stored += stored
        self._outcome.redelivered += len(rows) - stored

    def _row(self, epoch_id: int, name: GatewayName, event: Event, simulated: bool) -> tuple[object, ...]:
        described = entry(event.data)
        return (
            epoch_id,
            event.seq,
            event.time_ms,
            self._now_ms,
            event.clock_certain,
            simulated,
            described.type,
            _RANK[described.severity],
            subject(event.data, name.gateway),
            self._json.encode(msgspec.structs.asdict(event.data)).decode(),
        )

    def _lost(self, name: GatewayName, lost: OutboxLost) -> None:
        coverage = self._epoch(name, lost.epoch).coverage
        for first, last in lost.ranges:
            if 1 <= first <= last <= 1 << 53 and coverage.room_for(first, last):
                coverage.cover(first, last)

    def _state(self, name: GatewayName, state: GatewayState) -> None:
        gateway_id = self._gateway(name)
        if not state.online:
            self._connection.execute("UPDATE gateway SET online = 0 WHERE id = ?", (gateway_id,))
            return
        self._connection.execute(
            "UPDATE gateway SET online = 1, version = ?, simulated = ? WHERE id = ?",
            (state.version, state.simulated, gateway_id),
        )
        if state.epoch is not None:
            self._epoch(name, state.epoch).coverage.announce(state.last_seq)

    def _gateway(self, name: GatewayName) -> int:
        if name not in self._gateways:
            place = (name.district, name.site, name.gateway)
            self._connection.execute(
                "INSERT INTO gateway (district, site, gateway) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", place
            )
            found = self._connection.execute(
                "SELECT id FROM gateway WHERE district = ? AND site = ? AND gateway = ?", place
            ).fetchone()
            self._gateways[name] = int(found[0])
        return self._gateways[name]

    def _epoch(self, name: GatewayName, epoch: str) -> _Epoch:
        key = (name, epoch)
        if key in self.touched:
            return self.touched[key]
        gateway_id = self._gateway(name)
        if key in self._known:
            known = self._known[key]
            found = _Epoch(known.id, epoch, known.coverage.copy())
        else:
            self._connection.execute(
                "INSERT INTO epoch (gateway_id, epoch) VALUES (?, ?) ON CONFLICT DO NOTHING", (gateway_id, epoch)
            )
            row = self._connection.execute(
                "SELECT id, stored_upto, known_upto, islands FROM epoch WHERE gateway_id = ? AND epoch = ?",
                (gateway_id, epoch),
            ).fetchone()
            islands = Ranges((a, b) for a, b in msgspec.json.decode(row[3]))
            found = _Epoch(int(row[0]), epoch, Coverage(row[1], row[2], islands))
        self.touched[key] = found
        return found
