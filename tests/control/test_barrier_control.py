"""A barrier's loop: one commit for what was seen and decided, then the arm; lower is let go of before anything else."""

from __future__ import annotations

import asyncio

import pytest

from gateway.control.barrier import BarrierControl, BarrierSettings
from gateway.errors import DriverError
from gateway.model import PlateRead
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
