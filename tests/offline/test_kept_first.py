"""What an answer says is kept is on the flash; what had expired stays expired; what came too late is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cuts import NOW, SCBK, slots

from firmware.node.alone import AloneDoor
from firmware.node.journal import STORE_BYTES, Journal
from firmware.node.offline import KEEP_TIME_S, Offline
from firmware.wire import codes
from firmware.wire import offline as wire
from firmware.wire.cache_file import Blocks
from gateway.access.attempts import AttemptLimits
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.node_cache import NodeSettings, build
from gateway.model import CredentialKind

MINUTE_MS = 60_000
NOW_MS = int(NOW.timestamp() * 1000)
LIFE_MS = 7 * 86_400_000
AFTER_MS = 10_000


def cache(until_ms: int | None = None, life_ms: int = LIFE_MS) -> Blocks:
    """One card, number 1, valid until then."""
    policy = compile_policy(
        1,
        [Holder("lin", frozenset({"r"}), {})],
        [Credential(CredentialKind.CARD, "26:1", "lin", valid_until_ms=until_ms)],
        [Rule("r", frozenset({"lobby"}), ALWAYS)],
        [PortalPolicy("lobby", (frozenset({CredentialKind.CARD}),))],
    )
    settings = NodeSettings("r", "lobby", 3000, 15_000, AFTER_MS, life_ms)
    return Blocks.of(build(policy, settings, wire.CacheKeys(SCBK), bytes(32), AttemptLimits(), NOW).data)


class Flash:
    """The two stores of a node; `full` takes nothing."""

    def __init__(self) -> None:
        self.journal = bytearray(STORE_BYTES)
        self.cache: Blocks | None = None
        self.full = False

    def write(self, writes: list[tuple[int, bytes]]) -> bool:
        if not self.full:
            for offset, data in writes:
                self.journal[offset : offset + len(data)] = data
        return not self.full

    def replace(self, blocks: Blocks) -> bool:
        if not self.full:
            self.cache = blocks
        return not self.full


class Node:
    """A lone node with its flash; `start` is a power cut."""

    def __init__(self, kept: Blocks | None) -> None:
        self.flash = Flash()
        self.flash.cache = kept
        self.now_ms = 0
        self.start()

    def start(self) -> None:
        journal = Journal(slots(bytes(self.flash.journal)), 7)
        self.alone = Offline(SCBK, self.flash.cache, journal, self.now_ms)
        self.door = AloneDoor(self.alone, stores=(self.flash, self.flash))
        self.relay = 0
        self.carry_out()

    def carry_out(self) -> None:
        effects = self.door.effects()
        while effects:
            for name, value in effects:
                if name == "journal":
                    self.door.journal_kept(self.flash.write(value), self.now_ms)
                elif name == "relay":
                    self.relay = value
            effects = self.door.effects()

    def tell(self, data: bytes) -> bytes | None:
        answer: bytes | None = self.door.on_manufacturer(data)
        self.carry_out()
        return answer

    def session(self, ahead_ms: int = 0) -> None:
        self.door.session_began()
        assert self.tell(wire.set_time(codes.MFG_SET_TIME, True, NOW_MS + self.now_ms + ahead_ms)) == b""

    def run(self, duration_ms: int, step_ms: int = MINUTE_MS) -> None:
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + step_ms, end_ms)
            self.door.tick(self.now_ms)
            self.carry_out()

    def opens(self) -> bool:
        """Whether card 1, shown now, moves the relay; the node has been alone for long enough."""
        self.run(2 * AFTER_MS, AFTER_MS)
        self.door.card(26, (1 << 6).to_bytes(4, "big"), self.now_ms)
        self.carry_out()
        opened = self.relay == 1
        self.run(4000, 1000)
        return opened


# --- what had expired stays expired


@pytest.mark.parametrize("ends_min", [61, 90, 119])
def test_a_card_that_had_expired_does_not_open_after_a_power_cut(ends_min: int) -> None:
    """The node has kept its time last within the hour before the cut."""
    node = Node(cache(until_ms=NOW_MS + ends_min * MINUTE_MS))
    node.session()
    node.run(30 * MINUTE_MS)
    assert node.opens()
    node.run(89 * MINUTE_MS)
    node.start()
    assert not node.opens()


def test_a_cache_that_had_ended_does_not_open_after_a_power_cut() -> None:
    node = Node(cache(life_ms=90 * MINUTE_MS))
    node.session()
    node.run(118 * MINUTE_MS)
    node.start()
    assert not node.opens()


@pytest.mark.parametrize("every_min", [3, 20, 59])
def test_cutting_the_power_again_and_again_does_not_stop_the_clock(every_min: int) -> None:
    node = Node(cache(until_ms=NOW_MS + 6 * KEEP_TIME_S * 1000))
    node.session()
    for _ in range(2 * 6 * 60 // every_min + 2):  # twice the time: at least half of what ran is kept
        node.run(every_min * MINUTE_MS)
        node.start()
    assert not node.opens()


def test_a_card_that_is_far_from_its_end_opens_after_a_power_cut() -> None:
    node = Node(cache(until_ms=NOW_MS + 5 * KEEP_TIME_S * 1000))
    node.session()
    node.run(30 * MINUTE_MS)
    node.start()
    assert node.opens()


def test_a_time_told_as_a_lower_bound_is_judged_as_the_gateway_judges_it() -> None:
    node = Node(cache(until_ms=NOW_MS + 10 * MINUTE_MS))
    node.door.session_began()
    assert node.tell(wire.set_time(codes.MFG_SET_TIME, False, NOW_MS)) == b""
    assert node.opens()


def test_a_clock_that_was_ahead_does_not_come_back_after_a_power_cut() -> None:
    year_ms = 400 * 86_400_000
    node = Node(cache())
    node.session(year_ms)
    node.session()
    node.start()
    assert abs(node.alone.unix_ms(node.now_ms) - NOW_MS) < 2 * MINUTE_MS
    assert node.opens()


# --- written first, answered after


def test_a_lockdown_that_cannot_be_kept_is_not_acknowledged_until_it_is() -> None:
    node = Node(cache())
    node.session()
    node.flash.full = True
    lockdown = bytes((wire.SET_MODE, wire.MODE_NOBODY))
    assert node.tell(lockdown) is None
    assert node.tell(lockdown) is None, "said again, and still not kept"
    assert node.alone.journal.mode == wire.MODE_NOBODY, "it counts while there is power"
    node.flash.full = False
    assert node.tell(lockdown) == b""
    node.start()
    assert node.alone.journal.mode == wire.MODE_NOBODY
    assert not node.opens()


def test_a_cache_that_cannot_be_kept_is_not_said_to_be_held() -> None:
    node = Node(None)
    node.session()
    node.flash.full = True
    made = cache()
    assert node.door.on_file(codes.FILE_OFFLINE_CACHE, made) == codes.FT_ABORT
    assert wire.State.decode(node.alone.state()).expires_ms == 0
    node.flash.full = False
    assert node.door.on_file(codes.FILE_OFFLINE_CACHE, made) == codes.FT_PROCESSED
    assert wire.State.decode(node.alone.state()).expires_ms == NOW_MS + LIFE_MS
    assert node.flash.cache is made


# --- of a session that had died


def test_a_node_that_is_away_obeys_nothing_that_was_held_back() -> None:
    node = Node(cache())
    node.session()
    node.run(AFTER_MS + 2000, 1000)
    before_ms = node.alone.unix_ms(node.now_ms)
    for held_back in (
        wire.set_time(codes.MFG_SET_TIME, True, NOW_MS - int(timedelta(hours=10).total_seconds()) * 1000),
        bytes((wire.SET_MODE, wire.MODE_NOBODY)),
    ):
        assert node.tell(held_back) is None
    assert node.alone.unix_ms(node.now_ms) == before_ms
    assert node.alone.journal.mode == wire.MODE_ORDINARY
    assert node.door.on_file(codes.FILE_OFFLINE_CACHE, cache()) == codes.FT_ABORT
    assert node.opens()
    node.session()
    assert node.tell(bytes((wire.SET_MODE, wire.MODE_NOBODY))) == b""


def test_a_node_with_a_fresh_key_still_has_its_cache_after_a_power_cut() -> None:
    kept, fresh = cache(), bytes(range(1, 17))
    lost = Offline(fresh, kept, Journal(slots(bytes(STORE_BYTES)), 7))
    assert lost.cache is None
    alone = Offline(fresh, kept, Journal(slots(bytes(STORE_BYTES)), 7), before=SCBK)
    assert alone.cache is not None
    assert not alone.take_cache(kept), "another one is taken under the present key only"
