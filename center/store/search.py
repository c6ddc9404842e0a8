"""What may be asked of the stored events, and the cursors of its answers. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import astuple, dataclass

import msgspec

from center.contract.catalogue import CATALOGUE, Severity
from center.errors import SearchError
from center.store.batch import SEVERITIES

MAX_TEXT_CHARACTERS = 60
MAX_CURSOR_CHARACTERS = 120
_CURSOR_VERSION = 2
_ALL_TYPES = tuple((one.type, f"{one.title_zh} {one.title_en}".casefold()) for one in CATALOGUE.values())


@dataclass(frozen=True, slots=True)
class Search:
    """Conditions that an event must meet, all of them; None = any.

    type: a whole type, or a prefix that ends in a dot ("zhian.access."). text: part of a title, in either language.
    from_ms, to_ms: the gateway's own time, from included, to excluded; milliseconds since 1970.
    """

    type: str | None = None
    severity_at_least: str | None = None
    district: str | None = None
    site: str | None = None
    gateway: str | None = None
    subject: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    grid: str | None = None
    address: str | None = None
    text: str | None = None

    def conditions(self) -> tuple[list[str], list[object]]:
        """SQL conditions over event e, epoch p and gateway g, and their values. Raises SearchError."""
        where: list[str] = []
        values: list[object] = []
        for condition, value in (
            ("e.severity >= ?", None if self.severity_at_least is None else rank(self.severity_at_least)),
            ("g.district = ?", self.district),
            ("g.site = ?", self.site),
            ("g.gateway = ?", self.gateway),
            ("e.subject = ?", self.subject),
            ("e.time_ms >= ?", self.from_ms),
            ("e.time_ms < ?", self.to_ms),
            ("e.grid = ?", self.grid),
            ("e.address = ?", self.address),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        if self.type is not None or self.text is not None:
            types = self._types()
            where.append(f"e.type IN ({', '.join('?' * len(types))})" if types else "1 = 0")
            values += types
        return where, values

    def _types(self) -> list[str]:
        """The types that `type` and `text` leave; a type of a newer release is found by its whole name only."""
        if self.type is not None and not self.type.endswith(".") and self.text is None:
            return [self.type]
        wanted = (self.text or "").casefold()
        return [
            type_
            for type_, titles in _ALL_TYPES
            if wanted in titles
            and (self.type is None or type_ == self.type or (self.type.endswith(".") and type_.startswith(self.type)))
        ]

    def digest(self) -> str:
        """Eight characters that differ where the conditions do."""
        return hashlib.sha256(msgspec.json.encode(astuple(self))).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the answer: the row of the last event given, the run of ingest that gave it, and the direction."""

    row: int
    run: int
    oldest_first: bool


def encode_cursor(cursor: Cursor, search: Search) -> str:
    """Text that only `decode_cursor` needs to understand."""
    plain = msgspec.json.encode([_CURSOR_VERSION, cursor.row, cursor.run, int(cursor.oldest_first), search.digest()])
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def decode_cursor(text: str, search: Search) -> Cursor:
    """Where to go on. Raises SearchError for a text that was not made for this very search."""
    try:
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise ValueError
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, row, run, oldest_first, digest = msgspec.json.decode(plain, type=tuple[int, int, int, int, str])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise SearchError("cursor: expected one that an earlier answer gave; begin without a cursor") from None
    if version != _CURSOR_VERSION or row < 0 or row > 1 << 53:
        raise SearchError("cursor: expected one that an earlier answer gave; begin without a cursor")
    if digest != search.digest():
        raise SearchError("cursor: it belongs to other filters; keep the filters, or begin without a cursor")
    return Cursor(row, run, bool(oldest_first))


def rank(severity: str) -> int:
    """The number in the column `severity`. Raises SearchError."""
    try:
        return SEVERITIES.index(Severity(severity))
    except ValueError:
        raise SearchError(f"severity: expected one of {[s.value for s in SEVERITIES]}, got {severity[:40]!r}") from None
