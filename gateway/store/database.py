"""Open the gateway's SQLite file with the settings that survive a power cut."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from gateway.errors import StoreError

SCHEMA_VERSION = 4
_STEPS = {
    1: "schema.sql",
    2: "schema_2.sql",
    3: "schema_3.sql",
    4: "schema_4.sql",
}  # version -> the step that leads to it
# Small WAL: the file is re-used sooner, which measured faster and keeps writes to an SD card low.
WAL_AUTOCHECKPOINT_PAGES = 100
WAL_SIZE_LIMIT_BYTES = 1 << 20  # what a burst leaves behind is cut off at the next checkpoint
BUSY_TIMEOUT_S = 2.0  # pages only read; whoever else locks the file is a fault, not a neighbour

# A committed row survives a power cut (WAL with NORMAL lost rows in most simulated cuts, docs/durability.md).
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}",
    f"journal_size_limit={WAL_SIZE_LIMIT_BYTES}",
)


class Cursor(Protocol):
    """What of a cursor is used here."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What of a connection is used here. sqlite3's and apsw's both have it: the power-cut test runs this very code."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor: ...

    def executemany(self, sql: str, rows: Any, /) -> Cursor: ...

    def close(self) -> None: ...


class DamagedError(StoreError):
    """The file is there and is no database of ours any more."""


class UnwritableError(StoreError):
    """The file or its folder cannot be written now; it may be fine."""


def open_for_writing(file: Path) -> sqlite3.Connection:
    """Open or create the database. Only core calls this.

    Raises DamagedError, UnwritableError, or StoreError where a newer program wrote the file.
    """
    connection = None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it holds names and plates; SQLite gives its -wal and -shm the same mode
        connection = sqlite3.connect(file, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        prepare(connection, file)
        _look_for_damage(connection)
        sync_folder(file.parent)  # SQLite does this for the -wal, not for the database's own name
    except StoreError:
        if connection is not None:
            connection.close()
        raise
    except (sqlite3.Error, OSError) as e:
        if connection is not None:
            connection.close()
        raise as_store_error(file, e) from e
    return connection


def prepare(connection: Connection, file: Path) -> None:
    """Settings and schema, on any connection. Raises StoreError for a newer schema, else what the connection raises."""
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION or version < 0:
        raise StoreError(
            f"{file}: schema version {version}, this program knows {SCHEMA_VERSION}; "
            "install the release that wrote it, or move the file away to begin anew"
        )
    for step in range(version + 1, SCHEMA_VERSION + 1):
        script = resources.files("gateway.store").joinpath(_STEPS[step]).read_text("utf-8")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def open_for_reading(file: Path) -> sqlite3.Connection:
    """A read-only connection for pages. Raises StoreError where core has not created the file yet."""
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("SELECT 1 FROM journal LIMIT 1")
    except sqlite3.Error as e:
        raise StoreError(f"{file}: cannot be read ({e}); start the gateway's core first") from e
    return connection


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_damage(error: Exception) -> bool:
    """Whether the file's content is at fault, rather than the disk's mood."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return type(error) is sqlite3.DatabaseError
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def cause_of(error: Exception) -> str:
    """One machine word for an event: full, read-only, io, damaged, locked, other."""
    if is_damage(error):
        return "damaged"
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    return {
        sqlite3.SQLITE_FULL: "full",
        sqlite3.SQLITE_READONLY: "read-only",
        sqlite3.SQLITE_CANTOPEN: "read-only",
        sqlite3.SQLITE_IOERR: "io",
        sqlite3.SQLITE_BUSY: "locked",
        sqlite3.SQLITE_LOCKED: "locked",
    }.get(code, "other")


def _look_for_damage(connection: Connection) -> None:
    """All of the file after a run that did not end in order; else only what is read anyway: a start must be quick."""
    running = connection.execute("SELECT value FROM meta WHERE key = 'running'").fetchone()
    if running is None:
        raise sqlite3.DatabaseError("it has no meta data")
    if running[0] == "1" and (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(found)


def as_store_error(file: Path, error: Exception) -> StoreError:
    """DamagedError or UnwritableError, which says what to do."""
    if is_damage(error):
        return DamagedError(f"{file}: expected the gateway's database, it is damaged ({error}); it will be set aside")
    return UnwritableError(
        f"{file}: the database cannot be opened for writing ({error}); "
        "check the folder's owner, the free space and the disk"
    )


def _statements(script: str) -> Iterator[str]:
    """One statement at a time: sqlite3's own executescript would commit in between, and apsw has none."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
