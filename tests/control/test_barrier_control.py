"""A barrier's loop: one commit for what was seen and decided, then the arm; lower is let go of before anything else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.access.policy import PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.barrier import BarrierControl, BarrierSettings
from gateway.errors import DriverError
from gateway.model import CardRead, CredentialKind, PlateRead
from gateway.portal.barrier import BarrierEvent, BarrierTimes

TIMES = BarrierTimes(travel_ms=6_000, lower_after_ms=1, no_passage_ms=20_000)
SEEN = PlateRead("cam", "京A12345", "blue", 0.97, 1_795_400_000_000, "reader-1", "ab" * 32)
STRANGER = PlateRead("cam", "沪C99999", "blue", 0.97, 1_795_400_000_000, "reader-1", "ab" * 32)


class Arm:
    """The two wires to the barrier, noted into the site's one list."""

    def __init__(self, site) -> None:
        self.site = site
        self.lower = False
        self.faults = 0
        self.raised = asyncio.Event()

    async def pulse_raise(self) -> None:
        if self.faults:
            self.faults -= 1
            raise DriverError("the pin did not answer")
        self.lower = False
        self.raised.set()
        self.site.happened.append(("command", "raise"))

    async def hold_lower(self, on: bool) -> None:
        self.lower = on
        self.site.happened.append(("command", f"lower {on}"))


@pytest.fixture
async def gate(site):
    arm = Arm(site)
    control = BarrierControl(BarrierSettings("gate", "cam", {"zh": "闸", "en": "gate"}, TIMES), site.judge, arm)
    control.arm = arm
    control.feedback(BarrierEvent.AT_BOTTOM)
    task = asyncio.create_task(control.run())
    yield control
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not arm.lower, "the lower signal outlived the process"


async def test_a_resident_is_recorded_then_raised(site, gate, settle):
    gate.plate_read(SEEN)
    await settle()
    assert site.facts == ["VehicleSeen", "AccessGranted"]
    assert site.happened[-1] == ("command", "raise")
    assert "A12345" not in repr([entry.data for what, entry in site.happened if what == "record"])


async def test_a_stranger_is_recorded_and_the_arm_stays(site, gate, settle):
    gate.plate_read(STRANGER)
    await settle()
    assert site.facts == ["VehicleSeen", "AccessDenied"]
    assert site.commands == []


async def test_a_full_disk_raises_the_arm_and_records_late(site, gate, settle):
    site.disk_full = True
    gate.plate_read(SEEN)
    await settle()
    assert site.commands == ["raise"]
    assert [type(entry.data).__name__ for entry in site.late] == ["VehicleSeen", "AccessGranted"]


async def test_in_a_fire_the_arm_rises_and_stays_up(site, gate, settle):
    site.judge.conditions.set_fire("gate", True)
    gate.mode_changed()
    await settle()
    assert site.commands == ["raise"]
    gate.feedback(BarrierEvent.AT_TOP)
    site.clock.ms += 600_000
    gate.feedback(BarrierEvent.TIMEOUT)
    await settle()
    assert (gate.state, gate.arm.lower) == ("free", False)
    site.judge.conditions.set_fire("gate", False)
    gate.mode_changed()
    await settle()
    assert gate.state == "raised"


async def lowering(gate, site, settle):
    gate.plate_read(SEEN)
    for event in (BarrierEvent.AT_TOP, BarrierEvent.LOOP_OCCUPIED, BarrierEvent.LOOP_FREE):
        gate.feedback(event)
        await settle()
    site.clock.ms += 10
    gate.feedback(BarrierEvent.TIMEOUT)
    await settle()
    assert gate.arm.lower


async def test_a_vehicle_under_the_arm_stops_lowering_even_with_a_full_disk(site, gate, settle):
    await lowering(gate, site, settle)
    site.disk_full = True
    gate.feedback(BarrierEvent.LOOP_OCCUPIED)
    await settle()
    assert not gate.arm.lower
    assert site.commands[-1] == "raise"


async def test_a_slow_disk_does_not_hold_the_arm_down_on_a_vehicle(site, gate, settle):
    await lowering(gate, site, settle)
    site.disk_answers = asyncio.Event()  # the disk takes the next record and does not come back
    gate.plate_read(STRANGER)
    await settle()
    gate.feedback(BarrierEvent.LOOP_OCCUPIED)
    await settle()
    assert not gate.arm.lower
    assert site.commands[-1] == "raise"
    site.disk_answers.set()


async def test_a_wire_that_fails_once_is_driven_again(site, gate, settle):
    await lowering(gate, site, settle)
    gate.arm.faults = 1
    gate.feedback(BarrierEvent.LOOP_OCCUPIED)
    await asyncio.wait_for(gate.arm.raised.wait(), 5)
    assert not gate.arm.lower


async def test_an_arm_that_is_lifted_by_hand_is_forced(site, gate, settle):
    gate.feedback(BarrierEvent.LEFT_BOTTOM)
    await settle()
    assert (site.facts, gate.state) == (["PortalForced"], "unknown")


async def test_pins_that_cannot_be_used_are_one_event(site, gate, settle):
    gate.unusable()
    await settle()
    assert site.facts == ["PortalFailed"]


async def test_a_whole_passage_ends_with_the_arm_down_and_lower_let_go(site, gate, settle):
    await lowering(gate, site, settle)
    gate.feedback(BarrierEvent.AT_BOTTOM)
    await settle()
    assert (gate.state, gate.arm.lower) == ("lowered", False)
    assert site.facts == ["VehicleSeen", "AccessGranted", "PortalOpened", "PortalClosed"]


CAMERA_TOO = [frozenset({CredentialKind.PLATE, CredentialKind.CARD})]
CARD = CardRead("post", 26, (1 << 6).to_bytes(4, "big"))
STRANGERS_CARD = CardRead("post", 26, (2 << 6).to_bytes(4, "big"))


def into_a_zone(site, accepts=(frozenset({CredentialKind.PLATE}),), passback="hard"):
    """The gate leads into a yard, where a plate counts once."""
    was = site.judge.policy
    site.judge.in_force.replace(
        compile_policy(
            2,
            was.holders.values(),
            was.credentials.values(),
            [Rule("residents", frozenset({"gate"}), ALWAYS)],
            [PortalPolicy("gate", tuple(accepts), enters_zone="yard")],
            zones=[Zone("yard", passback, 60 if passback == "timed" else 0)],
        )
    )


async def drive_through(gate, site, settle):
    for event in (BarrierEvent.AT_TOP, BarrierEvent.LOOP_OCCUPIED, BarrierEvent.LOOP_FREE):
        gate.feedback(event)
        await settle()
    site.clock.ms += 10
    for event in (BarrierEvent.TIMEOUT, BarrierEvent.AT_BOTTOM):
        gate.feedback(event)
        await settle()
    assert gate.state == "lowered"


async def test_a_plate_that_is_inside_already_is_refused_with_an_alarm(site, gate, settle):
    into_a_zone(site)
    gate.plate_read(SEEN)
    await settle()
    await drive_through(gate, site, settle)
    site.clock.ms += 5_000
    gate.plate_read(SEEN)
    await settle()
    alarm = site.recorded[-1]
    assert (alarm.portal, alarm.camera, alarm.zone, alarm.inside_ms, alarm.granted) == (
        "gate", "cam", "yard", 5_010, False,
    )  # fmt: skip
    assert site.facts[-3:] == ["VehicleSeen", "AccessDenied", "VehicleCloned"]
    assert site.commands.count("raise") == 1
    assert "A12345" not in repr(site.recorded)


async def test_an_operator_who_forgets_it_lets_it_in_again(site, gate, settle):
    into_a_zone(site)
    gate.plate_read(SEEN)
    await settle()
    await drive_through(gate, site, settle)
    forgotten, _ = site.judge.forget("zone", "yard")
    gate.plate_read(SEEN)
    await settle()
    assert forgotten == 1
    assert (site.facts[-1], site.commands.count("raise")) == ("AccessGranted", 2)


@pytest.mark.parametrize(("later_ms", "opens"), [(59_000, False), (60_000, True)])
async def test_in_a_timed_zone_leaving_unseen_is_forgiven_after_its_time(site, gate, settle, later_ms, opens):
    into_a_zone(site, passback="timed")
    gate.plate_read(SEEN)
    await settle()
    await drive_through(gate, site, settle)
    site.clock.ms += later_ms - 10
    gate.plate_read(SEEN)
    await settle()
    assert ("VehicleCloned" in site.facts) is not opens
    assert site.commands.count("raise") == 1 + opens


async def test_in_a_soft_zone_it_is_let_in_and_told(site, gate, settle):
    into_a_zone(site, passback="soft")
    gate.plate_read(SEEN)
    await settle()
    await drive_through(gate, site, settle)
    gate.plate_read(SEEN)
    await settle()
    (alarm,) = [data for data in site.recorded if type(data).__name__ == "VehicleCloned"]
    assert alarm.granted
    assert site.commands.count("raise") == 2


async def test_a_second_look_at_the_car_under_the_arm_is_no_alarm(site, gate, settle):
    into_a_zone(site)
    gate.plate_read(SEEN)
    await settle()
    for event in (BarrierEvent.AT_TOP, BarrierEvent.LOOP_OCCUPIED):
        gate.feedback(event)
    await settle()
    gate.plate_read(SEEN)
    await settle()
    assert "VehicleCloned" not in site.facts
    assert site.facts[-1] == "AccessDenied"


async def test_a_car_that_drives_away_from_the_camera_asks_for_nothing(site, gate, settle):
    gate.plate_read(replace(SEEN, direction="leaving"))
    await settle()
    assert (site.facts, site.commands) == (["VehicleSeen"], [])
    assert site.recorded[0].direction == "leaving"
    gate.plate_read(replace(SEEN, direction="approaching"))
    await settle()
    assert site.commands == ["raise"]


@pytest.fixture
async def guarded(site):
    """A gate with a reader beside it, where a plate alone is not enough."""
    into_a_zone(site, CAMERA_TOO)
    settings = BarrierSettings("gate", "cam", {"zh": "闸", "en": "gate"}, TIMES, "post", 30_000)
    arm = Arm(site)
    control = BarrierControl(settings, site.judge, arm, site)
    control.feedback(BarrierEvent.AT_BOTTOM)
    task = asyncio.create_task(control.run())
    yield control
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("card_first", [False, True])
async def test_a_plate_needs_its_second_factor_in_either_order(site, guarded, settle, card_first):
    shows = [lambda: guarded.plate_read(SEEN), lambda: guarded.observe(CARD)]
    for show in reversed(shows) if card_first else shows:
        assert "raise" not in site.commands
        show()
        await settle()
    assert "raise" in site.commands
    assert sorted(site.facts) == ["AccessGranted", "VehicleSeen"]
    (granted,) = [data for data in site.recorded if type(data).__name__ == "AccessGranted"]
    assert sorted(granted.credential.split("-")) == ["card", "plate"]


async def test_another_holders_card_beside_the_plate_opens_nothing(site, guarded, settle):
    guarded.plate_read(SEEN)
    guarded.observe(STRANGERS_CARD)
    await settle()
    assert "raise" not in site.commands
    assert site.recorded[-1].reason == "unknown-credential"


async def test_a_plate_that_waits_in_vain_is_refused_for_it(site, guarded, settle):
    guarded.plate_read(SEEN)
    await settle()
    assert site.facts == ["VehicleSeen"]
    site.clock.ms += 30_000
    guarded.loop.nudge()
    await settle()
    assert (site.facts[-1], site.recorded[-1].reason) == ("AccessDenied", "second-factor-required")
    assert "raise" not in site.commands
