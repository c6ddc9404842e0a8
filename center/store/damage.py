"""A damaged SQLite file of the center: found, set aside with everything in it, and what can be read of its settings.

A new file begins; gateways send again what they still keep and report the rest as lost (docs/durability.md). SQLite
keeps no checksums of the file's pages, so what is found is broken structure; a changed letter inside an event is not.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from center.errors import StoreDamagedError, StoreError
from center.store.addresses import Address

CHECK_S = 10.0  # at start; of a file that takes longer, the rest is found when it is used
MAX_KEPT = 1000  # files set aside; whoever has so many has another problem
_STEPS_BETWEEN_LOOKS = 10_000
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MAX_SAID = 160


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is damaged, and not that it cannot be read or written now."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def check(connection: sqlite3.Connection, path: Path, timeout_s: float = CHECK_S) -> None:
    """Look at the structure of the whole file, for so long at most. Raises StoreDamagedError, sqlite3.Error."""
    end_s = time.monotonic() + timeout_s
    connection.set_progress_handler(lambda: time.monotonic() > end_s, _STEPS_BETWEEN_LOOKS)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as e:
        if getattr(e, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return
        raise
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        raise found_in(path, found.splitlines()[-1])


def found_in(path: Path, why: str) -> StoreDamagedError:
    """The error for whoever may not set it aside."""
    why = why[:_MAX_SAID]
    return StoreDamagedError(f"{path}: damaged ({why}); start `zhian center run` again, it sets the file aside", why)


def set_aside(path: Path) -> Path:
    """Rename the file and its WAL to `NAME.damaged-<n>`; nobody may be writing to it. Raises StoreError."""
    for number in range(1, MAX_KEPT + 1):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            break
    else:
        raise StoreError(f"{path}: damaged, and {MAX_KEPT} damaged files lie beside it already; move them away")
    try:
        # The WAL first: a kill between the two leaves a file without its WAL, never a new file with an old WAL.
        for end in ("-wal", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{end}").rename(f"{aside}{end}")
        Path(f"{path}-shm").unlink(missing_ok=True)
    except OSError as e:
        raise StoreError(f"{path}: damaged, and cannot be set aside ({e.strerror}); move it away by hand") from e
    return aside


def addresses_in(aside: Path) -> list[Address] | None:
    """The table of addresses of a damaged file, None where it cannot be read whole: it is in no gateway."""
    try:
        with contextlib.closing(sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT district, site, gateway, subject, address, grid, place FROM address")
            return [Address(*row) for row in found.fetchall()]
    except sqlite3.Error:
        return None
