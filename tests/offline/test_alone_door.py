"""A door node while its gateway is away, coming back, and there: who answers, what moves, what is told."""

from __future__ import annotations

import pytest
from cuts import CARDS, NOW, Site, slots

from firmware.node.alone import HOLD_MS
from firmware.node.journal import CAPACITY, STORE_BYTES, Journal
from firmware.wire import codes
from firmware.wire import offline as wire
from firmware.wire.commands import Output

AFTER_MS = 10_000


@pytest.fixture
def site() -> Site:
    return Site(1, counted=False)


def show(site: Site, card: int) -> None:
    site.card = card
    site.door.card(26, (card << 6).to_bytes(4, "big"), site.now_ms)
    site.carry_out()


def polled(site: Site) -> list[object]:
    """Everything that the node tells until it has nothing new."""
    told = []
    for _ in range(40):
        site.now_ms += 20
        site.door.events.confirm()
        message = site.door.poll(site.now_ms)
        site.carry_out()
        if message is not None:
            told.append(message)
    return told


def records(told: list[object]) -> list[wire.Record]:
    tells = [one.data for one in told if one.code == codes.MFGREP and one.data[0] == wire.TELL_RECORD]
    return [wire.Record.decode(data[1:]) for data in tells]


def test_while_the_panel_polls_the_node_answers_nothing_itself(site: Site) -> None:
    site.begin_session()
    polled(site)
    show(site, 1)
    for _ in range(3):
        site.pass_time(AFTER_MS - 1000)  # late, and not too late
        polled(site)
    assert site.opened == {}
    assert records(polled(site)) == []


def test_one_late_answer_is_no_absence_and_a_card_from_before_it_is_not_answered_twice(site: Site) -> None:
    site.begin_session()
    polled(site)
    show(site, 1)  # told to the panel, or about to be
    site.pass_time(AFTER_MS - 100)
    show(site, 2)
    assert site.opened == {}
    site.pass_time(200)  # now it is away, and what was shown before is nobody's any more
    assert len(site.door.events) == 0
    assert site.opened == {}
    show(site, 3)
    assert site.opened == {3: 1}


def test_a_release_from_a_session_that_died_is_refused(site: Site) -> None:
    site.begin_session()
    polled(site)
    site.pass_time(AFTER_MS)
    release = [Output(0, codes.OUT_TIMED_ON, 30)]
    assert site.door.output(release, site.now_ms) == codes.NAK_RECORD
    site.begin_session()
    assert site.door.output(release, site.now_ms) == 0


def test_after_a_power_cut_it_waits_for_the_panel_as_long_as_ever(site: Site) -> None:
    show(site, 1)
    assert site.opened == {}
    site.pass_time(AFTER_MS)
    show(site, 1)
    assert site.opened == {1: 1}


def test_a_stranger_stays_out_and_is_told(site: Site) -> None:
    site.pass_time(AFTER_MS)
    show(site, CARDS + 1)
    assert site.opened == {}
    site.begin_session()
    (record,) = records(polled(site))
    assert (record.what, wire.REASONS[record.reason]) == (wire.DENIED, "unknown-credential")
    assert record.digest == bytes(8)  # nothing of an unknown card is kept


def test_cards_wait_until_the_records_are_stored_but_not_for_ever(site: Site) -> None:
    site.pass_time(AFTER_MS)
    show(site, 1)
    site.begin_session()
    show(site, 2)
    told = polled(site)
    assert len(records(told)) == 1
    assert codes.RAW not in [one.code for one in told]
    site.command(wire.stored(site.door._alone.journal.id, 1))
    assert codes.RAW in [one.code for one in polled(site)]
    show(site, 3)
    assert codes.RAW in [one.code for one in polled(site)]


def test_a_gateway_that_stores_nothing_does_not_keep_the_door_shut(site: Site) -> None:
    site.pass_time(AFTER_MS)
    show(site, 1)
    site.begin_session()
    polled(site)
    for _ in range(HOLD_MS // 500):
        site.pass_time(500)
        polled(site)
    show(site, 2)
    assert codes.RAW in [one.code for one in polled(site)]


def test_a_full_journal_keeps_what_is_oldest_and_says_how_much_it_lost(site: Site) -> None:
    site.pass_time(AFTER_MS)
    for _ in range(CAPACITY + 10):
        show(site, 1)
        site.pass_time(4000)
    assert site.opened == {1: CAPACITY + 10}
    site.begin_session()
    told = []
    for _ in range(6):
        told += records(polled(site))
        if told:
            site.command(wire.stored(told[-1].journal, told[-1].number))
    told += records(polled(site))
    assert [record.number for record in told] == list(range(1, len(told) + 1))
    assert [record.what for record in told] == [wire.GRANTED] * (CAPACITY - 1) + [wire.LOST]
    assert told[-1].count == 11


def test_refusals_leave_room_for_grants(site: Site) -> None:
    site.pass_time(AFTER_MS)
    for _ in range(2 * CAPACITY):
        show(site, CARDS + 1)
    show(site, 1)
    journal = site.door._alone.journal
    told = iter(lambda: journal.to_tell(0, 0), None)
    kinds = [record.what for record in told if record.what != wire.LOST]
    assert kinds[-1] == wire.GRANTED
    assert len(kinds) < CAPACITY


def test_a_lock_that_cannot_be_recorded_stays_shut() -> None:
    site = Site(1, counted=False)
    site.pass_time(AFTER_MS)
    site.door.card(26, (1 << 6).to_bytes(4, "big"), site.now_ms)
    assert [name for name, _ in site.door.effects()] == ["journal"]
    site.door.journal_kept(False, site.now_ms)
    effects = dict(site.door.effects())
    assert effects.get("relay") is None
    assert effects["led"] == codes.RED


def test_a_lockdown_that_was_told_holds_without_the_gateway(site: Site) -> None:
    site.begin_session()
    site.command(bytes((wire.SET_MODE, wire.MODE_NOBODY)))
    site.pass_time(AFTER_MS)
    show(site, 1)
    assert site.opened == {}
    site.power_cut_node("idle")  # and through a power cut
    site.pass_time(AFTER_MS)
    show(site, 1)
    assert site.opened == {}


def test_an_expired_cache_opens_nothing(site: Site) -> None:
    site.begin_session()
    site.pass_time(7 * 86_400_000)
    show(site, 1)
    assert site.opened == {}


def test_the_time_is_a_lower_bound_after_a_power_cut_and_never_the_cards_own_excuse(site: Site) -> None:
    site.begin_session()
    later_ms = int(NOW.timestamp() * 1000) + 5 * 86_400_000
    site.command(wire.set_time(codes.MFG_SET_TIME, True, later_ms))
    assert site.door._alone.certain(site.now_ms)
    site.power_cut_node("idle")
    alone = site.door._alone
    assert not alone.certain(site.now_ms)
    assert later_ms - 3_600_000 <= alone.unix_ms(site.now_ms) <= later_ms
    site.command(wire.set_time(codes.MFG_SET_TIME, False, later_ms - 86_400_000))
    assert alone.unix_ms(site.now_ms) >= later_ms - 3_600_000


@pytest.mark.parametrize("size", [0, 31, 64, STORE_BYTES - 1, STORE_BYTES + 7])
@pytest.mark.parametrize("byte", [0, 0xFF, 0x4A])
def test_any_store_makes_a_journal(size: int, byte: int) -> None:
    journal = Journal(slots(bytes([byte]) * size), 7)
    assert (journal.id, journal.waiting, journal.lost) == (7, 0, 0)
    assert journal.writes()


def test_nonsense_from_the_panel_changes_nothing(site: Site) -> None:
    for data in (b"", b"\x01", b"\x02", b"\x02\x09", b"\x03\x00", bytes(40), wire.stored(1, 1)):
        assert site.door.on_manufacturer(data) is None
    assert site.door.on_file(codes.FILE_OFFLINE_CACHE, site.cache.of(bytes(100))) == codes.FT_MALFORMED
    assert site.door.on_file(0x11, site.cache.of(bytes(100))) == codes.FT_UNKNOWN
