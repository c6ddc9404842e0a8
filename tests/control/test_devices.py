"""What the buses report: who is lost, tampered with, on battery; one event for each change, never one for how it is."""

from __future__ import annotations

import asyncio

import pytest

from gateway.access.presence import Presence, Used
from gateway.control.clock_watch import ClockWatch
from gateway.control.devices import Devices
from gateway.model import DeviceOffline, DeviceOnline, InputChanged, PowerChanged


class Fire:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def input_changed(self, device: str, name: str, active: bool) -> None:
        self.heard.append((device, name, active))

    def device_online(self, device: str) -> None:
        self.heard.append((device, "online"))

    def device_offline(self, device: str) -> None:
        self.heard.append((device, "offline"))


@pytest.fixture
async def devices(site):
    devices = Devices(site.judge)
    devices.fire = Fire()
    devices.attach({"reader": site}, {}, devices.fire)
    task = asyncio.create_task(devices.loop.run())
    yield devices
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_event_for_each_change(site, devices, settle):
    for observation in (
        DeviceOnline("reader", True),
        InputChanged("reader", "tamper", False),
        PowerChanged("reader", False),
        InputChanged("reader", "tamper", True),
        PowerChanged("reader", True),
        PowerChanged("reader", True),
        PowerChanged("reader", False),
        DeviceOffline("reader", "timeout"),
        DeviceOnline("reader", True),
    ):
        devices.observe(observation)
    await settle()
    assert site.facts == [
        "DeviceTampered", "DevicePowerChanged", "DevicePowerChanged", "DeviceLost", "DeviceReturned",
    ]  # fmt: skip
    assert [data.supply for data in site.recorded if hasattr(data, "supply")] == ["battery", "mains"]


async def test_a_sensor_is_one_event_each_time_and_what_is_said_again_is_no_news(site, devices, settle):
    for name, active in (
        ("smoke", False), ("smoke", True), ("smoke", True), ("smoke", False), ("smoke", True),
        ("water", True), ("panic", True), ("pir", True),
    ):  # fmt: skip
        devices.observe(InputChanged("reader", name, active))
    devices.observe(DeviceOffline("reader", "timeout"))
    devices.observe(DeviceOnline("reader", True))
    devices.observe(InputChanged("reader", "water", True))
    await settle()
    assert [fact for fact in site.facts if not fact.startswith("Device")] == [
        "SmokeSensed", "SmokeSensed", "WaterSensed", "PanicPressed", "MotionSensed",
    ]  # fmt: skip
    assert devices.fire.heard == [("reader", "offline"), ("reader", "online")], "a smoke detector is no fire panel"


async def test_motion_is_told_once_a_minute(site, devices, settle):
    for moment_ms in (0, 59_999, 60_000, 61_000):
        site.clock.ms = moment_ms
        for device in ("reader", "other"):
            devices.observe(InputChanged(device, "pir", True))
            devices.observe(InputChanged(device, "pir", False))
    await settle()
    assert [(type(data).__name__, data.device) for data in site.recorded] == [
        ("MotionSensed", "reader"), ("MotionSensed", "other"), ("MotionSensed", "reader"), ("MotionSensed", "other"),
    ]  # fmt: skip


async def test_fire_is_heard_at_once_and_not_through_a_queue(devices):
    devices.observe(DeviceOnline("reader", True))
    devices.observe(InputChanged("reader", "fire", True))
    devices.observe(InputChanged("reader", "fire-latched", True))
    devices.observe(DeviceOffline("reader", "unplugged"))
    assert devices.fire.heard == [
        ("reader", "online"), ("reader", "fire", True), ("reader", "fire-latched", True), ("reader", "offline"),
    ]  # fmt: skip


class Clock:
    """A clock whose certainty a test sets."""

    certain, cause, offset_ms, ms, doubted = True, "", 0, 0, False

    def monotonic_ms(self) -> int:
        return self.ms

    def known(self) -> str | None:
        return "known" if self.certain else None


async def test_the_clocks_certainty_is_one_event_a_change_and_kept_once_an_hour(site):
    clock, changes = Clock(), []
    watch = ClockWatch(site.judge, clock, site, lambda: changes.append(clock.certain))
    await watch.look()
    await watch.look()
    assert (site.facts, site.kept) == ([], {"clock": "known"})
    site.kept.clear()
    clock.certain, clock.cause = False, "jumped"
    await watch.look()
    await watch.look()
    clock.certain, clock.offset_ms = True, -5
    await watch.look()
    assert site.facts == ["ClockLost", "ClockSynced"]
    assert (site.recorded[0].cause, site.recorded[1].offset_ms) == ("jumped", -5)
    assert (changes, site.kept) == ([False, True], {})
    clock.ms = 3_600_000
    await watch.look()
    assert site.kept == {"clock": "known"}


async def test_a_clock_that_is_wrong_from_the_start_is_an_event(site):
    clock = Clock()
    clock.certain, clock.cause = False, "not-synchronised"
    await ClockWatch(site.judge, clock, site, lambda: None).look()
    assert site.facts == ["ClockLost"]


async def test_only_a_certain_clock_forgets_the_uses_of_what_has_expired(site):
    clock = Clock()
    clock.certain = False
    site.judge.become(Presence({}, {}, {"old": Used(1, site.clock.ms - 1), "new": Used(1, site.clock.ms + 1)}))
    watch = ClockWatch(site.judge, clock, site, lambda: None)
    await watch.look()
    assert set(site.judge.conditions.presence.uses) == {"old", "new"}
    clock.certain, clock.ms = True, 3_600_000
    await watch.look()
    assert set(site.judge.conditions.presence.uses) == {"new"}
    assert [value for key, value in site.kept.items() if key.startswith("presence/uses/")] == [None]
