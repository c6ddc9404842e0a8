"""The door node under fire: what may and may not end the release, with time as a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.node.door import FIRE_STABLE_MS, DoorNode
from firmware.node.events import CAPACITY, STALE_MS, VITAL_CAPACITY
from firmware.wire import codes
from firmware.wire.commands import Led, Output
from firmware.wire.replies import Inputs

LATCH, RESET = Output(1, codes.OUT_ON), Output(1, codes.OUT_OFF)
LOCK_NOW, PULSE = Output(0, codes.OUT_OFF), Output(0, codes.OUT_TIMED_ON, 30)
RED = Led(0, 0, codes.LED_SET_TEMPORARY, (1, 0, codes.RED, 0), 20, codes.LED_SET_PERMANENT, (1, 0, codes.RED, 0))


def at_rest(*, latched: bool = False) -> DoorNode:
    door = DoorNode(fire_loop=True, latched=latched)
    for pin, level in (("contact", 0), ("rex", 1), ("tamper", 1), ("fire", 0)):
        assert door.level(pin, level, 0)
    return door


def burning(now_ms: int = 0) -> DoorNode:
    door = at_rest()
    door.level("fire", 1, now_ms)
    door.tick(now_ms + FIRE_STABLE_MS)
    return door


def released(door: DoorNode) -> bool:
    return dict(door.present())["relay"] == 1


def told(door: DoorNode, now_ms: int) -> list[object]:
    out: list[object] = []
    while (event := door.poll(now_ms)) is not None:
        out.append(event)
        door.events.confirm()
    return out


def test_the_loop_releases_the_lock_then_remembers_then_shows() -> None:
    door = burning()
    assert door.effects() == [("relay", 1), ("latch", 1), ("led", codes.GREEN)]
    assert told(door, 100) == [Inputs((False, False, True, True))]
    assert door.output_states().states == (True, True)


def test_a_spike_on_the_loop_is_no_fire() -> None:
    door = at_rest()
    door.level("fire", 1, 100)
    door.level("fire", 0, 100 + FIRE_STABLE_MS - 1)
    door.tick(1000)
    assert not released(door)
    assert door.effects() == []


def test_a_loop_that_is_open_from_the_start_is_fire_and_one_disturbed_reading_is_not() -> None:
    door = DoorNode(fire_loop=True)
    door.level("fire", 1, 0)
    door.level("fire", 0, 5)
    door.tick(FIRE_STABLE_MS + 5)
    assert not released(door)
    door = DoorNode(fire_loop=True)
    door.level("fire", 1, 0)
    door.tick(FIRE_STABLE_MS)
    assert released(door)


def test_the_release_outlives_the_signal() -> None:
    door = burning()
    door.level("fire", 0, 1000)
    for now_ms in (1100, 60_000, 100_000_000):
        door.tick(now_ms)
        assert released(door)
    assert told(door, 1100)[-1] == Inputs((False, False, False, True))


def test_reset_is_refused_while_the_loop_says_fire_and_done_afterwards() -> None:
    door = burning()
    assert door.output([RESET], 100) == codes.NAK_RECORD
    assert released(door)
    door.level("fire", 0, 200)
    door.tick(300)
    told(door, 300)
    door.effects()
    assert door.output([RESET], 400) == 0
    assert door.effects() == [("relay", 0), ("latch", 0), ("led", codes.BLACK)]
    assert told(door, 500) == [Inputs((False, False, False, False))]


def test_a_refused_reset_carries_nothing_else_out() -> None:
    door = burning()
    door.effects()
    assert door.output([PULSE, RESET], 100) == codes.NAK_RECORD
    door.level("fire", 0, 100)
    door.tick(200)
    assert door.output([RESET], 200) == 0
    assert not released(door), "the pulse of the refused command never began"


def test_the_message_alone_releases_and_resets() -> None:
    door = DoorNode()  # no loop wired
    assert door.level("fire", 1, 0) is False, "a terminal with nothing on it must not release the door"
    assert door.output([LATCH], 0) == 0
    assert door.effects() == [("relay", 1), ("latch", 1), ("led", codes.GREEN)]
    assert told(door, 10) == [Inputs((False, False, False, True))]
    assert door.output([LATCH], 20) == 0
    assert told(door, 30) == [], "nothing new"
    assert door.output([RESET], 40) == 0
    assert not released(door)


@pytest.mark.parametrize("control", [codes.OUT_TIMED_ON, 3, 4, 6, 99])
def test_the_fire_release_knows_on_and_off_only(control: int) -> None:
    door = at_rest()
    assert door.output([Output(1, control, 10)], 0) == codes.NAK_RECORD
    assert not released(door)


def test_a_node_that_restarts_is_still_released() -> None:
    door = at_rest(latched=True)
    assert released(door)
    assert door.effects() == []
    assert door.input_states() == Inputs((False, False, False, True))
    door.tick(10_000_000)
    assert released(door)


def test_red_is_not_shown_at_a_door_that_everybody_may_pass() -> None:
    door = burning()
    door.effects()
    assert door.led([RED], 100) == 0
    assert door.effects() == []
    door.level("fire", 0, 200)
    door.tick(300)
    door.output([RESET], 10_000)
    assert door.effects()[-1] == ("led", codes.RED)


def test_a_full_queue_never_costs_the_news_of_a_fire() -> None:
    door = at_rest()
    for n in range(CAPACITY + 5):
        door.card(26, b"\x01\x02\x03\x40", n)
    door.level("fire", 1, 100)
    door.tick(200)
    events = told(door, 300)
    assert len(events) == CAPACITY + 1
    assert events[-1] == Inputs((False, False, True, True)), "in order: after what came before it"


def test_the_news_of_a_fire_never_grows_old() -> None:
    door = burning()
    door.level("fire", 0, 1000)
    door.tick(1100)
    states = [event for event in told(door, 1100 + 100 * STALE_MS) if isinstance(event, Inputs)]
    assert states[:2] == [Inputs((False, False, True, True)), Inputs((False, False, False, True))]


def test_a_loop_that_chatters_fills_no_more_than_its_own_room() -> None:
    door = at_rest()
    for n in range(200):
        door.level("fire", 1 - n % 2, n * 100)
        door.tick(n * 100 + FIRE_STABLE_MS)
    assert len(door.events) == CAPACITY + VITAL_CAPACITY
    assert told(door, 30_000)[-2] == door.input_states(), "what found no room is told as it is now"


ACTIONS = st.one_of(
    st.tuples(st.just("level"), st.sampled_from(["contact", "rex", "tamper"]), st.integers(0, 1)),
    st.tuples(
        st.just("output"),
        st.lists(
            st.builds(Output, st.integers(0, 2), st.integers(0, 7), st.sampled_from([0, 1, 30, 6000, 65535])),
            min_size=1,
            max_size=4,
        ),
    ),
    st.tuples(st.just("card")),
    st.tuples(st.just("keys"), st.text("0123456789*#A", max_size=18)),
    st.tuples(st.just("led")),
    st.tuples(st.just("wait"), st.integers(0, 700_000)),
)


def do(door: DoorNode, action: tuple[object, ...], now_ms: int) -> None:
    match action:
        case ("level", str(pin), int(value)):
            door.level(pin, value, now_ms)
        case ("output", list(outputs)):
            door.output(outputs, now_ms)
        case ("card",):
            door.card(26, b"\x01\x02\x03\x40", now_ms)
        case ("keys", str(text)):
            door.keys(text, now_ms)
        case ("led",):
            door.led([RED], now_ms)
    door.tick(now_ms)


@given(st.lists(ACTIONS, max_size=40))
def test_while_it_burns_nothing_whatever_locks_the_door(actions: list[tuple[object, ...]]) -> None:
    door, now_ms = burning(), 1000
    for action in actions:
        now_ms += action[1] if action[0] == "wait" and isinstance(action[1], int) else 50
        do(door, action, now_ms)
        assert released(door)
        assert ("relay", 0) not in door.effects()
        assert ("latch", 0) not in door.effects()


@given(st.lists(ACTIONS, max_size=40))
def test_after_the_fire_only_the_reset_locks_the_door(actions: list[tuple[object, ...]]) -> None:
    door, now_ms = burning(), 1000
    door.level("fire", 0, now_ms)
    door.tick(now_ms + 100)
    door.effects()
    for action in actions:
        now_ms += action[1] if action[0] == "wait" and isinstance(action[1], int) else 150
        do(door, action, now_ms)
        effects = door.effects()
        if ("latch", 0) in effects:
            assert action[0] == "output"
            assert any(o.number == 1 and o.control == codes.OUT_OFF for o in action[1])  # type: ignore[attr-defined]
            return
        assert released(door)


@given(st.lists(ACTIONS, max_size=40), st.integers(0, 1))
def test_without_fire_the_lock_always_comes_back_to_rest(actions: list[tuple[object, ...]], loop: int) -> None:
    """Nothing but the fire release keeps a door open for longer than the longest pulse."""
    door, now_ms = DoorNode(fire_loop=bool(loop)), 0
    for action in actions:
        if action[0] == "output" and any(o.number == 1 and o.control == codes.OUT_ON for o in action[1]):  # type: ignore[attr-defined]
            continue
        now_ms += 50
        do(door, action, now_ms)
    door.tick(now_ms + 1000)  # a button that was pressed last counts only once it has been still, and opens then
    door.tick(now_ms + 601_001)
    assert not released(door)
