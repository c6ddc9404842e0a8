"""A turnstile lets one person through for one grant; a lift enables the granted floors, and rests in a fire."""

from __future__ import annotations

import asyncio

import pytest

from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.lift import LiftControl, LiftSettings
from gateway.control.turnstile import TurnstileControl, TurnstileSettings
from gateway.model import CardRead, CredentialKind, InputChanged, PortalMode, PulseOutput, RestOutput, Signal

CARD = frozenset({CredentialKind.CARD})
FLOORS = {"f1": "floor-1", "f2": "floor-2", "f9": "floor-9"}
POLICY = compile_policy(
    1,
    [Holder("lin", frozenset({"second"}), {}), Holder("guest", frozenset({"none"}), {})],
    [Credential(CredentialKind.CARD, "26:1", "lin"), Credential(CredentialKind.CARD, "26:2", "guest")],
    [
        Rule("second", frozenset({"arms", "car", "f1", "f2"}), ALWAYS),
        Rule("none", frozenset({"car"}), ALWAYS),
    ],
    [PortalPolicy(name, (CARD,)) for name in ("car", *FLOORS)]
    + [PortalPolicy("arms", (CARD,), exit_points=frozenset({"inner"}))],
)


def card(number: int, device: str = "outer") -> CardRead:
    return CardRead(device, 26, (number << 6).to_bytes(4, "big"))


@pytest.fixture
async def running(site):
    site.judge.in_force.replace(POLICY)
    tasks = []

    def start(control):
        tasks.append(asyncio.create_task(control.run()))
        return control

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def arms(site) -> TurnstileControl:
    return TurnstileControl(TurnstileSettings("arms", "outer", {}, 6_000, 15_000, "inner"), site.judge, site)


def car(site) -> LiftControl:
    return LiftControl(LiftSettings("car", "outer", {}, FLOORS, 8_000, 15_000), site.judge, site)


async def test_one_passage_for_one_grant(site, running, settle):
    control = running(arms(site))
    control.observe(card(1))
    await settle()
    assert site.facts == ["AccessGranted"]
    assert site.commands == [Signal("granted"), PulseOutput("enable-in", 6_000)]
    control.observe(InputChanged("outer", "turned-in", True))
    await settle()
    assert (control.state, site.commands[-1]) == ("blocked", RestOutput("enable-in"))
    control.observe(InputChanged("outer", "turned-in", True))  # a second one behind the first
    await settle()
    assert site.facts == ["AccessGranted", "PortalOpened", "PortalForced"]


async def test_two_in_line_pass_one_after_the_other_and_out_goes_the_other_way(site, running, settle):
    control = running(arms(site))
    control.observe(card(1))
    control.observe(card(1, "inner"))
    await settle()
    assert control.state == "entering"
    control.observe(InputChanged("outer", "turned-in", True))
    await settle()
    assert control.state == "leaving"
    assert site.commands[-1] == PulseOutput("enable-out", 6_000)
    control.observe(InputChanged("outer", "turned-out", True))
    await settle()
    assert control.state == "blocked"
    assert site.facts.count("PortalOpened") == 2


async def test_a_stranger_stays_out_and_an_operator_lets_one_in(site, running, settle):
    control = running(arms(site))
    control.observe(card(2))
    await settle()
    assert (site.facts, site.commands) == (["AccessDenied"], [Signal("denied")])
    await control.override("desk")
    await settle()
    assert PulseOutput("enable-in", 6_000) in site.commands


async def test_fire_frees_both_directions(site, running, settle):
    control = running(arms(site))
    site.judge.conditions.set_fire("arms", True)
    control.mode_changed()
    await settle()
    assert control.state == "free"
    assert {c.output for c in site.commands if isinstance(c, PulseOutput)} == {"enable-in", "enable-out"}
    control.observe(InputChanged("outer", "turned-out", True))
    await settle()
    assert site.facts == ["PortalOpened"]
    site.judge.conditions.set_fire("arms", False)
    control.mode_changed()
    await settle()
    assert control.state == "blocked"


async def test_granted_floors_are_enabled_and_rest_again(site, running, settle):
    control = running(car(site))
    control.observe(card(1))
    await settle()
    assert control.state == "selectable"
    assert {c.output for c in site.commands if isinstance(c, PulseOutput)} == {"floor-1", "floor-2"}
    site.clock.ms += 8_000
    control.loop.nudge()
    control.observe(card(2))  # may call the car, but no floor is theirs
    await settle()
    assert [data.reason for data in site.recorded] == ["permitted", "no-rule"]


async def test_in_a_fire_no_floor_output_is_driven(site, running, settle):
    control = running(car(site))
    control.observe(card(1))
    await settle()
    site.judge.conditions.set_fire("car", True)
    control.mode_changed()
    await settle()
    assert control.in_default
    assert {c.output for c in site.commands if isinstance(c, RestOutput)} == {"floor-1", "floor-2"}
    driven = len([c for c in site.commands if isinstance(c, PulseOutput)])
    control.observe(card(1))
    await settle()
    assert len([c for c in site.commands if isinstance(c, PulseOutput)]) == driven


async def test_emergency_open_enables_every_floor_and_a_lockdown_none(site, running, settle):
    control = running(car(site))
    site.judge.conditions.set_mode("car", PortalMode.EMERGENCY_OPEN)
    control.mode_changed()
    await settle()
    assert {c.output for c in site.commands if isinstance(c, PulseOutput)} == set(FLOORS.values())
    site.judge.conditions.set_mode("car", PortalMode.LOCKDOWN)
    control.mode_changed()
    control.observe(card(1))
    await settle()
    assert [data.reason for data in site.recorded] == ["lockdown"]
