"""What a node keeps for the time without its gateway: the cache, replaced as a whole, and the journal, slot by slot."""

import os

from firmware.wire.cache_file import MAX_CACHE_BYTES, Blocks
from firmware.wire.offline import RECORD_BYTES


def _size(path: str) -> int:
    try:
        return os.stat(path)[6]
    except OSError:
        return 0


def _pieces(path: str):
    try:
        with open(path, "rb") as file:
            piece = file.read(RECORD_BYTES)
            while piece:
                yield piece
                piece = file.read(RECORD_BYTES)
    except OSError:
        return  # what cannot be read is not there


class CacheStore:
    """One file that is either the old or the new one, whenever the power goes."""

    def __init__(self, path: str):
        self._path = path

    def read(self):
        """What is kept, in Blocks, or None."""
        try:
            size = os.stat(self._path)[6]
            if not 0 < size <= MAX_CACHE_BYTES:
                return None
            blocks = Blocks(size)
            with open(self._path, "rb") as file:
                for block in blocks.blocks:
                    file.readinto(block)
        except OSError:
            return None
        return blocks

    def replace(self, blocks) -> bool:
        """Keep this instead. False where that could not be: then the old one is kept."""
        try:
            with open(self._path + ".new", "wb") as file:
                for block in blocks.blocks:
                    file.write(block)
                file.flush()  # fsync(2) on the Unix port, a sync of littlefs on a board
            os.rename(self._path + ".new", self._path)
        except OSError:
            return False
        return True


class JournalStore:
    """A file of a fixed size that is written in place, slot by slot. Read and made in small pieces: a heap that has
    been in use for a while has no room for all of it in one."""

    def __init__(self, path: str, size: int):
        """Raises OSError where there is none and none can be made."""
        self._path = path
        if _size(path) < size:
            self._extend(size)

    def pieces(self):
        """All of it, RECORD_BYTES at a time."""
        return _pieces(self._path)

    def write(self, writes: list) -> bool:
        """Put (offset, bytes) into place in order; True once they are on disk."""
        try:
            with open(self._path, "r+b") as file:
                for offset, data in writes:
                    file.seek(offset)
                    file.write(data)
                    file.flush()
        except OSError:
            return False
        return True

    def _extend(self, size: int) -> None:
        nothing = bytes(RECORD_BYTES)
        written = 0
        with open(self._path + ".new", "wb") as file:
            for piece in _pieces(self._path):
                written += file.write(piece)
            while written < size:
                written += file.write(nothing[: size - written])
            file.flush()
        os.rename(self._path + ".new", self._path)
