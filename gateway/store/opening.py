"""Open the store at start, whatever state it is in: doors must work, and what was lost must be said."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import StoreError
from gateway.store import database
from gateway.store.reserve import Reserve
from runtime.log import get

SUFFIXES = ("", "-wal", "-shm")
log = get("store")


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """`connection` is None where the disk cannot be written now: then core runs from memory and tries again.

    `trouble` is one word for StorageBroken (damaged, read-only), or None. `newest_ms` is the clock's lower bound.
    """

    connection: sqlite3.Connection | None
    trouble: str | None = None
    newest_ms: int = 0


def open_store(file: Path) -> OpenedStore:
    """Open it; set a damaged file aside and begin anew. Raises StoreError only where a newer program wrote the file."""
    try:
        return _opened(file)
    except database.DamagedError as e:
        damaged = e
    except database.UnwritableError as e:
        if Reserve(file).free():  # a full disk cannot even be looked at: SQLite needs room beside the file
            with contextlib.suppress(database.UnwritableError, database.DamagedError):
                return _opened(file)
        log.error("the gateway runs without a disk; doors work, events wait in memory", why=str(e))
        return OpenedStore(None, "read-only")
    try:
        aside = set_aside(file)
        connection = database.open_for_writing(file)
    except (OSError, StoreError) as e:
        log.error("a damaged database cannot be set aside; doors work, events wait in memory", why=str(e))
        return OpenedStore(None, "damaged")
    log.error(
        "the damaged database was set aside and a new one begun; events it held that the center had not acknowledged "
        "are in it only; keep the file for the manufacturer, and check the disk",
        why=str(damaged),
        aside=str(aside),
    )
    return OpenedStore(connection, "damaged", 0)


def _opened(file: Path) -> OpenedStore:
    connection = database.open_for_writing(file)
    try:
        # Of the newest row, not the largest: a year that was wrong once must not stay the lower bound for ever.
        newest = connection.execute("SELECT time_ms FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.Error as e:
        connection.close()
        raise database.as_store_error(file, e) from e
    return OpenedStore(connection, None, int(newest[0]) if newest else 0)


def set_aside(file: Path) -> Path:
    """Rename the database and its companions to `<file>.damaged-<n>`, the first number that is free. Raises OSError."""
    names = (file.with_name(f"{file.name}.damaged-{n}") for n in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    for suffix in SUFFIXES:
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    database.sync_folder(file.parent)
    return aside
