"""Who is where as kept values: one passage writes one shard, a restart finds all of it, nothing is lost unsaid."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.access.presence import EMPTY_PRESENCE, InZone, Presence, Used
from gateway.control.presence_rows import MAX_SHARD_BYTES, SHARDS, PresenceRows

FULL = Presence(
    {f"holder-{n}": InZone("yard", n) for n in range(5_000)},
    {"lobby": date(2026, 11, 22)},
    {f"pass-{n}": Used(1, 1_800_000_000_000) for n in range(5_000)},
)


def kept_of(rows: PresenceRows, presence: Presence) -> dict[str, str]:
    return {key: value for key, value in rows.changed(EMPTY_PRESENCE, presence).items() if value is not None}


def test_all_of_it_survives_a_restart_and_one_passage_writes_its_own_shard():
    rows = PresenceRows()
    kept = kept_of(rows, FULL)
    assert PresenceRows().restored(kept) == FULL
    moved = replace(FULL, zones={**FULL.zones, "holder-7": InZone("vault", 9)})
    changed = rows.changed(FULL, moved)
    assert len(changed) == 1
    gone = replace(moved, zones={who: where for who, where in moved.zones.items() if who != "holder-8"})
    changed |= rows.changed(moved, gone)
    assert PresenceRows().restored(kept | {key: value for key, value in changed.items() if value}) == gone


def test_a_passage_looks_at_the_rows_of_its_own_shard_only(monkeypatch):
    from gateway.control import presence_rows

    rows = PresenceRows()
    rows.restored(kept_of(PresenceRows(), FULL))
    asked: list[int] = []
    as_rows = presence_rows.presence_.as_rows
    monkeypatch.setattr(
        presence_rows.presence_, "as_rows", lambda presence: asked.append(len(presence.zones)) or as_rows(presence)
    )
    rows.changed(FULL, replace(FULL, zones={**FULL.zones, "holder-7": InZone("vault", 9)}))
    assert asked == [1]


def test_the_last_one_of_a_shard_leaves_nothing_behind():
    rows = PresenceRows()
    one = replace(EMPTY_PRESENCE, zones={"lin": InZone("yard", 1)})
    (key,) = rows.changed(EMPTY_PRESENCE, one)
    assert rows.changed(one, EMPTY_PRESENCE) == {key: None}


def test_what_was_kept_in_other_shards_is_moved_and_does_not_come_back():
    rows = PresenceRows()
    one = rows.restored({"presence/zone/elsewhere": '[["zone","lin","yard",1]]'})
    two = replace(one, zones={**one.zones, "wang": InZone("yard", 2)})
    changed = rows.changed(one, two)
    assert changed["presence/zone/elsewhere"] is None
    assert PresenceRows().restored({key: text for key, text in changed.items() if text}) == two


def test_as_many_use_counts_as_may_be_counted_are_kept():
    many = Presence({}, {}, {f"pass-{n:016x}": Used(1_000, 1_800_000_000_000) for n in range(100_000)})
    kept = kept_of(PresenceRows(), many)
    assert len(kept) == SHARDS
    assert PresenceRows().restored(kept) == many


def test_a_shard_that_is_too_long_is_said(capfd: pytest.CaptureFixture[str], monkeypatch):
    from gateway.control import presence_rows

    told: list[str] = []
    monkeypatch.setattr(presence_rows.log, "error", lambda text, **_fields: told.append(text))
    long = Presence({}, {}, {"n" * MAX_SHARD_BYTES: Used(1)})
    assert PresenceRows().changed(EMPTY_PRESENCE, long) == {}
    assert told == ["too much presence to be kept over a restart"]
