"""Open the gateway's SQLite file with the settings that survive a power cut."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

from gateway.errors import StoreError

SCHEMA_VERSION = 1
# Small WAL: the file is re-used sooner, which measured faster and keeps writes to an SD card low.
WAL_AUTOCHECKPOINT_PAGES = 100


def open_for_writing(file: Path) -> sqlite3.Connection:
    """Open or create the database. Only core calls this. Raises StoreError.

    synchronous=FULL: a committed row survives a power cut (WAL with NORMAL lost rows in most simulated cuts).
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it holds names and plates; SQLite gives its -wal and -shm the same mode
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}")
        _migrate(connection, file)
    except (sqlite3.Error, OSError) as e:
        raise StoreError(f"{file}: the database cannot be opened ({e}); check its owner and the disk") from e
    return connection


def open_for_reading(file: Path) -> sqlite3.Connection:
    """A read-only connection for pages. Raises StoreError where core has not created the file yet."""
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("SELECT 1 FROM journal LIMIT 1")
    except sqlite3.Error as e:
        raise StoreError(f"{file}: cannot be read ({e}); start the gateway's core first") from e
    return connection


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    if version != 0:
        raise StoreError(
            f"{file}: schema version {version}, this program knows {SCHEMA_VERSION}; install the matching release"
        )
    script = resources.files("gateway.store").joinpath("schema.sql").read_text()
    connection.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")
