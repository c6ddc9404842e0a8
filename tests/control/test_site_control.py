"""Modes of portals and the whole site: lockdown, emergency open, unlock schedules, and what a restart keeps."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.access.presence import InZone, Presence, Used
from gateway.access.schedule import Schedule, Span
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.fire import FireControl
from gateway.control.site import Site
from gateway.errors import OperationRefusedError
from gateway.model import CardRead, InputChanged, PortalMode, PulseOutput, RestOutput
from gateway.portal.door import DoorTimes

TIMES = DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
CARD = CardRead("node-lobby", 26, (1 << 6).to_bytes(4, "big"))


class Whole:
    """Two doors and the control of the site."""

    def __init__(self, site) -> None:
        self.site = site
        self.doors = {
            name: DoorControl(DoorSettings(name, f"node-{name}", {}, TIMES, 15_000), site.judge, site)
            for name in ("lobby", "garage")
        }
        for name, door in self.doors.items():
            door.observe(InputChanged(f"node-{name}", "contact", False))
        self.control = Site(site.judge, self.doors, FireControl(site.judge, site, site, "gate-1", {}, {}))

    def mode(self, name: str) -> PortalMode:
        return self.site.judge.conditions.mode(name)


@pytest.fixture
async def whole(site):
    whole = Whole(site)
    tasks = [asyncio.create_task(part.run()) for part in (whole.control, *whole.doors.values())]
    yield whole
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_emergency_open_is_recorded_and_then_keeps_the_lock_released(whole, settle):
    await whole.control.set_mode("lobby", PortalMode.EMERGENCY_OPEN, "desk")
    await settle()
    assert whole.site.facts == ["PortalModeChanged"]
    assert whole.site.happened[0][0] == "record"
    assert [c for c in whole.site.commands if isinstance(c, PulseOutput)] == [PulseOutput("lock", 10_000)]
    assert whole.doors["lobby"].state == "free"
    await whole.control.set_mode("lobby", PortalMode.LOCKED, "desk")
    await settle()
    assert RestOutput("lock") in whole.site.commands
    assert whole.doors["lobby"].state == "released"  # somebody may just have pulled it
    assert "desk" not in repr(whole.site.recorded)


async def test_a_lockdown_is_one_action_and_blocks_nobody_who_leaves(whole, settle):
    await whole.control.begin_lockdown("desk")
    assert whole.control.lockdown
    assert {whole.mode(name) for name in whole.doors} == {PortalMode.LOCKDOWN}
    whole.doors["lobby"].observe(CARD)
    await settle()
    assert [data.reason for data in whole.site.recorded if type(data).__name__ == "AccessDenied"] == ["lockdown"]
    whole.doors["lobby"].observe(InputChanged("node-lobby", "rex", True))
    whole.doors["lobby"].observe(InputChanged("node-lobby", "contact", True))
    await settle()
    assert whole.site.facts[-2:] == ["ExitRequested", "PortalOpened"]
    with pytest.raises(OperationRefusedError, match="already"):
        await whole.control.begin_lockdown("desk")
    await whole.control.end_lockdown("desk")
    assert {whole.mode(name) for name in whole.doors} == {PortalMode.LOCKED}
    assert (whole.site.facts.count("LockdownBegun"), whole.site.facts.count("LockdownEnded")) == (1, 1)
    with pytest.raises(OperationRefusedError, match="not locked down"):
        await whole.control.end_lockdown("desk")


async def test_a_lockdown_ends_an_emergency_opening_but_cuts_nobody_off_who_is_leaving(whole, settle):
    await whole.control.set_mode("lobby", PortalMode.EMERGENCY_OPEN, "desk")
    await settle()
    whole.doors["lobby"].observe(InputChanged("node-lobby", "rex", True))
    await settle()
    await whole.control.begin_lockdown("desk")
    await settle()
    assert whole.mode("lobby") is PortalMode.LOCKDOWN
    assert RestOutput("lock") not in whole.site.commands  # the exit's own time first


async def test_one_portal_can_be_excepted_from_a_lockdown(whole):
    await whole.control.begin_lockdown("desk")
    await whole.control.set_mode("lobby", PortalMode.LOCKED, "desk")
    assert (whole.mode("lobby"), whole.mode("garage")) == (PortalMode.LOCKED, PortalMode.LOCKDOWN)
    again = Whole(whole.site)
    again.control.restore({key: value for key, value in whole.site.kept.items() if value is not None})
    assert again.control.lockdown
    assert (again.mode("lobby"), again.mode("garage")) == (PortalMode.LOCKED, PortalMode.LOCKDOWN)


async def test_a_restart_keeps_what_an_operator_asked_for_but_locks_an_unlocked_door(whole):
    await whole.control.set_mode("lobby", PortalMode.UNLOCKED, "desk")
    await whole.control.set_mode("garage", PortalMode.CARD_AND_PIN, "desk")
    kept = {key: value for key, value in whole.site.kept.items() if value is not None}
    assert kept == {"mode/garage": "card-and-pin"}
    for name in whole.doors:
        whole.site.judge.conditions.set_mode(name, PortalMode.LOCKED)
    again = Whole(whole.site)
    again.control.restore(kept)
    assert (again.mode("lobby"), again.mode("garage")) == (PortalMode.LOCKED, PortalMode.CARD_AND_PIN)


async def test_an_unknown_portal_is_a_sentence(whole):
    with pytest.raises(OperationRefusedError, match="there is no portal 'attic'"):
        await whole.control.set_mode("attic", PortalMode.LOCKED, "desk")


def unlocks_at_noon(site) -> None:
    """Noon of the site's day: the hand clock stands at 2026-11-23 09:33 local time."""
    policy = site.judge.policy
    noon = Schedule("noon", (Span(frozenset(range(7)), 12 * 60, 13 * 60),))
    lobby = replace(policy.portals["lobby"], unlock_schedule="noon")
    schedules = {**policy.schedules, "noon": noon}
    site.judge.in_force.replace(replace(policy, portals={**policy.portals, "lobby": lobby}, schedules=schedules))


async def test_a_schedule_unlocks_and_locks_at_its_edges_once(whole, settle):
    unlocks_at_noon(whole.site)
    local = whole.site.clock.local()
    whole.site.clock.ms += ((12 - local.hour) * 60 - local.minute) * 60_000
    whole.control.look()
    whole.control.look()
    await settle()
    assert (whole.mode("lobby"), whole.doors["lobby"].state) == (PortalMode.UNLOCKED, "free")
    assert whole.site.facts == ["PortalModeChanged"]
    whole.site.clock.ms += 3_600_000
    whole.control.look()
    await settle()
    assert whole.mode("lobby") is PortalMode.LOCKED
    assert whole.site.facts == ["PortalModeChanged"] * 2


async def test_with_an_uncertain_clock_no_door_unlocks_by_schedule(whole, settle):
    unlocks_at_noon(whole.site)
    local = whole.site.clock.local()
    whole.site.clock.ms += ((12 - local.hour) * 60 - local.minute) * 60_000
    whole.site.clock.certain = False
    whole.control.look()
    await settle()
    assert whole.mode("lobby") is PortalMode.LOCKED


def goes_to_noon(whole) -> None:
    unlocks_at_noon(whole.site)
    local = whole.site.clock.local()
    whole.site.clock.ms += ((12 - local.hour) * 60 - local.minute) * 60_000
    whole.control.look()


def kept_of(whole) -> dict[str, str]:
    return {key: value for key, value in whole.site.kept.items() if value is not None}


async def test_a_door_locked_during_its_unlock_schedule_stays_locked_until_the_schedule_opens_again(whole, settle):
    goes_to_noon(whole)
    await whole.control.set_mode("lobby", PortalMode.LOCKED, "desk")
    whole.site.clock.certain = False  # no hours are believed now, which is no edge
    whole.control.look()
    whole.site.clock.certain = True
    whole.control.look()
    stranger = CardRead("node-lobby", 26, (2 << 6).to_bytes(4, "big"))
    whole.doors["lobby"].observe(stranger)
    await settle()
    assert whole.mode("lobby") is PortalMode.LOCKED
    assert [data.reason for data in whole.site.recorded if hasattr(data, "point")] == ["unknown-credential"]
    again = Whole(whole.site)
    whole.site.judge.conditions.set_held("lobby", False)
    again.control.restore(kept_of(whole))
    assert again.mode("lobby") is PortalMode.LOCKED
    whole.site.clock.ms += 3_600_000  # 13:00, it closes
    whole.control.look()
    await settle()
    assert not kept_of(whole)
    whole.site.clock.ms += 23 * 3_600_000
    whole.control.look()
    assert whole.mode("lobby") is PortalMode.UNLOCKED


async def test_after_a_lockdown_the_schedule_holds_again_but_not_where_an_operator_has_locked(whole, settle):
    goes_to_noon(whole)
    await whole.control.begin_lockdown("desk")
    whole.control.look()
    await whole.control.end_lockdown("desk")
    assert whole.mode("lobby") is PortalMode.UNLOCKED
    await whole.control.begin_lockdown("desk")
    await whole.control.set_mode("lobby", PortalMode.LOCKED, "desk")
    await whole.control.end_lockdown("desk")
    await settle()
    assert whole.mode("lobby") is PortalMode.LOCKED
    assert kept_of(whole) == {"mode/lobby": "locked"}


async def test_a_portal_in_an_interlock_does_not_stay_unlocked(whole):
    policy = whole.site.judge.policy
    lobby = replace(policy.portals["lobby"], interlock=frozenset({"garage"}))
    whole.site.judge.in_force.replace(replace(policy, portals={**policy.portals, "lobby": lobby}))
    with pytest.raises(OperationRefusedError, match="cannot stay unlocked"):
        await whole.control.set_mode("lobby", PortalMode.UNLOCKED, "desk")
    assert whole.site.happened == []


async def test_whoever_left_unseen_is_forgotten_by_an_operator_and_the_use_of_a_pass_is_not(whole):
    yard = InZone("yard", 1)
    whole.site.judge.become(Presence({"lin": yard, "wang": yard}, {}, {"pass-1": Used(1)}))
    assert await whole.control.forget_presence("holder", "lin", "desk") == 1
    assert set(whole.site.judge.conditions.presence.zones) == {"wang"}
    assert any(key.startswith("presence/zone/") for key in whole.site.kept)
    with pytest.raises(OperationRefusedError, match="nobody to forget"):
        await whole.control.forget_presence("holder", "lin", "desk")
    assert await whole.control.forget_presence("zone", "yard", "desk") == 1
    assert [(data.what, data.count, data.zone) for data in whole.site.recorded] == [
        ("holder", 1, None),
        ("zone", 1, "yard"),
    ]
    assert "lin" not in repr(whole.site.recorded)
    assert set(whole.site.judge.conditions.presence.uses) == {"pass-1"}
