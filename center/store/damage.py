"""A damaged SQLite file of the center: found, set aside with everything in it, and what can be read of its settings.

A new file begins; gateways send again what they still keep and report the rest as lost (docs/durability.md). SQLite
keeps no checksums of the file's pages, so what is found is broken structure; a changed letter inside an event is not.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from center.errors import StoreDamagedError, StoreError
from center.store.addresses import Address

CHECK_S = 10.0  # at start; of a file that takes longer, the rest is found when it is used
_NEW, _BUILDING = ".new", ".building"  # what takes the damaged file's place: whole, and not yet
MAX_KEPT = 1000  # files set aside; whoever has so many has another problem
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MAX_SAID = 160


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is damaged, and not that it cannot be read or written now."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def check(connection: sqlite3.Connection, path: Path, timeout_s: float = CHECK_S) -> None:
    """Look at the structure of the whole file, for so long at most. Raises StoreDamagedError, sqlite3.Error."""
    # Not a progress handler: SQLite before 3.41 calls none while it walks a tree, but looks at each page whether it is
    # interrupted.
    interrupted = threading.Event()

    def interrupt() -> None:
        interrupted.set()
        connection.interrupt()

    end = threading.Timer(timeout_s, interrupt)
    end.start()
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as e:
        if getattr(e, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return
        raise
    finally:
        end.cancel()
        end.join()  # it must not interrupt what follows
    if found != "ok" and not interrupted.is_set():  # pages it did not come to look as if nothing used them
        raise found_in(path, found.splitlines()[-1])


def found_in(path: Path, why: str) -> StoreDamagedError:
    """The error for whoever may not set it aside."""
    why = why[:_MAX_SAID]
    return StoreDamagedError(f"{path}: damaged ({why}); start `zhian center run` again, it sets the file aside", why)


def replace(path: Path, build: Callable[[Path], None]) -> Path:
    """Have `build` make a file, set the damaged one aside and put the new one in its place; returns the damaged one's
    new path. A kill at any moment leaves the damaged file where it was, or what `finish` completes. Raises StoreError.
    """
    building = path.with_name(path.name + _BUILDING)
    _remove(building)
    try:
        build(building)
        _sync(building)
        building.rename(path.with_name(path.name + _NEW))
        _sync(path.parent)
    except (OSError, StoreError) as e:
        raise StoreError(f"{path}: damaged, and a new one cannot be made ({e}); check the disk's space") from e
    finally:
        with contextlib.suppress(OSError):
            _remove(building)
    return finish(path) or path


def finish(path: Path) -> Path | None:
    """Where a whole new file waits, set the damaged one aside and put it in its place; returns the damaged one's new
    path. Raises StoreError."""
    new = path.with_name(path.name + _NEW)
    if not new.exists():
        return None
    aside = set_aside(path)
    try:
        new.rename(path)
        _sync(path.parent)
    except OSError as e:
        raise StoreError(f"{path}: set aside as {aside.name}, but {new.name} cannot follow ({e.strerror})") from e
    return aside


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


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


def addresses_in(path: Path) -> list[Address] | None:
    """The table of addresses of a damaged file, None where it cannot be read whole: it is in no gateway."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT district, site, gateway, subject, address, grid, place FROM address")
            return [Address(*row) for row in found.fetchall()]
    except sqlite3.Error:
        return None
