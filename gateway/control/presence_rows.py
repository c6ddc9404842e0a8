"""The presence as kept values, cut into shards, so that one passage writes some hundred bytes. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.access import presence as presence_
from gateway.access.presence import EMPTY_PRESENCE, Presence, Row
from runtime.log import get

PREFIX = "presence/"  # followed by what and a shard's number
SHARDS = 128  # of each kind; the store keeps 1 000 values (gateway.store.late.MAX_KEPT)
MAX_SHARD_BYTES = 65_000  # of the store's 65 536; some 1 000 rows a shard, so 100 000 in all

log = get("control")
_rows = msgspec.json.Decoder(list[Row])
V = TypeVar("V")


class PresenceRows:
    """Keeps the rows by shard, so that a change costs what has changed and one look at each name, not a sort of all."""

    def __init__(self) -> None:
        self._shards: dict[str, dict[str, Row]] = {}
        self._misplaced: set[str] = set()  # kept under a key that this release does not use for them

    def changed(self, before: Presence, after: Presence) -> dict[str, str | None]:
        """The kept values in which `after` differs from `before`. One that has become too long for the store is not
        among them: its newest state does not survive a restart, which is logged."""
        keys, self._misplaced = self._misplaced, set()
        for what, old, new in (
            ("zone", before.zones, after.zones),
            ("first", before.first_persons, after.first_persons),
            ("uses", before.uses, after.uses),
        ):
            if old is not new:
                keys |= {self._forget(what, whose) for whose in old if whose not in new}
        news = Presence(
            _changes(before.zones, after.zones),
            _changes(before.first_persons, after.first_persons),
            _changes(before.uses, after.uses),
        )
        return self._texts(keys | self._take(presence_.as_rows(news)))

    def restored(self, kept: Mapping[str, str]) -> Presence:
        """The presence of the kept values. Raises ValueError where one cannot be read; then nothing is taken up."""
        rows: list[Row] = []
        misplaced: set[str] = set()
        for key, text in kept.items():
            if key.startswith(PREFIX):
                try:
                    found = _rows.decode(text)
                except msgspec.MsgspecError as e:
                    raise ValueError(f"kept {key!r}: expected rows of the presence ({e}); it is dropped") from None
                places = {_key(what, whose) for what, whose, *_ in found}
                if places - {key}:
                    misplaced |= {key, *places}
                rows += found
        presence = presence_.from_rows(rows) if rows else EMPTY_PRESENCE
        self._shards, self._misplaced = {}, misplaced
        self._take(rows)
        return presence

    def _take(self, rows: list[Row]) -> set[str]:
        keys = {_key(row[0], row[1]) for row in rows}
        for row in rows:
            self._shards.setdefault(_key(row[0], row[1]), {})[row[1]] = row
        return keys

    def _forget(self, what: str, whose: str) -> str:
        key = _key(what, whose)
        self._shards.get(key, {}).pop(whose, None)
        return key

    def _texts(self, keys: set[str]) -> dict[str, str | None]:
        texts: dict[str, str | None] = {}
        for key in sorted(keys):
            rows = self._shards.get(key)
            text = msgspec.json.encode(list(rows.values())) if rows else None
            if text is not None and len(text) > MAX_SHARD_BYTES:
                log.error("too much presence to be kept over a restart", kept=key, bytes=len(text))
            else:
                texts[key] = text.decode() if text is not None else None
        return texts


def _changes(before: Mapping[str, V], after: Mapping[str, V]) -> dict[str, V]:
    """What is new or different in `after`. What was not replaced is the very same value, which is quick to see."""
    if before is after:
        return {}
    found = ((key, value, before.get(key)) for key, value in after.items())
    return {key: value for key, value, old in found if old is not value and old != value}


def _key(what: str, whose: str) -> str:
    return f"{PREFIX}{what}/{zlib.crc32(whose.encode()) % SHARDS}"
