"""The center's SQLite file: one writer, read-only readers, and the steps that bring its schema to this version."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from center.contract.ranges import Ranges
from center.errors import StoreError
from center.store.coverage import ranges_text
from center.store.statements import EVENT_COLUMNS, EventRow, Removed, Statements

VERSION = 3
_STEPS = {1: "schema.sql", 2: "schema_2.sql", 3: "schema_3.sql"}  # version -> what makes it from the one before
_BUSY_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0  # as PostgreSQL's statement_timeout: no page's question may run on and on
_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's machine, between two looks at the clock
_WAL_AUTOCHECKPOINT_PAGES = 1000
_JOURNAL_SIZE_LIMIT_BYTES = 64 << 20
_REMOVED_AT_ONCE = 5000  # events of one transaction: the writer waits for no longer than that takes


class SqliteDatabase:
    """center.store.statements.Database over one file. Nothing is opened before it is used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def generation(self) -> int:
        """A file's connection is never made anew."""
        return 0

    @contextmanager
    def writing(self) -> Iterator[Statements]:
        """A durable transaction."""
        if self._connection is None:
            self._connection = open_for_writing(self._path)
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteStatements(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as e:
            raise StoreError(f"{self._path}: events cannot be stored ({e}); check the disk") from e
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    @contextmanager
    def reading(self, timeout_s: float | None = READ_TIMEOUT_S) -> Iterator[Statements]:
        """A snapshot on a connection of its own; None = as long as it takes."""
        connection = open_for_reading(self._path)
        try:
            if timeout_s is not None:
                end_s = time.monotonic() + timeout_s
                connection.set_progress_handler(lambda: time.monotonic() > end_s, _STEPS_BETWEEN_LOOKS)
            connection.execute("BEGIN")
            yield SqliteStatements(connection)
        except sqlite3.Error as e:
            if getattr(e, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise StoreError(
                    f"{self._path}: the answer took longer than {timeout_s} s; ask for less, or use PostgreSQL"
                ) from None
            raise StoreError(f"{self._path}: the center's database cannot be read ({e}); check the disk") from e
        finally:
            connection.close()

    def insert_events(self, statements: Statements, rows: Sequence[EventRow]) -> int:
        """One prepared statement; the unique index is a second look beside the coverage."""
        assert isinstance(statements, SqliteStatements)
        before = statements.connection.total_changes
        marks = ", ".join("?" * len(rows[0]))
        statements.many(
            f"INSERT INTO event ({EVENT_COLUMNS}) VALUES ({marks}) ON CONFLICT (epoch_id, seq) DO NOTHING",  # noqa: S608
            rows,
        )
        return statements.connection.total_changes - before

    def held_before(self, before_ms: int) -> Removed:
        """Counted day by day."""
        with self.reading(timeout_s=None) as read:
            counted = read.rows(
                "SELECT date(received_ms / 1000, 'unixepoch'), count(*) FROM event WHERE received_ms < ? GROUP BY 1",
                (before_ms,),
            )
        return Removed(dict(counted))

    def remove_before(self, before_ms: int, at_ms: int) -> Removed:
        """_REMOVED_AT_ONCE events a transaction, oldest rows first, so that ingest gets its turn between two."""
        removed = Removed()
        after = 0
        while True:
            # Found outside the write transaction: it may look at the whole table.
            with self.reading(timeout_s=None) as read:
                found = read.rows(
                    "SELECT row, received_ms FROM event WHERE row > ? AND received_ms < ? ORDER BY row LIMIT ?",
                    (after, before_ms, _REMOVED_AT_ONCE),
                )
            if not found:
                return removed
            after = found[-1][0]
            for _, received_ms in found:
                day = f"{datetime.fromtimestamp(received_ms // 1000, UTC):%Y-%m-%d}"
                removed.days[day] = removed.days.get(day, 0) + 1
            with self.writing() as write:
                write.many("DELETE FROM event WHERE row = ?", [(row,) for row, _ in found])
                record_removal(write, at_ms, before_ms, removed)

    def size_bytes(self) -> int:
        """The file and its WAL."""
        sizes = (Path(f"{self._path}{end}") for end in ("", "-wal"))
        return sum(one.stat().st_size for one in sizes if one.exists())

    def claim(self) -> None:
        """A lock that ends with the process: two writers would each believe their own picture of what is covered."""
        if self._connection is None:
            self._connection = open_for_writing(self._path)
        path = self._path.with_suffix(".lock")
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            self.close()
            raise StoreError(f"{path}: cannot be made ({e.strerror}); check the data folder") from e
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            self.close()
            raise StoreError(f"{self._path}: another center writes to this file already; stop that one first") from None
        self._lock = lock

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class SqliteStatements:
    """center.store.statements.Statements over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return self.connection.execute(sql, tuple(values)).fetchall()  # type: ignore[arg-type]

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """How many rows it changed."""
        return self.connection.execute(sql, tuple(values)).rowcount  # type: ignore[arg-type]

    def many(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """One statement for each entry."""
        if values:
            self.connection.executemany(sql, values)  # type: ignore[arg-type]


def record_removal(write: Statements, at_ms: int, before_ms: int, removed: Removed) -> None:
    """Say what went, in the transaction in which it goes; a later step of the same removal replaces it."""
    write.run(
        "INSERT INTO removal (at_ms, before_ms, events, days) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (at_ms) DO UPDATE SET events = excluded.events, days = excluded.days",
        (at_ms, before_ms, removed.events, msgspec.json.encode(removed.days, order="sorted").decode()),
    )


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection that writes: WAL, synchronous FULL (a commit survives a power cut), schema at VERSION.

    It may be used from another thread than the one that opened it, by one thread at a time. Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as e:
        raise StoreError(f"{path}: the center's database cannot be opened ({e}); check the data folder") from e
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_AUTOCHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={_JOURNAL_SIZE_LIMIT_BYTES}")
        _bring_up(connection, path)
    except (sqlite3.Error, StoreError) as e:
        connection.close()
        if isinstance(e, StoreError):
            raise
        raise StoreError(f"{path}: the center's database cannot be used ({e}); restore it or move it away") from e
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, usable from any one thread at a time. Raises StoreError."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as e:
        raise StoreError(f"{path}: the center's database cannot be opened ({e}); start `zhian center run` first") from e
    try:
        connection.execute("PRAGMA query_only=ON")
        version = _version(connection)
    except sqlite3.Error as e:
        connection.close()
        raise StoreError(f"{path}: the center's database cannot be read ({e}); start `zhian center run` first") from e
    if version != VERSION:
        connection.close()
        raise StoreError(f"{path}: expected schema version {VERSION}, got {version}; start `zhian center run` first")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _bring_up(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > VERSION or version < 0:
        raise StoreError(f"{path}: expected schema version {VERSION}, got {version}; use the release that made it")
    while version < VERSION:
        # One transaction a step: a file is of one version or the next, whoever else opens it at this moment.
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection) + 1
            if version <= VERSION:
                _step(connection, version)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _step(connection: sqlite3.Connection, version: int) -> None:
    sql = files("center.store").joinpath(_STEPS[version]).read_text(encoding="utf-8")
    statement = ""
    for line in sql.splitlines(keepends=True):  # statement by statement: executescript would commit first
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    if version == 2:
        _find_lost(connection)
    connection.execute(f"PRAGMA user_version={version}")


def _find_lost(connection: sqlite3.Connection) -> None:
    """Version 1 did not keep which covered numbers were reported lost: they are those without an event."""
    epochs = connection.execute("SELECT id, stored_upto, islands FROM epoch").fetchall()
    for epoch_id, stored_upto, islands in epochs:
        lost = Ranges((first, last) for first, last in msgspec.json.decode(islands))
        if stored_upto:
            lost.add(1, stored_upto)
        for first, last in connection.execute(
            "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS run FROM event"
            " WHERE epoch_id = ?) GROUP BY run",
            (epoch_id,),
        ):
            lost.remove(first, last)
        connection.execute("UPDATE epoch SET lost = ? WHERE id = ?", (ranges_text(lost), epoch_id))
