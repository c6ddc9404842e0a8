"""The part of CBOR (RFC 8949) that a pass needs: unsigned and negative integers, byte and text strings, arrays, maps,
tags. Definite lengths only, shortest forms only, no floats, no simple values, no doubles in a map, a bounded depth.

A parser of what strangers show at a door should be short enough to read (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_DEPTH = 4
MAX_ITEMS = 64  # of one array or map


class CborError(ValueError):
    """The bytes are not what this subset can say; the text names what was found and where."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged value."""

    number: int
    value: object


_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)


def encode(value: object) -> bytes:
    """Deterministic bytes of `value` (RFC 8949, 4.2.1: shortest forms; map keys in the order of their bytes)."""
    match value:
        case bool():
            raise TypeError("cbor: a boolean is not part of this subset; use 0 or 1")
        case int() if value >= 0:
            return _head(_UNSIGNED, value)
        case int():
            return _head(_NEGATIVE, -1 - value)
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            text = value.encode()
            return _head(_TEXT, len(text)) + text
        case list() | tuple():
            return _head(_ARRAY, len(value)) + b"".join(encode(one) for one in value)
        case dict():
            pairs = sorted((encode(key), encode(one)) for key, one in value.items())
            return _head(_MAP, len(pairs)) + b"".join(key + one for key, one in pairs)
        case Tag():
            return _head(_TAG, value.number) + encode(value.value)
    raise TypeError(f"cbor: {type(value).__name__} is not part of this subset")


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for extra, length in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * length):
            return bytes([major << 5 | extra]) + argument.to_bytes(length, "big")
    raise ValueError(f"cbor: {argument} needs more than 64 bits")


def decode(data: bytes) -> object:
    """The one value that `data` holds. Raises CborError."""
    value, at = _decode(data, 0, 0)
    if at != len(data):
        raise CborError(f"expected the end at byte {at}, got {len(data) - at} more")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if depth > MAX_DEPTH:
        raise CborError(f"nested deeper than {MAX_DEPTH} at byte {at}")
    major, argument, start = _read_head(data, at)
    if major == _UNSIGNED:
        return argument, start
    if major == _NEGATIVE:
        return -1 - argument, start
    if major in (_BYTES, _TEXT):
        return _string(data, start, argument, major == _TEXT)
    if major == _TAG:
        inner, at = _decode(data, start, depth + 1)
        return Tag(argument, inner), at
    if argument > MAX_ITEMS:
        raise CborError(f"expected at most {MAX_ITEMS} items, got {argument} at byte {start}")
    return _array(data, start, argument, depth) if major == _ARRAY else _map(data, start, argument, depth)


def _read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument, and where what follows begins."""
    if at >= len(data):
        raise CborError(f"cut off at byte {at}")
    major, short = data[at] >> 5, data[at] & 31
    if major == _SIMPLE or short > 27:
        raise CborError(f"expected a definite integer, string, array, map or tag, got 0x{data[at]:02x} at byte {at}")
    if short < 24:
        return major, short, at + 1
    length = 1 << (short - 24)
    end = at + 1 + length
    if end > len(data):
        raise CborError(f"cut off at byte {len(data)}")
    argument = int.from_bytes(data[at + 1 : end], "big")
    if argument < (24 if length == 1 else 1 << (4 * length)):  # would have fitted into half the bytes
        raise CborError(f"expected the shortest form, got {argument} in {length} bytes at byte {at}")
    return major, argument, end


def _string(data: bytes, start: int, length: int, text: bool) -> tuple[object, int]:
    end = start + length
    if end > len(data):
        raise CborError(f"cut off at byte {len(data)}")
    if not text:
        return data[start:end], end
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError:
        raise CborError(f"expected UTF-8 at byte {start}") from None


def _array(data: bytes, at: int, length: int, depth: int) -> tuple[object, int]:
    values: list[object] = []
    for _ in range(length):
        value, at = _decode(data, at, depth + 1)
        values.append(value)
    return values, at


def _map(data: bytes, at: int, length: int, depth: int) -> tuple[object, int]:
    values: dict[object, object] = {}
    for _ in range(length):
        key, at = _decode(data, at, depth + 1)
        if not isinstance(key, int | str) or key in values:
            raise CborError(f"expected integers and texts as keys, each once, before byte {at}")
        values[key], at = _decode(data, at, depth + 1)
    return values, at
