"""Open the center's SQLite file, for the one writer or for a reader, and bring its schema to this version."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path

from center.contract.catalogue import Severity
from center.errors import StoreError

VERSION = 1
SEVERITIES = tuple(Severity)  # index = the number in the column `severity`
_BUSY_TIMEOUT_S = 5.0
_WAL_AUTOCHECKPOINT_PAGES = 1000
_JOURNAL_SIZE_LIMIT_BYTES = 64 << 20


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The one writer's connection: WAL, synchronous FULL (a commit survives a power cut), schema at VERSION.

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
    if version == VERSION:
        return
    if version != 0:
        raise StoreError(f"{path}: expected schema version {VERSION}, got {version}; use the release that made it")
    schema = files("center.store").joinpath("schema.sql").read_text(encoding="utf-8")
    # One transaction: a file is either empty or complete.
    connection.executescript(f"BEGIN;\n{schema}\nPRAGMA user_version={VERSION};\nCOMMIT;")
