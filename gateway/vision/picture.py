"""Bytes to pixels, with limits that are checked before anything is decoded."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.errors import VisionError

Picture = NDArray[np.uint8]  # HxWx3, BGR

MAX_BYTES = 32 << 20
MAX_PIXELS = 25_000_000
MIN_SIDE = 8
_JPEG, _PNG, _BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\x1aE\xdf\xa3", "a video"),
)
_HAS_SIZE = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG start-of-frame markers


def decode(data: bytes | bytearray, name: str, *, max_bytes: int = MAX_BYTES) -> Picture:
    """Decode one JPEG, PNG or BMP to BGR, turned upright by its EXIF orientation; grey and CMYK become colour.

    Raises VisionError, one sentence starting with `name`: not a picture, another format, truncated, damaged, too large.
    """
    if len(data) > max_bytes:
        raise VisionError(f"{name}: {len(data)} bytes, expected at most {max_bytes}; save it smaller")
    width, height = _size(data, name)
    if width * height > MAX_PIXELS:
        allowed = MAX_PIXELS // 1_000_000
        raise VisionError(f"{name}: {width} x {height} pixels, expected at most {allowed} million; save it smaller")
    if min(width, height) < MIN_SIDE:
        raise VisionError(
            f"{name}: {width} x {height} pixels, expected at least {MIN_SIDE} a side; give the whole picture"
        )
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        raise VisionError(f"{name}: the picture is damaged and cannot be decoded; copy or record it again")
    return picture


def kind_of(head: bytes) -> str | None:
    """What a file that begins with `head` is, in words; None where that is not known."""
    if head.startswith(_JPEG):
        return "a JPEG picture"
    if head.startswith(_PNG):
        return "a PNG picture"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "an animated WebP" if _webp_moves(head) else "a WebP", b"AVI ": "a video"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "an AVIF or HEIC picture" if head[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1") else "a video"
    found = next((text for magic, text in _OTHERS if head.startswith(magic)), None)
    return "a BMP picture" if found is None and head.startswith(_BMP) and head[6:10] == b"\0" * 4 else found


def _webp_moves(head: bytes) -> bool:
    return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 0x02)


def _png_moves(data: bytes) -> bool:
    """Whether a PNG says, before its first pixels, that it is an animation (acTL)."""
    at = len(_PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name in (b"acTL", b"IDAT", b"IEND"):
            return bool(name == b"acTL")
        at += 12 + length
    return False


def _size(data: bytes | bytearray, name: str) -> tuple[int, int]:
    """(width, height) from the header; also finds that the end is missing."""
    if data.startswith(_JPEG):
        size, rest = _jpeg_size(data)
        ended = size is not None and data.find(b"\xff\xd9", rest) >= 0  # no copy of somebody's picture
    elif data.startswith(_PNG):
        size = struct.unpack_from(">II", data, 16) if len(data) >= 24 else None
        ended = b"IEND" in data[-64:]
    elif data.startswith(_BMP) and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        size, ended = (abs(width), abs(height)), len(data) >= min(struct.unpack_from("<I", data, 2)[0], MAX_BYTES)
    else:
        got = kind_of(bytes(data[:64])) or ("something else" if data else "an empty file")
        raise VisionError(f"{name}: expected a JPEG, PNG or BMP picture, got {got}; convert it")
    if data.startswith(_PNG) and _png_moves(data):
        raise VisionError(f"{name}: expected a still picture, got an animated PNG; save one picture of it")
    if size is None or not ended:
        raise VisionError(f"{name}: the picture is cut short after {len(data)} bytes; copy or record it again")
    return size


def _jpeg_size(data: bytes | bytearray) -> tuple[tuple[int, int] | None, int]:
    """Walk a JPEG's segments to its frame header: ((width, height) or None, where the walk ended)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _HAS_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (width, height), at + 2 + length
        at += 2 + max(2, length)
    return None, at
