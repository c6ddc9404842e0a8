"""The panel's rules for one device against the node's own session, over a bad line, in virtual time."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node.display import DoorWithDisplay
from firmware.node.door import DoorNode
from firmware.node.journal import Journal
from firmware.node.offline import Offline
from firmware.node.peripheral import Peripheral
from firmware.wire import codes, frame
from firmware.wire.replies import Identity
from gateway.drivers.aes import aes
from gateway.drivers.osdp.device import LOST_AFTER_S, Device, OsdpDevice
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.requests import requests_for
from gateway.errors import DriverError
from gateway.model import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    FireRelease,
    InputChanged,
    Observation,
    PowerChanged,
    PulseOutput,
    Shine,
    ShowText,
    Signal,
)

KEY = bytes(range(16))
INPUTS = {0: "contact", 1: "rex"}
OUTPUTS = {"lock": 0}
WITH_FIRE = {"inputs": {**INPUTS, 2: "fire", 3: "fire-latched"}, "outputs": {**OUTPUTS, "fire": 1}}
TIMEOUT_S = 0.06
EXCHANGE_S = 0.008


class Line:
    """A device and a node joined by a line that drops or damages frames; time passes only here."""

    def __init__(
        self,
        seed: int = 0,
        damage: float = 0.0,
        key: bytes = KEY,
        node: Callable[[], DoorNode] = DoorNode,
        inputs: dict[int, str] | None = None,
        outputs: dict[str, int] | None = None,
    ) -> None:
        self.device = Device(OsdpDevice("r0", 5, KEY, inputs or INPUTS, outputs or OUTPUTS), secrets.token_bytes, 0.01)
        self.key = key
        self.node = node
        self.damage = damage
        self.now_s = 0.0
        self.seen: list[Observation] = []
        self.powered = True
        self.random = random.Random(seed)
        self.power_on()

    def power_on(self) -> None:
        self.door = self.node()
        identity = Identity(b"\x02\x5a\x41", 1, 1, 1001, (0, 1, 0))
        self.pd = Peripheral(5, self.key, aes, secrets.token_bytes, identity, self.door)
        self.powered = True

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def carried(self, raw: bytes) -> list[frame.Frame]:
        """What of a frame arrives."""
        raw = bytearray(raw)
        if self.random.random() < self.damage:
            bit = self.random.randrange(8 * len(raw))
            raw[bit // 8] ^= 1 << bit % 8
        return frame.FrameParser().feed(bytes(raw))

    def turn(self) -> None:
        """One turn on the bus, then the pause the device asks for."""
        sent = self.device.frame(self.now_s)
        reply = None
        for command in self.carried(sent) if self.powered else []:
            answer = self.pd.receive(command, self.now_ms)
            for got in self.carried(answer) if answer else []:
                reply = reply or self.device.accept(got)
        if reply is None:
            self.now_s += TIMEOUT_S
            self.seen += self.device.silent(self.now_s)
        else:
            self.now_s += EXCHANGE_S
            self.seen += self.device.replied(reply, self.now_s)
        if not self.device.wants_now():
            self.now_s = max(self.now_s, self.device.due_s)
        self.door.tick(self.now_ms)

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.turn()

    def of(self, kind: type) -> list[Observation]:
        return [o for o in self.seen if isinstance(o, kind)]


def card(n: int) -> bytes:
    return (n << 6).to_bytes(4, "big")


def online(line: Line) -> Line:
    line.run(1)
    assert line.device.online
    return line


def test_a_device_comes_online_once_and_tells_its_inputs_once() -> None:
    line = online(Line())
    line.run(5)
    assert line.seen == [
        DeviceOnline("r0", True, "vendor 025a41 model 1 serial 1001 firmware 0.1.0"),
        InputChanged("r0", "contact", False),
        InputChanged("r0", "rex", False),
        InputChanged("r0", "tamper", False),
        PowerChanged("r0", on_battery=False),
    ]


@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.05, 0.15, 0.3]))
@settings(max_examples=400 if os.environ.get("ZHIAN_FULL") else 15, deadline=None)
def test_every_card_arrives_exactly_once_over_a_bad_line(seed: int, damage: float) -> None:
    line = online(Line())
    line.random.seed(seed)
    line.damage = damage
    for n in range(30):
        line.door.card(26, card(n), line.now_ms)
        line.run(0.3)
    line.damage = 0.0
    line.run(10)
    cards = [o.data for o in line.of(CardRead)]  # type: ignore[attr-defined]
    assert len(cards) == len(set(cards)), "told twice"
    # Beyond one damaged frame in six, a card may grow too old to be told; it is counted then, never late.
    lost = line.door.events.expired + line.door.events.dropped
    assert cards == sorted(cards)
    assert len(cards) >= 30 - lost
    if damage <= 0.05:
        assert len(cards) == 30
        assert line.of(DeviceOffline) == []


def test_a_card_told_in_a_session_that_then_broke_is_not_told_again() -> None:
    line = online(Line())
    line.door.card(26, card(7), line.now_ms)
    while not line.of(CardRead):
        line.turn()
    line.seen += line.device.lose("timeout", line.now_s)  # the node cannot know that its card arrived
    line.run(3)
    assert len(line.of(CardRead)) == 1
    line.door.card(26, card(7), line.now_ms)
    line.run(1)
    assert len(line.of(CardRead)) == 2, "the same card, presented again, is another event"


def test_a_dead_device_is_reported_once_and_so_is_its_return() -> None:
    line = online(Line())
    line.powered = False
    start_s = line.now_s
    line.run(30)
    assert [o.cause for o in line.of(DeviceOffline)] == ["timeout"]  # type: ignore[attr-defined]
    assert line.now_s - start_s >= LOST_AFTER_S
    line.power_on()
    line.door.level("contact", 1, line.now_ms)
    line.run(4)
    assert len(line.of(DeviceOnline)) == 2
    assert len(line.of(DeviceOffline)) == 1
    assert [o for o in line.of(InputChanged) if o.name == "contact"] == [  # type: ignore[attr-defined]
        InputChanged("r0", "contact", False),
        InputChanged("r0", "contact", True),
    ]


def test_a_device_that_restarts_quickly_is_taken_up_without_being_reported() -> None:
    line = online(Line())
    line.power_on()
    line.run(2)
    line.door.card(26, card(1), line.now_ms)
    line.run(1)
    assert (len(line.of(DeviceOnline)), len(line.of(DeviceOffline)), len(line.of(CardRead))) == (1, 0, 1)


def test_a_device_that_keeps_losing_its_session_is_reported() -> None:
    line = online(Line())
    for _ in range(10):
        line.power_on()
        line.run(0.4)
    assert line.of(DeviceOffline) == [], "a device that drops its session at damage is still a device"
    for _ in range(10):
        line.power_on()
        line.run(0.4)
    assert [o.cause for o in line.of(DeviceOffline)] == ["protocol"]  # type: ignore[attr-defined]


def test_a_device_with_another_key_is_reported_as_such() -> None:
    line = Line(key=bytes(16))
    line.run(30)
    assert line.seen == [DeviceOffline("r0", "bad-key")]


def test_a_device_that_never_appears_is_reported_after_a_grace() -> None:
    line = Line()
    line.powered = False
    line.run(2)
    assert line.seen == []
    line.run(10)
    assert line.seen == [DeviceOffline("r0", "timeout")]


def test_an_absent_device_costs_ever_fewer_turns() -> None:
    line = Line()
    line.powered = False
    turns = 0
    while line.now_s < 60:
        line.turn()
        turns += 1
    assert turns <= 80, "it takes below a tenth of the line, and is back within a second"


def fire_node() -> DoorNode:
    door = DoorNode(fire_loop=True)
    door.level("fire", 0, 0)
    return door


def of_fire(line: Line) -> list[tuple[str, bool]]:
    return [(o.name, o.active) for o in line.of(InputChanged) if o.name.startswith("fire")]  # type: ignore[attr-defined]


def alarm(line: Line, at_ms: int, for_ms: int) -> None:
    """The panel's contact opens and closes again while nobody turns the line."""
    for level, now_ms in ((1, at_ms), (0, at_ms + for_ms)):
        line.door.level("fire", level, now_ms)
        line.door.tick(now_ms + 100)


@pytest.mark.parametrize("away_s", [3.0, 12.0])
def test_a_fire_that_was_over_before_the_bus_came_back_is_not_told_as_one(away_s: float) -> None:
    line = online(Line(node=fire_node, **WITH_FIRE))
    line.powered = False  # the bus is cut; the node lives on
    alarm(line, line.now_ms + 100, 500)
    line.run(away_s)
    assert line.device.online is False
    line.seen.clear()
    line.powered = True
    line.run(15)
    assert line.device.online
    assert of_fire(line) == [("fire", False), ("fire-latched", True)], "how it is, each once"


def test_a_fire_that_begins_while_the_bus_is_cut_is_told_when_it_is_back() -> None:
    line = online(Line(node=fire_node, **WITH_FIRE))
    line.powered = False
    line.door.level("fire", 1, line.now_ms)
    line.run(3)
    line.seen.clear()
    line.powered = True
    line.run(5)
    assert of_fire(line) == [("fire", True), ("fire-latched", True)]


def test_a_fire_within_a_session_is_told_in_full_however_short() -> None:
    line = online(Line(node=fire_node, **WITH_FIRE))
    line.seen.clear()
    alarm(line, line.now_ms, 150)
    line.run(1)
    assert of_fire(line) == [("fire", True), ("fire-latched", True), ("fire", False)]


async def test_a_node_that_forgot_its_release_by_a_quick_restart_says_so() -> None:
    line = online(Line(node=fire_node, **WITH_FIRE))
    order = Order(requests_for([FireRelease(True)], "r0", WITH_FIRE["outputs"]), line.now_s)
    line.device.give(order)
    while not order.over:
        line.turn()
    line.power_on()  # before it has told that it is latched; its board could not keep it
    line.seen.clear()
    line.run(2)
    assert line.of(DeviceOffline) == []
    assert of_fire(line) == [("fire", False), ("fire-latched", False)]


def test_a_device_without_mains_says_so_once_each_way() -> None:
    line = online(Line(node=lambda: DoorNode(mains_contact=True)))
    line.door.level("mains", 0, line.now_ms)
    line.run(2)
    line.seen.clear()
    for level in (1, 0):
        line.door.level("mains", level, line.now_ms)
        line.run(3)
    assert line.seen == [PowerChanged("r0", on_battery=True), PowerChanged("r0", on_battery=False)]


async def test_commands_are_acknowledged_in_order() -> None:
    line = online(Line())
    order = Order(requests_for([PulseOutput("lock", 3000), Signal("denied")], "r0", OUTPUTS), line.now_s)
    line.device.orders.append(order)
    turns = 0
    while not order.over:
        line.turn()
        turns += 1
    order.done.result()
    assert turns == 3, "nothing comes between a command's requests"
    assert line.door.effects() == [("relay", 1), ("led", codes.RED), ("buzzer", 3)]


def display_node() -> DoorWithDisplay:
    return DoorWithDisplay(Offline(bytes(range(16)), None, Journal([], 7), 0))


async def test_a_display_shows_a_text_and_the_light_shines_for_so_long() -> None:
    line = online(Line(node=display_node))
    commands = [ShowText("Nod / dian tou", 3, 1), Shine(500), Shine(0)]
    order = Order(requests_for(commands, "r0", OUTPUTS), line.now_s)
    line.device.orders.append(order)
    while not order.over:
        line.turn()
    order.done.result()
    shown = [effect for effect in line.door.effects() if effect[0] in ("text", "led", "buzzer")]
    assert shown == [("text", b"Nod / dian tou"), ("buzzer", 1), ("led", codes.AMBER), ("led", codes.BLACK)]
    line.run(4)
    assert ("text", b"") in line.door.effects()  # by itself, whatever becomes of the panel


async def test_a_text_for_a_node_without_a_display_is_refused() -> None:
    line = online(Line())
    order = Order(requests_for([ShowText("Nod", 3)], "r0", OUTPUTS), line.now_s)
    line.device.orders.append(order)
    while not order.over:
        line.turn()
    with pytest.raises(DriverError, match="refused a command"):
        order.done.result()


@pytest.mark.parametrize(
    "command", [ShowText("", 1), ShowText("x" * 33, 1), ShowText("左", 1), Shine(-100), Shine(10**8)]
)
def test_what_a_reader_cannot_show_is_one_sentence(command: ShowText | Shine) -> None:
    with pytest.raises(DriverError, match="expected a"):
        requests_for([command], "r0", OUTPUTS)


async def test_a_refused_command_fails_and_the_rest_of_it_is_not_sent() -> None:
    line = online(Line())
    order = Order(requests_for([PulseOutput("lock", 6_000_000), Signal("granted")], "r0", OUTPUTS), line.now_s)
    line.device.orders.append(order)
    line.run(1)
    with pytest.raises(DriverError, match="refused a command"):
        order.done.result()
    assert line.door.effects() == []
    assert line.device.online


async def test_a_command_that_meets_a_dead_device_fails_and_is_not_done_later() -> None:
    line = online(Line())
    line.powered = False
    line.turn()
    order = Order(requests_for([PulseOutput("lock", 3000)], "r0", OUTPUTS), line.now_s)
    line.device.orders.append(order)
    line.run(1.8)
    with pytest.raises(DriverError, match="is offline"):
        order.done.result()
    line.power_on()
    line.run(5)
    assert line.device.online
    assert line.door.effects() == []


async def test_a_command_that_waited_too_long_is_not_done_any_more() -> None:
    line = online(Line())
    many = Order(requests_for([Signal("waiting")] * 400, "r0", OUTPUTS), line.now_s)
    late = Order(requests_for([PulseOutput("lock", 3000)], "r0", OUTPUTS), line.now_s)
    line.device.orders.extend([many, late])
    line.run(4)
    for order in (many, late):
        with pytest.raises(DriverError, match="did not acknowledge within 2 s"):
            order.done.result()
    assert ("relay", 1) not in line.door.effects()
    assert line.device.online


async def test_a_command_is_done_once_however_often_it_is_sent() -> None:
    line = online(Line(seed=3))
    line.damage = 0.3
    for n in range(20):
        order = Order(requests_for([Signal("denied")], "r0", OUTPUTS), line.now_s)
        line.device.orders.append(order)
        while not order.over:
            line.turn()
        if order.done.exception() is None:
            assert ("buzzer", 3) in (effects := line.door.effects()), n
            assert effects.count(("buzzer", 3)) == 1


def test_a_forged_plain_reply_is_no_card() -> None:
    line = online(Line())
    sent = frame.decode(line.device.frame(line.now_s).lstrip(b"\xff"))
    forged = frame.encode(5, sent.sequence, codes.RAW, b"\x00\x01\x1a\x00" + card(1), True)
    assert line.device.accept(frame.decode(forged[1:])) is None


def test_busy_means_ask_again() -> None:
    line = online(Line())
    before = line.device.frame(line.now_s)
    busy = frame.encode(5, 0, codes.BUSY, b"", True)
    reply = line.device.accept(frame.decode(busy[1:]))
    assert reply is not None
    assert line.device.replied(reply, line.now_s) == []
    assert line.device.frame(line.now_s) == before
    line.run(1)
    assert line.device.online


@pytest.mark.parametrize(
    "command", [PulseOutput("garage", 100), PulseOutput("lock", 0), PulseOutput("lock", 7_000_000), Signal("party")]
)
def test_a_command_that_cannot_be_expressed_is_refused(command: PulseOutput | Signal) -> None:
    with pytest.raises(DriverError, match="r0"):
        requests_for([command], "r0", OUTPUTS)


def test_a_pulse_is_never_shorter_than_asked() -> None:
    assert requests_for([PulseOutput("lock", 101)], "r0", OUTPUTS)[0].payload == b"\x00\x05\x02\x00"


def test_the_key_is_not_in_a_representation() -> None:
    assert KEY.hex() not in repr(OsdpDevice("r0", 5, KEY, {}, {}))
    assert repr(KEY) not in repr(OsdpDevice("r0", 5, KEY, {}, {}))
