"""A device's key on disk, and beside it the key that the device was told to take. No power cut loses either.

The new key is staged (`<file>.next`) before the device hears of it, and takes the old one's place only once the device
has proved that it has it. While both are there, both are tried.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from firmware.wire import codes
from gateway.errors import DriverError

KEY_BYTES = 16
_MAX_BYTES = 256


class KeyFile:
    """`path`: 32 hex digits, readable by its owner only. Every method raises DriverError with one sentence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.staged_path = path.with_name(path.name + ".next")
        self.given_path = path.with_name(path.name + ".given")

    def key(self) -> bytes | None:
        """The device's key; None where there is none yet."""
        return _read(self.path)

    def staged(self) -> bytes | None:
        """The key that the device was told to take; None where nothing is under way."""
        return _read(self.staged_path)

    def stage(self) -> bytes:
        """The key to give to the device, on disk before this returns. One that is staged already is kept: the device
        may have it."""
        if (key := self.staged()) is not None:
            return key
        key = secrets.token_bytes(KEY_BYTES)
        _write(self.staged_path, key)
        return key

    def stage_afresh(self) -> tuple[bytes, bytes | None]:
        """A key that nobody was told before, and the one that an earlier attempt may have given away, or None: a device
        may have that one, but it is offered to no other. Both are on disk before this returns."""
        if self.staged() is not None:
            try:
                self.staged_path.replace(self.given_path)
            except OSError as e:
                raise DriverError(f"{self.given_path}: cannot be written ({e.strerror}); free or mend the disk") from e
        before = _read(self.given_path)
        return self.stage(), before

    def promote(self, key: bytes | None = None) -> None:
        """The device has proved that it has the staged key, or (`key`) the one of an earlier attempt: it takes the old
        one's place."""
        proved = self.staged_path
        if key is not None and key != self.staged():
            proved = self.given_path
        try:
            proved.replace(self.path)
            for path in (self.staged_path, self.given_path):
                path.unlink(missing_ok=True)
            _sync(self.path.parent)
        except OSError as e:
            raise DriverError(f"{self.path}: cannot be replaced ({e.strerror}); free or mend the disk") from e


def _read(path: Path) -> bytes | None:
    try:
        if path.stat().st_mode & 0o077:
            raise DriverError(f"{path}: expected a file that only its owner can read; run chmod 600 on it")
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise DriverError(f"{path}: this key cannot be read ({e.strerror}); run as the gateway's own user") from e
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES or key == codes.SCBK_D:
        raise DriverError(f"{path}: expected 32 hex digits that are not the published default key; install a key anew")
    return key


def _write(path: Path, key: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, key.hex().encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        _sync(path.parent)
    except FileNotFoundError:
        raise DriverError(
            f"{path}: its folder is not there; nothing was sent, make it for the gateway's user (install -d -m 700)"
        ) from None
    except PermissionError:
        raise DriverError(
            f"{path}: the folder belongs to somebody else; nothing was sent, run this as the gateway's own user"
        ) from None
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise DriverError(f"{path}: the key cannot be kept ({e.strerror}); nothing was sent, mend the disk") from e


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
