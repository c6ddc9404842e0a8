"""What is written before the lock moves, and which answer a flush lets through."""

from __future__ import annotations

import pytest
from cuts import CARDS, Site

from firmware.node.journal import CAPACITY, HEADERS_BYTES

AFTER_MS = 10_000


def effects_of(site: Site, *cards: int) -> list[tuple[str, object]]:
    """Of cards shown in one round, before the shell has carried anything out."""
    for card in cards:
        site.door.card(26, (card << 6).to_bytes(4, "big"), site.now_ms)
    return [(name, value) for name, value in site.door.effects() if name in ("journal", "relay")]


def alone(*, counted: bool) -> Site:
    site = Site(1, counted=counted)
    site.pass_time(AFTER_MS)
    site.carry_out()
    return site


def test_a_counted_board_writes_that_an_answer_may_be_lost_before_the_lock_moves() -> None:
    site = alone(counted=True)
    (_, first), (relay, released), (_, record) = effects_of(site, 1)
    assert [offset < HEADERS_BYTES for offset, _ in first] == [True], "the block of numbers is set aside"
    assert (relay, released) == ("relay", 1)
    assert [offset < HEADERS_BYTES for offset, _ in record] == [False]


@pytest.mark.parametrize("counted", [False, True])
def test_what_a_full_journal_does_not_take_is_counted_before_the_lock_moves(*, counted: bool) -> None:
    site = alone(counted=counted)
    for _ in range(CAPACITY):
        effects_of(site, 1)
        site.door.journal_kept(True, site.now_ms)
        site.pass_time(6000)
        site.carry_out()
    lost = site.door._alone.journal.lost
    assert [name for name, _ in effects_of(site, 1)][:2] == ["journal", "relay"]
    assert site.door._alone.journal.lost == lost + 1


def test_only_the_flush_of_its_own_record_moves_the_lock() -> None:
    site = alone(counted=False)
    assert [name for name, _ in effects_of(site, CARDS + 1, 1)] == ["journal", "journal"]
    site.door.journal_kept(True, site.now_ms)  # of the refusal
    assert not [effect for effect in site.door.effects() if effect[0] == "relay"]
    site.door.journal_kept(False, site.now_ms)  # of the grant
    assert not [effect for effect in site.door.effects() if effect == ("relay", 1)]
    assert site.door._alone.journal.lost == 1
