"""What must never stand in an event, looked for in documents of any shape: of the examples, and of every scenario."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# One Chinese character of a province and a letter (GA 36), or an embassy's 使 and digits; separators are ignored.
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领][A-Z]?[A-Z0-9]{4,6}[A-Z0-9挂学警港澳使领]?"
)
_TELEPHONE = re.compile(r"(?<!\d)(\+?86)?1[3-9]\d{9}(?!\d)")
_IDENTITY_CARD = re.compile(r"(?<!\d)[1-9]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])\d{3}[\dXx](?!\d)")
# An epoch, an event's id, a digest: random digits, among which any number may stand.
_RANDOM = re.compile(r"[0-9a-f]{16}(-\d{1,16})?")
# JPEG, PNG, GIF and WebP as base64 begins with them, and data URLs.
_PICTURE = re.compile(r"data:image/|/9j/4|iVBORw0KGgo|R0lGOD|UklGR")
_MIN_TEMPLATE = 16  # numbers; the shortest known embedding has 64
_MAX_TEXT = 64  # the longest honest value is 48 characters; a template or picture is longer


@dataclass(frozen=True, slots=True)
class Found:
    """Where and what."""

    where: str
    what: str
    text: str


def found_in(document: Mapping[str, Any], names: Iterable[str]) -> list[Found]:
    """Everything in `document` that names somebody. `names`: of people, as they are written."""
    people = [name.casefold() for name in names if name]
    return [found for where, value in _values(document, "") for found in _look(where, value, people)]


def _values(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(key, f"{where}.{key} (the key)")
            yield from _values(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _values(inner, f"{where}[{i}]")
    else:
        yield where, value
    if _is_template(value):
        yield where, memoryview(bytes(4 * len(value)))


def _is_template(value: Any) -> bool:
    """A row of numbers as long as an embedding or a landmark mesh has them: no event has such a thing."""
    return isinstance(value, (list, tuple)) and len(value) >= _MIN_TEMPLATE and all(type(v) is float for v in value)


def _look(where: str, value: Any, people: list[str]) -> Iterator[Found]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        yield Found(where, "bytes", f"{len(value)} bytes")
    if not isinstance(value, str):
        return
    if _RANDOM.fullmatch(value):
        return
    closed = re.sub(r"[\s·•.-]", "", value)
    for what, pattern, text in (
        ("plate", _PLATE, closed.upper()),
        ("telephone", _TELEPHONE, closed),
        ("identity card", _IDENTITY_CARD, closed),
        ("picture", _PICTURE, value),
    ):
        if pattern.search(text):
            yield Found(where, what, value[:_MAX_TEXT])
    if any(name in value.casefold() for name in people):
        yield Found(where, "name", value[:_MAX_TEXT])
    if len(value) > _MAX_TEXT:
        yield Found(where, "long text", value[:_MAX_TEXT])
