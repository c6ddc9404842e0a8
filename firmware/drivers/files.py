"""Bytes that survive a power cut: written beside the old file, closed, then renamed over it. Unix and littlefs.

A sealed file ends with the CRC-32 of what is before it, so that a file damaged by worn flash is noticed, not believed.
"""

import binascii
import os

CRC_BYTES = 4


def sealed(data: bytes) -> bytes:
    """The data with its CRC-32 (little-endian) behind it."""
    return data + (binascii.crc32(data) & 0xFFFFFFFF).to_bytes(CRC_BYTES, "little")


def opened(content: bytes):
    """What `sealed` was given, or None where the CRC does not fit."""
    data = content[:-CRC_BYTES]
    if len(content) < CRC_BYTES or sealed(data) != content:
        return None
    return data


def read_sealed(path: str, limit: int):
    """The data of a sealed file; None where there is none, where it is longer than `limit` bytes or damaged."""
    try:
        with open(path, "rb") as file:
            content = file.read(limit + CRC_BYTES + 1)
    except OSError:
        return None
    if len(content) > limit + CRC_BYTES:
        return None
    return opened(content)


def write_sealed(path: str, data: bytes) -> bool:
    """Replace the file as a whole: after a power cut it holds the old data or the new. False where it did not work."""
    beside = path + ".new"
    try:
        with open(beside, "wb") as file:
            file.write(sealed(data))
            file.flush()
        os.rename(beside, path)
    except OSError:
        return False
    return True


def rename(old: str, new: str) -> None:
    """Put a file in another's place in one step. Raises OSError."""
    os.rename(old, new)


def remove(path: str) -> bool:
    """Remove the file. True where it is gone, also where it never was."""
    try:
        os.remove(path)
    except OSError:
        return not exists(path)
    return True


def exists(path: str) -> bool:
    """Whether there is such a file. What cannot be read counts as none."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
