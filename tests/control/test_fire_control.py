"""Fire: everything on the list at once, before any record, in spite of every fault; ended by a reset alone."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.access.presence import InZone, Presence, Used
from gateway.control import fire as fire_module
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.fire import FireControl
from gateway.errors import DriverError, OperationRefusedError
from gateway.model import CardRead, FireRelease, PortalMode
from gateway.portal.door import DoorTimes

TIMES = DoorTimes(unlock_ms=5_000, held_open_ms=30_000)


class Wires:
    """An actuator with devices that can be dead, or slow for ever."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []
        self.dead: set[str] = set()
        self.hanging: set[str] = set()

    async def send(self, device: str, commands) -> None:
        if device in self.hanging:
            await asyncio.Event().wait()
        if device in self.dead:
            raise DriverError(f"{device} is gone")
        self.sent += [(device, command) for command in commands]

    def fire_commands(self) -> list[tuple[str, bool]]:
        return [(device, command.on) for device, command in self.sent if isinstance(command, FireRelease)]


class Arm:
    """A portal without a node."""

    def __init__(self) -> None:
        self.told = 0

    def mode_changed(self) -> None:
        self.told += 1


class House:
    """Three doors on the fire list, one that is not, and a barrier."""

    def __init__(self, site) -> None:
        self.site, self.wires, self.arm = site, Wires(), Arm()
        self.doors = {
            name: DoorControl(
                DoorSettings(name, f"node-{name}", {}, TIMES, 15_000, (), name != "office"), site.judge, self.wires
            )
            for name in ("lobby", "garage", "vault", "office")
        }
        listed = {name: door for name, door in self.doors.items() if name != "office"}
        self.fire = FireControl(
            site.judge, self.wires, site, "gate-1", {**listed, "gate": self.arm}, {n: f"node-{n}" for n in listed}
        )


@pytest.fixture
async def house(site):
    house = House(site)
    tasks = [asyncio.create_task(part.run()) for part in (house.fire, *house.doors.values())]
    yield house
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


LISTED = ["node-garage", "node-lobby", "node-vault"]


async def test_a_signal_releases_the_whole_list_and_is_one_event(house, settle):
    house.fire.input_changed("node-lobby", "fire", True)
    await settle()
    assert sorted(house.wires.fire_commands()) == [(device, True) for device in LISTED]
    assert house.arm.told == 1
    assert house.doors["office"].state == "secure"
    assert [house.doors[name].state for name in ("lobby", "garage", "vault")] == ["free"] * 3
    house.fire.input_changed("node-garage", "fire", True)  # the panel signals everywhere: one fire
    house.fire.panel_changed(True)
    await settle()
    assert house.site.facts.count("FireDetected") == 1
    assert house.site.facts.count("PortalReleasedByFire") == 4
    assert house.site.kept["fire"] == "1"


async def test_a_dead_door_delays_no_other_and_is_released_when_it_is_back(house, settle):
    house.wires.dead = {"node-lobby"}
    house.wires.hanging = {"node-vault"}
    house.fire.panel_changed(True)
    await settle()
    assert house.wires.fire_commands() == [("node-garage", True)]
    house.wires.dead = set()
    house.fire.device_online("node-lobby")
    await settle()
    assert ("node-lobby", True) in house.wires.fire_commands()


async def test_a_full_or_silent_disk_delays_nothing(house, settle):
    house.site.disk_answers = asyncio.Event()  # a disk that takes the record and never comes back
    house.fire.panel_changed(True)
    await settle()
    assert len(house.wires.fire_commands()) == 3
    house.site.disk_answers.set()


async def test_a_full_disk_records_late(house, settle):
    house.site.disk_full = True
    house.fire.panel_changed(True)
    await settle()
    assert len(house.wires.fire_commands()) == 3
    assert type(house.site.late[0].data).__name__ == "FireDetected"


async def test_a_lockdown_changes_nothing(house, settle):
    for name in house.doors:
        house.site.judge.conditions.set_mode(name, PortalMode.LOCKDOWN)
    house.fire.panel_changed(True)
    await settle()
    assert house.doors["lobby"].state == "free"
    house.doors["lobby"].observe(CardRead("node-lobby", 26, (2 << 6).to_bytes(4, "big")))  # a stranger's card
    await settle()
    assert [data.reason for data in house.site.recorded if type(data).__name__ == "AccessGranted"] == ["fire"]


async def test_it_stays_released_until_it_is_reset_and_a_reset_waits_for_the_panel(house, settle):
    house.fire.panel_changed(True)
    await settle()
    with pytest.raises(OperationRefusedError, match="panel is active"):
        await house.fire.reset("desk")
    house.fire.panel_changed(False)
    await settle()
    assert house.fire.released
    await house.fire.reset("desk")
    await settle()
    assert not house.fire.released
    assert sorted(house.wires.fire_commands())[::2] == [(device, False) for device in LISTED]
    assert house.doors["lobby"].state in ("secure", "released")
    assert house.site.facts[-1] == "FireReset"
    assert house.site.kept["fire"] is None
    assert "desk" not in repr(house.site.recorded)
    with pytest.raises(OperationRefusedError, match="nothing to reset"):
        await house.fire.reset("desk")


async def test_what_said_fire_and_then_went_silent_holds_the_reset_back_until_it_is_asked_or_overruled(house, settle):
    house.fire.input_changed("node-lobby", "fire", True)
    house.fire.panel_changed(True)
    await settle()
    assert house.site.kept["fire-active"] == '["node-lobby","panel"]'
    house.fire.device_offline("node-lobby")
    house.fire.panel_lost()
    for overruled in (False, True):
        house.fire.input_changed("node-garage", "fire", True)
        with pytest.raises(OperationRefusedError, match=r"fire input of node-garage is active"):
            await house.fire.reset("desk", overruled)
        house.fire.input_changed("node-garage", "fire", False)
    with pytest.raises(OperationRefusedError, match=r"node-lobby, panel said fire .*--although-unknown"):
        await house.fire.reset("desk")
    house.fire.panel_changed(False)  # its pin is back
    with pytest.raises(OperationRefusedError, match=r": node-lobby said fire"):
        await house.fire.reset("desk")
    assert house.fire.released
    await house.fire.reset("desk", although_unknown=True)
    assert not house.fire.released
    assert house.site.kept["fire-active"] is None
    house.fire.device_online("node-lobby")
    house.fire.input_changed("node-lobby", "fire", True)  # it still burns there
    await settle()
    assert house.fire.released


async def test_a_device_that_comes_back_at_rest_holds_the_reset_back_no_longer(house, settle):
    house.fire.input_changed("node-lobby", "fire", True)
    house.fire.device_offline("node-lobby")
    house.fire.device_online("node-lobby")
    house.fire.input_changed("node-lobby", "fire", False)
    await settle()
    await house.fire.reset("desk")
    assert not house.fire.released


async def test_a_device_that_was_at_rest_when_it_went_silent_does_not_hold_the_reset_back(house, settle):
    house.fire.panel_changed(True)
    house.fire.device_offline("node-lobby")
    house.fire.panel_changed(False)
    house.fire.panel_lost()
    house.wires.sent.clear()
    await house.fire.reset("desk")
    assert not house.fire.released


async def test_a_restart_of_core_does_not_forget_who_said_fire(site, settle):
    house = House(site)
    house.fire.restore({"fire": "1", "fire-active": '["node-vault"]'})
    task = asyncio.create_task(house.fire.run())
    await settle()
    with pytest.raises(OperationRefusedError, match="node-vault said fire"):
        await house.fire.reset("desk")
    house.fire.input_changed("node-vault", "fire", False)
    await house.fire.reset("desk")
    assert not house.fire.released
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_node_that_forgot_that_it_is_released_is_told_again(house, settle):
    house.fire.panel_changed(True)
    await settle()
    house.fire.input_changed("node-lobby", "fire-latched", True)
    house.wires.sent.clear()
    house.fire.input_changed("node-lobby", "fire-latched", False)  # it restarted so quickly that it never was offline
    await settle()
    assert house.wires.fire_commands() == [("node-lobby", True)]
    house.fire.panel_changed(False)
    await house.fire.reset("desk")
    house.wires.sent.clear()
    house.fire.input_changed("node-lobby", "fire-latched", False)
    await settle()
    assert house.wires.fire_commands() == [], "after the reset that is how it should be"


async def test_two_hundred_doors_lose_no_report(site, settle):
    portals = {f"door-{n}": Arm() for n in range(200)}
    wires = Wires()
    control = FireControl(site.judge, wires, site, "gate-1", portals, {name: f"node-{name}" for name in portals})
    task = asyncio.create_task(control.run())
    await settle()
    for name in portals:
        control.input_changed(f"node-{name}", "fire", True)
    for _ in range(20):
        await settle()
    assert control.loop.refused == 0
    assert site.facts.count("PortalReleasedByFire") == 200
    assert len(json.loads(site.kept["fire-active"])) == 200
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_reset_that_overtakes_the_record_of_the_fire_leaves_no_latch_behind(house, settle):
    slow = asyncio.Event()
    house.fire.loop.submit(slow.wait)
    house.fire.panel_changed(True)
    house.fire.panel_changed(False)
    await settle()
    await house.fire.reset("desk")
    slow.set()
    await settle()
    assert "FireDetected" in house.site.facts
    assert (house.site.kept["fire"], house.site.kept["fire-active"]) == (None, None)


async def test_after_the_reset_nobody_is_in_a_zone_any_more(house, settle):
    house.site.judge.become(Presence(zones={"lin": InZone("inside", 1)}, uses={"pass-1": Used(1)}))
    house.fire.panel_changed(True)
    house.fire.panel_changed(False)
    await settle()
    assert house.site.judge.conditions.presence.zones
    await house.fire.reset("desk")
    after = house.site.judge.conditions.presence
    assert (dict(after.zones), dict(after.uses)) == ({}, {"pass-1": Used(1)})
    assert "PresenceForgotten" not in house.site.facts, "the reset says it"


async def test_a_node_that_was_away_at_the_reset_is_reset_later_and_its_latch_is_no_new_fire(
    house, settle, monkeypatch
):
    monkeypatch.setattr(fire_module, "RESET_WAIT_S", 0.02)
    house.fire.panel_changed(True)
    await settle()
    house.wires.dead = {"node-lobby"}
    house.fire.device_offline("node-lobby")
    house.fire.panel_changed(False)
    await house.fire.reset("desk")
    await settle()
    assert house.site.kept["fire-resets"] == '["node-lobby"]'
    house.wires.dead = set()
    house.fire.device_online("node-lobby")
    house.fire.input_changed("node-lobby", "fire-latched", True)  # how it is found
    await settle()
    assert ("node-lobby", False) in house.wires.fire_commands()
    assert not house.fire.released
    assert house.site.kept["fire-resets"] is None


async def test_a_node_that_released_itself_while_nobody_listened_is_a_fire(house, settle):
    house.fire.device_online("node-garage")
    house.fire.input_changed("node-garage", "fire-latched", True)
    await settle()
    assert house.fire.released
    assert house.site.facts[0] == "FireDetected"
    await house.fire.reset("desk")  # its input is at rest already
    assert not house.fire.released


async def test_a_restart_keeps_the_release_and_tells_every_node_again_without_a_second_alarm(site, settle):
    house = House(site)
    house.fire.restore({"fire": "1"})
    tasks = [asyncio.create_task(part.run()) for part in (house.fire, *house.doors.values())]
    await settle()
    assert house.doors["lobby"].state == "free"
    assert len(house.wires.fire_commands()) == 3
    assert "FireDetected" not in site.facts
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_restart_finishes_an_outstanding_reset(site, settle):
    house = House(site)
    house.fire.restore({"fire-resets": '["node-lobby", "gone"]'})
    task = asyncio.create_task(house.fire.run())
    await settle()
    assert house.wires.fire_commands() == [("node-lobby", False)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_latch_file_that_cannot_be_read_is_no_fire(site):
    house = House(site)
    house.fire.restore({"fire-resets": "nonsense"})
    assert not house.fire.released
