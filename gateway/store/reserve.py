"""A file that only takes up space, so that there is some to free when the disk is full."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

RESERVE_BYTES = 8 << 20  # about 30 000 events
_REMAKE_FACTOR = 4  # made again once this many times its size is free


class Reserve:
    """`<database>.reserve`. No method raises: a missing reserve is a finding for the doctor, not a fault of a door."""

    def __init__(self, database: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self.file = database.with_name(database.name + ".reserve")
        self._size_bytes = size_bytes

    @property
    def there(self) -> bool:
        """Whether space is set aside."""
        return self.file.exists()

    def make(self) -> bool:
        """Set space aside, if there is plenty; False where there is not, or the disk refuses."""
        if self.there:
            return True
        try:
            if shutil.disk_usage(self.file.parent).free < self._size_bytes * _REMAKE_FACTOR:
                return False
            handle = os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size_bytes)
            finally:
                os.close(handle)
        except OSError:
            with contextlib.suppress(OSError):
                self.file.unlink(missing_ok=True)
            return False
        return True

    def free(self) -> bool:
        """Give the space back; False where there was none."""
        try:
            self.file.unlink()
        except OSError:
            return False
        return True
