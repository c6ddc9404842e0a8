"""The presence as kept values, cut into shards, so that one passage writes some hundred bytes, not everybody. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec

from gateway.access import presence as presence_
from gateway.access.presence import EMPTY_PRESENCE, Presence, Row

PREFIX = "presence/"  # followed by what and a shard's number
SHARDS = 64
MAX_SHARD_CHARACTERS = 20_000  # a kept value has at most 64 KiB; beyond it the shard's newest state is not kept

_rows = msgspec.json.Decoder(list[Row])


def changed(before: Presence, after: Presence) -> dict[str, str | None]:
    """The kept values in which `after` differs from `before`."""
    keys: set[str] = set()
    for what, old, new in (
        ("zone", before.zones, after.zones),
        ("first", before.first_persons, after.first_persons),
        ("uses", before.uses, after.uses),
    ):
        if old is not new:
            keys |= {_key(what, whose) for whose in old.keys() | new.keys() if old.get(whose) != new.get(whose)}
    if not keys:
        return {}
    shards: dict[str, list[Row]] = {key: [] for key in keys}
    for row in presence_.as_rows(after):
        if (key := _key(row[0], row[1])) in shards:
            shards[key].append(row)
    texts = {key: msgspec.json.encode(rows).decode() if rows else None for key, rows in shards.items()}
    return {key: text for key, text in texts.items() if text is None or len(text) <= MAX_SHARD_CHARACTERS}


def restored(kept: Mapping[str, str]) -> Presence:
    """The presence of the kept values. Raises ValueError where one cannot be read."""
    rows: list[Row] = []
    for key, text in kept.items():
        if key.startswith(PREFIX):
            try:
                rows += _rows.decode(text)
            except msgspec.MsgspecError as e:
                raise ValueError(f"kept {key!r}: expected rows of the presence ({e}); it is dropped") from None
    return presence_.from_rows(rows) if rows else EMPTY_PRESENCE


def _key(what: str, whose: str) -> str:
    return f"{PREFIX}{what}/{zlib.crc32(whose.encode()) % SHARDS}"
