"""A man-trap of any kinds of portals: never two of them open, and nobody is kept in by a portal that nobody sees."""

from __future__ import annotations

import asyncio

import pytest

from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.barrier import BarrierControl, BarrierSettings
from gateway.control.devices import Devices
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.lift import LiftControl, LiftSettings
from gateway.control.turnstile import TurnstileControl, TurnstileSettings
from gateway.errors import OperationRefusedError, StoreError
from gateway.model import (
    CardRead,
    CredentialKind,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    PlateRead,
    PortalMode,
    PulseOutput,
)
from gateway.portal.barrier import BarrierEvent, BarrierTimes
from gateway.portal.door import DoorTimes

ACCEPTS = (frozenset({CredentialKind.CARD}), frozenset({CredentialKind.PLATE}))
INSIDE = frozenset({"door", "arms", "car", "f1", "gate"})  # each in an interlock with the street door
POLICY = compile_policy(
    1,
    [Holder("lin", frozenset({"all"}), {})],
    [Credential(CredentialKind.CARD, "26:1", "lin"), Credential(CredentialKind.PLATE, "京A12345", "lin")],
    [Rule("all", INSIDE | {"street"}, ALWAYS)],
    [PortalPolicy("street", ACCEPTS, interlock=INSIDE, exit_points=frozenset({"hall"}))]
    + [PortalPolicy(name, ACCEPTS, exit_points=frozenset({f"{name}-exit"})) for name in sorted(INSIDE)],
)
TIMES = DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
PLATE = PlateRead("cam", "京A12345", "blue", 0.97, 1_795_400_000_000, "reader-1", "ab" * 32)


class Arm:
    """A barrier's wires, which nobody looks at."""

    async def pulse_raise(self) -> None: ...

    async def hold_lower(self, on: bool) -> None: ...


def card(device: str) -> CardRead:
    return CardRead(device, 26, (1 << 6).to_bytes(4, "big"))


def build(site, kind: str):
    """A portal of `kind` under that name, at the device of that name."""
    judge = site.judge
    match kind:
        case "arms":
            return TurnstileControl(TurnstileSettings(kind, kind, {}, 6_000, 15_000, "arms-exit"), judge, site)
        case "car":
            return LiftControl(LiftSettings(kind, kind, {}, {"f1": "floor-1"}, 8_000, 15_000), judge, site)
        case "gate":
            control = BarrierControl(BarrierSettings(kind, "cam", {}, BarrierTimes(6_000, 1, 20_000)), judge, Arm())
            control.feedback(BarrierEvent.AT_BOTTOM)
            return control
    control = DoorControl(
        DoorSettings(kind, kind, {}, TIMES, 15_000, ("hall",) if kind == "street" else ()), judge, site
    )
    control.observe(InputChanged(kind, "contact", False))
    return control


@pytest.fixture
async def at(site):
    """`at(kind)`: a running portal."""
    site.judge.in_force.replace(POLICY)
    tasks = []

    def start(kind: str):
        control = build(site, kind)
        tasks.append(asyncio.create_task(control.run()))
        return control

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def ask(control, kind: str) -> None:
    if kind == "gate":
        control.plate_read(PLATE)
    else:
        control.observe(card(kind))


def reasons(site) -> list[str]:
    return [data.reason for data in site.recorded if hasattr(data, "reason")]


@pytest.mark.parametrize("kind", ["door", "arms", "car", "gate"])
async def test_it_counts_as_open_from_the_decision_on_and_not_after_a_failure(site, at, settle, kind):
    other, street = at(kind), at("street")
    await settle()
    site.disk_answers = asyncio.Event()  # the first one's record is on its way
    ask(other, kind)
    await settle()
    if kind == "gate":
        other.feedback(BarrierEvent.AT_BOTTOM)  # the arm is down, as it was; the grant stands all the same
    street.observe(card("street"))
    await settle()
    site.disk_answers.set()
    await settle()
    assert sorted(reasons(site)) == ["interlock", "permitted"]
    assert kind in site.judge.conditions.open_portals


@pytest.mark.parametrize("kind", ["door", "arms", "car", "gate"])
async def test_a_grant_that_cannot_be_recorded_leaves_nothing_open(site, at, settle, kind):
    other = at(kind)
    await settle()

    async def broken(_entries, **_more):
        raise StoreError("the disk is full")

    site.record = broken
    ask(other, kind)
    await settle()
    assert not site.judge.conditions.open_portals


@pytest.mark.parametrize("kind", ["door", "arms", "car", "gate"])
async def test_an_operator_cannot_open_it_while_the_other_is_open_but_in_an_emergency(site, at, settle, kind):
    other, street = at(kind), at("street")
    street.observe(card("street"))
    await settle()
    site.happened.clear()
    with pytest.raises(OperationRefusedError, match=r"interlock with street.* close it first"):
        await other.override("desk")
    assert site.happened == []
    site.judge.conditions.set_mode(kind, PortalMode.EMERGENCY_OPEN)
    other.mode_changed()
    await other.override("desk")
    assert site.facts[-1] == "AccessOverridden"


@pytest.mark.parametrize("kind", ["door", "arms", "car", "gate"])
async def test_an_operators_opening_holds_the_other_from_its_beginning(site, at, settle, kind):
    other, street = at(kind), at("street")
    await settle()
    site.disk_answers = asyncio.Event()
    opening = asyncio.create_task(other.override("desk"))
    await settle()
    with pytest.raises(OperationRefusedError, match="interlock"):
        await street.override("desk")
    site.disk_answers.set()
    await opening


async def test_a_door_whose_node_died_open_keeps_nobody_in_and_lets_nobody_in(site, at, settle):
    dead, street = at("door"), at("street")
    devices = Devices(site.judge)
    devices.attach({}, {"door": dead, "street": street, "hall": street})
    for device in ("door", "street"):
        devices.observe(DeviceOnline(device, True))
    dead.observe(card("door"))
    dead.observe(InputChanged("door", "contact", True))
    await settle()
    devices.observe(card("hall"))
    await settle()
    assert reasons(site)[-1] == "interlock"  # it is seen to be open
    devices.observe(DeviceOffline("door", "timeout"))
    devices.observe(card("street"))
    await settle()
    assert reasons(site)[-1] == "interlock"
    devices.observe(card("hall"))
    await settle()
    assert reasons(site)[-1] == "permitted"
    assert PulseOutput("lock", 5_000) in site.commands
    devices.observe(DeviceOnline("door", True))
    assert not site.judge.conditions.unseen_portals
