"""Board, door and barrier on virtual time: exact."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sim.barrier import Barrier
from sim.door import INPUTS, OUTPUTS, PATIENCE_MS, REX_PRESS_MS, Door
from sim.errors import PinsError
from sim.pins.board import BOUNCE_MS, Board

PINS = {"raise": "17", "lower": "27", "raised": "22", "lowered": "23", "loop": "24"}


class Plugged:
    """A device at a board that notes what it is told."""

    def __init__(self, board: Board, inputs: tuple[str, ...], outputs: tuple[str, ...], pull: str = "up") -> None:
        self.board = board
        self.edges: list[tuple[str, int]] = []
        self.other: list[dict[str, Any]] = []
        board.plug_in(self._take)
        for pin in inputs:
            board.setup(pin, "in", pull, 0)
        for pin in outputs:
            board.setup(pin, "out", "none", 0)

    def _take(self, message: dict[str, Any]) -> None:
        if message["op"] == "edge":
            self.edges.append((message["pin"], message["value"]))
        else:
            self.other.append(message)

    def level(self, pin: str) -> int:
        return [value for name, value in self.edges if name == pin][-1]


def board(virtual, inputs=("contact",), outputs=("relay",), seed=1) -> Board:
    return Board("lobby", virtual.timeline, random.Random(seed), inputs=inputs, outputs=outputs)


# --- electrical ---------------------------------------------------------------------------------------------------


async def test_a_contact_bounces_within_its_time_and_settles(virtual) -> None:
    b = board(virtual)
    device = Plugged(b, ("contact",), ())
    device.edges.clear()
    b.set_contact("contact", closed=True)
    assert device.edges == [("contact", 0)]  # with a pull-up a closed contact is 0
    await virtual.pass_ms(BOUNCE_MS[1])
    edges = [value for _, value in device.edges]
    assert len(edges) >= 3
    assert len(edges) % 2 == 1
    assert edges[-1] == 0
    await virtual.pass_ms(1000)
    assert len(device.edges) == len(edges)


async def test_bounce_follows_the_seed(virtual) -> None:
    def chatter(seed: int) -> list[float]:
        b = board(virtual, seed=seed)
        times: list[float] = []
        b.plug_in(lambda _: times.append(virtual.timeline.now_ms))
        b.setup("contact", "in", "up", 0)
        times.clear()
        b.set_contact("contact", closed=True)
        return times

    first, again, other = chatter(1), chatter(1), chatter(2)
    await virtual.pass_ms(50)
    assert first == again
    assert first != other


@pytest.mark.parametrize(("pull", "closed_level"), [("up", 0), ("down", 1), ("none", 0)])
def test_a_contact_is_wired_against_the_pull(virtual, pull: str, closed_level: int) -> None:
    b = board(virtual)
    device = Plugged(b, ("contact",), (), pull)
    assert device.level("contact") == 1 - closed_level
    b.set_contact("contact", closed=True, bounce=False)
    assert device.level("contact") == closed_level


def test_outputs_fall_when_the_device_is_gone_and_inputs_stay_what_they_are(virtual) -> None:
    b = board(virtual)
    levels: list[int] = []
    b.listen("relay", levels.append)
    Plugged(b, ("contact",), ("relay",))
    b.write("relay", 1)
    b.unplug()
    assert levels == [1, 0]
    with pytest.raises(PinsError, match="before it was set up"):
        b.write("relay", 1)
    b.set_contact("contact", closed=True, bounce=False)
    assert Plugged(b, ("contact",), ()).level("contact") == 0


def test_a_pin_of_the_other_kind_is_refused_by_name(virtual) -> None:
    b = board(virtual)
    b.plug_in(lambda _: None)
    with pytest.raises(PinsError, match="pin 'relay' of lobby is not wired as in; pins wired as in: contact"):
        b.setup("relay", "in", "up", 0)


# --- a door -------------------------------------------------------------------------------------------------------


def make_door(virtual, closer_s: float = 2.0) -> tuple[Door, Plugged]:
    b = board(virtual, INPUTS, OUTPUTS)
    door = Door("lobby", b, virtual.timeline, random.Random(1), virtual.record, closer_s=closer_s)
    return door, Plugged(b, INPUTS, OUTPUTS)


async def test_a_released_door_is_pulled_opens_and_closes_by_itself(virtual) -> None:
    door, device = make_door(virtual)
    assert (device.level("contact"), device.level("rex"), device.level("tamper")) == (0, 1, 1)
    door.wait_to_pass()
    await virtual.pass_ms(500)
    assert not door.open
    door.board.write("relay", 1)
    await virtual.pass_ms(1000)
    assert door.open
    assert device.level("contact") == 1
    await virtual.pass_ms(2500)
    assert not door.open
    assert device.level("contact") == 0
    assert virtual.kinds() == ["lock.released", "door.opened", "door.closed"]
    assert virtual.when("door.closed") - virtual.when("door.opened") == 2000


async def test_nobody_pulls_a_released_door_with_nobody_there(virtual) -> None:
    door, _ = make_door(virtual)
    door.board.write("relay", 1)
    await virtual.pass_ms(20_000)
    assert virtual.kinds() == ["lock.released"]


async def test_who_pulls_too_late_finds_the_door_locked(virtual) -> None:
    door, _ = make_door(virtual)
    door.wait_to_pass()
    door.board.write("relay", 1)
    await virtual.pass_ms(100)
    door.board.write("relay", 0)
    await virtual.pass_ms(5000)
    assert virtual.kinds() == ["lock.released", "lock.locked", "door.held-fast"]


async def test_who_is_not_let_in_leaves(virtual) -> None:
    door, _ = make_door(virtual)
    door.wait_to_pass()
    await virtual.pass_ms(PATIENCE_MS)
    assert virtual.kinds() == ["person.gave-up"]
    door.wait_to_pass()
    door.board.on_indicator("led", "red")
    assert not door.somebody_waits


async def test_a_forced_door_opens_although_it_is_locked(virtual) -> None:
    door, device = make_door(virtual)
    assert door.force()
    assert not door.force()
    assert device.level("contact") == 1
    assert virtual.facts[0]["forced"] is True
    await virtual.pass_ms(3000)
    assert virtual.kinds() == ["door.opened", "door.closed"]


async def test_the_rex_button_is_pressed_and_let_go(virtual) -> None:
    door, device = make_door(virtual)
    door.press_rex()
    await virtual.pass_ms(50)
    assert device.level("rex") == 0
    await virtual.pass_ms(REX_PRESS_MS)
    assert device.level("rex") == 1
    assert door.somebody_waits


async def test_a_node_without_power_lets_go_of_the_lock(virtual) -> None:
    door, _ = make_door(virtual)
    door.board.write("relay", 1)
    door.board.on_indicator("led", "green")
    door.board.unplug()
    assert (door.released, door.led) == (False, "off")


# --- a barrier ----------------------------------------------------------------------------------------------------


def make_barrier(virtual, travel_s: float = 2.0) -> tuple[Barrier, Plugged, Board]:
    b = board(virtual, ("22", "23", "24"), ("17", "27"))
    barrier = Barrier("gate", b, PINS, virtual.timeline, virtual.record, travel_s=travel_s)
    return barrier, Plugged(b, ("22", "23", "24"), ("17", "27")), b


async def test_a_pulse_raises_the_arm_all_the_way_in_its_travel_time(virtual) -> None:
    barrier, device, b = make_barrier(virtual)
    assert (device.level("22"), device.level("23"), device.level("24")) == (1, 0, 0)  # down, and the loop is free
    b.write("17", 1)
    await virtual.pass_ms(500)
    b.write("17", 0)
    assert (barrier.arm, device.level("23")) == ("raising", 1)
    assert barrier.position == pytest.approx(0.25)
    await virtual.pass_ms(1499)
    assert not barrier.is_up
    await virtual.pass_ms(30)
    assert (barrier.arm, barrier.is_up, device.level("22")) == ("raised", True, 0)
    assert virtual.when("arm.raised") == 2000


async def test_the_arm_comes_down_only_while_lower_is_held(virtual) -> None:
    barrier, device, b = make_barrier(virtual)
    b.write("17", 1)
    await virtual.pass_ms(3000)
    b.write("17", 0)
    b.write("27", 1)
    await virtual.pass_ms(1000)
    b.write("27", 0)
    await virtual.pass_ms(5000)
    assert barrier.position == pytest.approx(0.5)
    assert (barrier.arm, device.level("22"), device.level("23")) == ("lowering", 1, 1)
    b.write("27", 1)
    await virtual.pass_ms(1020)
    assert (barrier.arm, device.level("23")) == ("lowered", 0)
    assert virtual.kinds() == ["arm.left-down", "arm.raised", "arm.left-up", "arm.stopped", "arm.lowered"]


async def test_raise_wins_over_a_falling_arm(virtual) -> None:
    barrier, _, b = make_barrier(virtual)
    b.write("17", 1)
    await virtual.pass_ms(2000)
    b.write("17", 0)
    b.write("27", 1)
    await virtual.pass_ms(1500)
    b.write("17", 1)
    assert barrier.arm == "raising"
    b.write("27", 0)
    await virtual.pass_ms(1500)
    assert barrier.arm == "raised"


async def test_a_gateway_that_dies_stops_the_falling_arm(virtual) -> None:
    barrier, _, b = make_barrier(virtual)
    b.write("17", 1)
    await virtual.pass_ms(2000)
    b.write("27", 1)
    await virtual.pass_ms(1000)
    b.unplug()
    await virtual.pass_ms(5000)
    assert barrier.position == pytest.approx(0.5)


async def test_a_dropped_arm_strikes_a_car_below_it_and_only_then(virtual) -> None:
    barrier, device, b = make_barrier(virtual)
    barrier.set_loop(True)
    assert device.level("24") == 1
    for under_arm in (False, True):
        barrier.under_arm = under_arm
        b.write("17", 1)
        await virtual.pass_ms(2100)
        b.write("17", 0)
        b.write("27", 1)
        await virtual.pass_ms(2100)
        b.write("27", 0)
        assert ("arm.struck" in virtual.kinds()) is under_arm
