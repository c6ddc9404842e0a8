"""The center's SQLite file: one writer, read-only readers, and the steps that bring its schema to this version."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from center.contract.ranges import Ranges
from center.errors import StoreDamagedError, StoreError
from center.store import damage
from center.store.addresses import Address
from center.store.coverage import ranges_text
from center.store.statements import EVENT_COLUMNS, EventRow, Removed, Statements
from runtime import log

VERSION = 3
_STEPS = {1: "schema.sql", 2: "schema_2.sql", 3: "schema_3.sql"}  # version -> what makes it from the one before
_BUSY_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0  # as PostgreSQL's statement_timeout: no page's question may run on and on
_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's machine, between two looks at the clock
_WAL_AUTOCHECKPOINT_PAGES = 4000  # 16 MB: else every commit of a catch-up would be followed by a checkpoint
_JOURNAL_SIZE_LIMIT_BYTES = 64 << 20
_CACHE_KIB = 16 << 10  # what one large commit changes: less would be written to the WAL twice
_ROWS_AT_ONCE = (2000, 200, 20, 1)  # of one INSERT; 13 values each, and SQLite takes 32 766
_logger = log.get("store")
_REMOVED_AT_ONCE = 5000  # events of one transaction: the writer waits for no longer than that takes


class SqliteDatabase:
    """center.store.statements.Database over one file. Nothing is opened before it is used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # device and inode of what is open
        self._generation = 0
        self._lock: int | None = None

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def generation(self) -> int:
        """Rises where another file takes the place of the one before: a damaged one is set aside."""
        return self._generation

    @contextmanager
    def writing(self) -> Iterator[Statements]:
        """A durable transaction. Where the file turns out to be damaged, the one who claimed it begins a new one."""
        try:
            connection = self._open()
        except StoreDamagedError as e:
            if self._lock is None:
                raise
            raise self._replaced(e.why) from e
        damaged: sqlite3.Error | None = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteStatements(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as e:
            if not damage.is_damage(e):
                raise StoreError(f"{self._path}: events cannot be stored ({e}); check the disk") from e
            if self._lock is None:
                raise damage.found_in(self._path, str(e)) from e
            damaged = e
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if damaged is not None:
            raise self._replaced(str(damaged)) from damaged

    def _open(self) -> sqlite3.Connection:
        if self._file != _identity(self._path):  # it was set aside by the one who claimed it
            self._shut()
        if self._connection is None:
            self._connection = open_for_writing(self._path)
            self._file = _identity(self._path)
            self._generation += 1
        return self._connection

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _replaced(self, why: str) -> StoreDamagedError:
        """Set the damaged file aside and begin a new one; the error that says so. Raises StoreError where it cannot."""
        self._shut()
        kept = damage.addresses_in(self._path)
        aside = damage.replace(self._path, lambda file: _begin(file, kept or []))
        told = StoreDamagedError(
            f"{self._path}: damaged ({why}), set aside as {aside.name}; a new one begins, gateways send again what they"
            " keep" + ("" if kept is not None else "; import the addresses again, they cannot be read in it"),
            why,
        )
        _logger.error("the center's database was damaged", why=str(told))
        return told

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
            if damage.is_damage(e):
                raise damage.found_in(self._path, str(e)) from e
            raise StoreError(f"{self._path}: the center's database cannot be read ({e}); check the disk") from e
        finally:
            connection.close()

    def insert_events(self, statements: Statements, rows: Sequence[EventRow]) -> int:
        """Many rows a statement; the unique index is a second look beside the coverage.

        One statement is one turn of the interpreter's lock: while SQLite works on it, the next frames are decoded.
        """
        assert isinstance(statements, SqliteStatements)
        before, at = statements.connection.total_changes, 0
        for size in _ROWS_AT_ONCE:
            sql = _insert(size)
            while len(rows) - at >= size:
                statements.connection.execute(sql, tuple(chain.from_iterable(rows[at : at + size])))
                at += size
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
        """A lock that ends with the process: two writers would each believe their own picture of what is covered.

        Then the file is looked at; a damaged one is set aside, and a new one begins.
        """
        path = self._path.with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StoreError(f"{path}: cannot be made ({e.strerror}); check the data folder") from e
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreError(f"{self._path}: another center writes to this file already; stop that one first") from None
        self._lock = lock
        try:
            self._finish_replacing()
            self._look()
        except StoreError:
            self.close()
            raise

    def _finish_replacing(self) -> None:
        aside = damage.finish(self._path)
        if aside is not None:
            _logger.error("the center's database was damaged", why=f"{self._path}: set aside as {aside.name} at last")

    def _look(self) -> None:
        why = ""
        try:
            damage.check(self._open(), self._path)
        except StoreDamagedError as e:
            why = e.why
        except sqlite3.Error as e:
            if not damage.is_damage(e):
                raise StoreError(f"{self._path}: the center's database cannot be read ({e}); check the disk") from e
            why = str(e)
        if why:
            self._replaced(why)

    def close(self) -> None:
        """Close the file."""
        self._shut()
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


@cache
def _insert(rows: int) -> str:
    one = f"({', '.join('?' * len(EVENT_COLUMNS.split(',')))})"
    return (
        f"INSERT INTO event ({EVENT_COLUMNS}) VALUES {', '.join([one] * rows)} ON CONFLICT (epoch_id, seq) DO NOTHING"  # noqa: S608
    )


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
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={_JOURNAL_SIZE_LIMIT_BYTES}")
        _bring_up(connection, path)
    except (sqlite3.Error, StoreError) as e:
        connection.close()
        if isinstance(e, StoreError):
            raise
        if damage.is_damage(e):
            raise damage.found_in(path, str(e)) from e
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
        if damage.is_damage(e):
            raise damage.found_in(path, str(e)) from e
        raise StoreError(f"{path}: the center's database cannot be read ({e}); start `zhian center run` first") from e
    if version != VERSION:
        connection.close()
        raise StoreError(f"{path}: expected schema version {VERSION}, got {version}; start `zhian center run` first")
    return connection


def _begin(path: Path, addresses: Sequence[Address]) -> None:
    """A new file with these standard addresses, whole and without a WAL. Raises StoreError."""
    connection = open_for_writing(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO address VALUES (?, ?, ?, ?, ?, ?, ?)", [astuple(one) for one in addresses])
        # Random: whoever knows a version of the old file's has to read the table again.
        connection.execute("INSERT INTO total (name, value) VALUES ('addresses', ?)", (secrets.randbits(40),))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as e:
        raise StoreError(f"{path}: it cannot be written ({e})") from e
    finally:
        connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
