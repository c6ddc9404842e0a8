"""While the disk is broken nobody is kept in; while it is slow, what was asked later holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.fire import FireControl
from gateway.control.lift import LiftControl, LiftSettings
from gateway.control.site import Site
from gateway.control.turnstile import TurnstileControl, TurnstileSettings
from gateway.errors import OperationRefusedError
from gateway.model import CardRead, CredentialKind, InputChanged, PortalMode, PulseOutput, Signal
from gateway.portal.door import DoorTimes

CARD = frozenset({CredentialKind.CARD})
EXIT = frozenset({"inner"})
POLICY = compile_policy(
    1,
    [Holder("lin", frozenset({"all"}), {})],
    [Credential(CredentialKind.CARD, "26:1", "lin")],
    [Rule("all", frozenset({"door", "arms", "car", "f1"}), ALWAYS)],
    [PortalPolicy(name, (CARD,), exit_points=EXIT, high_security=True) for name in ("door", "arms", "car", "f1")],
)
TIMES = DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
KINDS = ("door", "arms", "car")


def card(device: str) -> CardRead:
    return CardRead(device, 26, (1 << 6).to_bytes(4, "big"))


def build(site, kind: str, reader: str):
    match kind:
        case "arms":
            return TurnstileControl(TurnstileSettings(kind, reader, {}, 6_000, 15_000, "inner"), site.judge, site)
        case "car":
            return LiftControl(LiftSettings(kind, reader, {}, {"f1": "floor-1"}, 8_000, 15_000), site.judge, site)
    control = DoorControl(DoorSettings(kind, reader, {}, TIMES, 15_000, ("inner",)), site.judge, site)
    control.observe(InputChanged(reader, "contact", False))
    return control


@pytest.fixture
async def at(site):
    """`at(kind, reader)`: a running portal, and the control of a site that has it."""
    site.judge.in_force.replace(POLICY)
    tasks = []

    def start(kind: str, reader: str = "outer"):
        control = build(site, kind, reader)
        whole = Site(site.judge, {kind: control}, FireControl(site.judge, site, site, "gate-1", {}, {}))
        tasks.append(asyncio.create_task(control.run()))
        return control, whole

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def opened(site) -> bool:
    return any(isinstance(command, PulseOutput) for command in site.commands)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broken_disk_keeps_nobody_in_where_it_lets_nobody_in(site, at, settle, kind):
    control, _ = at(kind)
    site.disk_full = True
    control.observe(card("outer"))
    await settle()
    assert not opened(site)
    inner, _ = at(kind, "inner") if kind == "car" else (control, None)  # a lift has one reader: it stands for inside
    inner.observe(card("inner"))
    await settle()
    assert opened(site)
    assert [entry.data.reason for entry in site.late][-1] == "permitted"


async def test_a_floor_of_high_security_asks_for_a_record_although_the_car_does_not(site, at, settle):
    control, _ = at("car")
    car = replace(POLICY.portals["car"], high_security=False)
    site.judge.in_force.replace(replace(POLICY, portals={**POLICY.portals, "car": car}))
    site.disk_full = True
    control.observe(card("outer"))
    await settle()
    assert not opened(site)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lockdown_overtakes_a_grant_whose_record_is_on_its_way(site, at, settle, kind):
    control, whole = at(kind)
    site.disk_answers = asyncio.Event()
    control.observe(card("outer"))
    await settle()
    begun = asyncio.create_task(whole.begin_lockdown("desk"))
    await settle()
    site.disk_answers.set()
    await begun
    await settle()
    assert not opened(site)
    assert site.commands[-1] == Signal("denied")
    assert [data.reason for data in site.recorded if hasattr(data, "reason")] == ["permitted", "lockdown"]


async def test_a_lockdown_overtakes_who_came_while_the_door_was_unlocked(site, at, settle):
    control, whole = at("door")
    await whole.set_mode("door", PortalMode.UNLOCKED, "desk")
    await settle()
    site.disk_answers = asyncio.Event()
    control.observe(card("outer"))
    await settle()
    begun = asyncio.create_task(whole.begin_lockdown("desk"))
    await settle()
    site.disk_answers.set()
    await begun
    await settle()
    assert PulseOutput("lock", 5_000) not in site.commands
    assert site.commands[-1] == Signal("denied")


@pytest.mark.parametrize("kind", ["door", "arms"])
async def test_a_lockdown_overtakes_nobody_who_leaves(site, at, settle, kind):
    control, whole = at(kind)
    site.disk_answers = asyncio.Event()
    control.observe(card("inner"))
    await settle()
    begun = asyncio.create_task(whole.begin_lockdown("desk"))
    await settle()
    site.disk_answers.set()
    await begun
    await settle()
    assert opened(site)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lockdown_overtakes_an_operators_opening_of_before(site, at, settle, kind):
    control, whole = at(kind)
    site.disk_answers = asyncio.Event()
    opening = asyncio.create_task(control.override("desk"))
    await settle()
    begun = asyncio.create_task(whole.begin_lockdown("guard"))
    await settle()
    site.disk_answers.set()
    await begun
    with pytest.raises(OperationRefusedError, match="lockdown"):
        await opening
    assert not opened(site)
    assert not site.judge.conditions.open_portals


@pytest.mark.parametrize("later", ["lockdown", "lock"])
@pytest.mark.parametrize("mode", [PortalMode.UNLOCKED, PortalMode.EMERGENCY_OPEN])
async def test_what_was_asked_later_holds_although_the_disk_answers_late(site, at, settle, mode, later):
    _, whole = at("door")
    site.disk_answers = asyncio.Event()
    opening = asyncio.create_task(whole.set_mode("door", mode, "desk"))
    await settle()
    shutting = asyncio.create_task(
        whole.begin_lockdown("guard") if later == "lockdown" else whole.set_mode("door", PortalMode.LOCKED, "guard")
    )
    await settle()
    site.disk_answers.set()
    await shutting
    with pytest.raises(OperationRefusedError, match="told something else meanwhile"):
        await opening
    await settle()
    wanted = PortalMode.LOCKDOWN if later == "lockdown" else PortalMode.LOCKED
    assert site.judge.conditions.mode("door") is wanted
    assert not opened(site)
