"""One core on one site's data: an advisory lock that the kernel lets go of with the process, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StoreError


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold `folder`/core.lock. Raises StoreError where another core holds it, naming its process.

    A disk that is full or read-only keeps no core from starting: then the number of the process is not noted.
    """
    path = folder / "core.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = _open(path)
    except OSError as e:
        raise StoreError(f"{path}: cannot be made ({e.strerror}); check the folder's owner") from e
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 20).decode("ascii", "replace").strip()
            raise StoreError(
                f"{folder}: another core (process {holder or 'unknown'}) runs on this data; stop it first"
            ) from None
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        if e.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # of an earlier run; a lock needs no right to write
