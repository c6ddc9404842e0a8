"""A turnstile lets one person through for one grant; a lift enables the granted floors, and rests in a fire."""

from __future__ import annotations

import asyncio

import pytest

from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control import lock
from gateway.control.lift import LiftControl, LiftSettings
from gateway.control.turnstile import TurnstileControl, TurnstileSettings
from gateway.errors import DriverError, OperationRefusedError
from gateway.model import CardRead, CredentialKind, InputChanged, PortalMode, PulseOutput, RestOutput, Signal
from gateway.portal.turnstile import MAX_WAITING

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


def into_a_zone(passback: str) -> Policy:
    """Two turnstiles side by side lead into the yard; both ways at the first."""
    arms = PortalPolicy("arms", (CARD,), exit_points=frozenset({"inner"}), enters_zone="yard")
    return compile_policy(
        1,
        POLICY.holders.values(),
        POLICY.credentials.values(),
        [Rule("second", frozenset({"arms", "beside"}), ALWAYS)],
        [arms, PortalPolicy("beside", (CARD,), enters_zone="yard")],
        zones=[Zone("yard", passback, 60)],
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
    assert site.commands == [PulseOutput("enable-in", 6_000), Signal("granted")]
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


@pytest.mark.parametrize("passback", ["hard", "timed", "soft", "off"])
async def test_a_card_that_is_handed_back_before_the_passage_opens_no_second_one(site, running, settle, passback):
    site.judge.in_force.replace(into_a_zone(passback))
    control = running(arms(site))
    beside = running(TurnstileControl(TurnstileSettings("beside", "next", {}, 6_000, 15_000), site.judge, site))
    control.observe(card(1))
    control.observe(card(1))
    await settle()
    beside.observe(card(1, "next"))
    await settle()
    refused = passback in ("hard", "timed")
    second = "anti-passback" if refused else "permitted"
    assert [data.reason for data in site.recorded if hasattr(data, "reason")] == ["permitted", second, second]
    assert site.facts.count("PassbackViolated") == (2 if passback == "soft" else 0)
    control.observe(InputChanged("outer", "turned-in", True))
    await settle()
    assert control.state == ("blocked" if refused else "entering")


async def test_whoever_did_not_pass_may_ask_again_and_leaving_ends_it_too(site, running, settle):
    site.judge.in_force.replace(into_a_zone("hard"))
    control = running(arms(site))
    control.observe(card(1))
    await settle()
    site.clock.ms += 6_000
    control.loop.nudge()
    await asyncio.sleep(0.01)  # one turn of the real loop, so that its time-out of 0 s fires
    await settle()
    control.observe(card(1))
    await settle()
    control.observe(InputChanged("outer", "turned-in", True))
    control.observe(card(1, "inner"))
    await settle()
    assert [data.reason for data in site.recorded if hasattr(data, "reason")] == ["permitted"] * 3


async def test_an_operators_passage_is_nobody_elses(site, running, settle):
    site.judge.in_force.replace(into_a_zone("hard"))
    control = running(arms(site))
    await control.override("desk")
    control.observe(card(1))
    await settle()
    control.observe(InputChanged("outer", "turned-in", True))
    await settle()
    assert not site.judge.conditions.presence.zones
    control.observe(InputChanged("outer", "turned-in", True))
    await settle()
    assert set(site.judge.conditions.presence.zones) == {"lin"}


async def test_who_finds_no_room_in_the_line_is_told_to_wait_and_nothing_is_counted(site, running, settle):
    control = running(arms(site))
    for _ in range(1 + MAX_WAITING):
        control.observe(card(1))
    await settle()
    site.happened.clear()
    control.observe(card(1))
    await settle()
    assert site.happened == [("command", Signal("waiting"))]
    with pytest.raises(OperationRefusedError, match="wait to come in"):
        await control.override("desk")
    control.observe(card(1, "inner"))  # leaving has room of its own
    await settle()
    assert site.facts == ["AccessGranted"]


async def test_a_lockdown_ends_the_line_of_those_who_come_in(site, running, settle):
    control = running(arms(site))
    for device in ("outer", "outer", "inner"):
        control.observe(card(1, device))
    await settle()
    site.judge.conditions.set_mode("arms", PortalMode.LOCKDOWN)
    control.mode_changed()
    control.observe(InputChanged("outer", "turned-in", True))
    await settle()
    assert control.state == "leaving"
    assert len(site.judge.conditions.due["arms"]) == 1


async def test_the_end_of_being_free_ends_no_passage_that_was_granted_after_it(site, running, settle, monkeypatch):
    monkeypatch.setattr(lock, "AGAIN_S", 0.01)
    control = running(arms(site))
    site.judge.conditions.set_fire("arms", True)
    control.mode_changed()
    await settle()
    send, refused = site.send, []

    async def refuses_rest(device, commands):
        if any(isinstance(command, RestOutput) for command in commands) and len(refused) < 2:
            refused.append(commands)
            raise DriverError("busy")
        await send(device, commands)

    site.send = refuses_rest
    site.judge.conditions.set_fire("arms", False)
    control.mode_changed()
    await settle()
    assert len(refused) == 2  # both directions are to be tried again
    control.observe(card(1))
    await settle()
    async with asyncio.timeout(5):
        while RestOutput("enable-out") not in site.commands:
            await asyncio.sleep(0.01)
    assert control.state == "entering"
    assert RestOutput("enable-in") not in site.commands


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


async def test_in_a_fire_nobody_in_the_car_is_told_that_they_are_denied(site, running, settle):
    control = running(car(site))
    site.judge.conditions.set_fire("car", True)
    control.mode_changed()
    control.observe(card(2))  # no floor is theirs
    control.observe(card(3))  # unknown
    await settle()
    assert [data.reason for data in site.recorded] == ["fire", "fire"]
    assert Signal("denied") not in site.commands
    assert not [c for c in site.commands if isinstance(c, PulseOutput)]


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
