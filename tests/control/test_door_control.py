"""A door's loop: decide, record, then move, in that order, and never move without a record."""

from __future__ import annotations

import asyncio

import pytest

from gateway.control.door import DoorControl, DoorSettings
from gateway.errors import DriverError
from gateway.model import CardRead, InputChanged, KeysEntered, PulseOutput, Reason, Signal
from gateway.portal.door import DoorTimes

TIMES = DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
CARD_1 = CardRead("reader", 26, (1 << 6).to_bytes(4, "big"))
CARD_2 = CardRead("reader", 26, (2 << 6).to_bytes(4, "big"))


def door(site, name: str = "lobby") -> DoorControl:
    control = DoorControl(DoorSettings(name, "reader", {"zh": "门", "en": "door"}, TIMES, 15_000), site.judge, site)
    control.observe(InputChanged("reader", "contact", False))  # how it was found
    return control


@pytest.fixture
async def running(site):
    tasks = []

    def start(control: DoorControl) -> DoorControl:
        tasks.append(asyncio.create_task(control.run()))
        return control

    yield start
    for task in tasks:
        task.cancel()


async def test_a_grant_is_recorded_before_the_lock_is_told(site, running, settle):
    running(door(site)).observe(CARD_1)
    await settle()
    kinds = [what for what, _ in site.happened]
    assert kinds == ["record", "command", "command"]
    assert site.commands == [PulseOutput("lock", 5_000), Signal("granted")]
    (_, entry), *_ = site.happened
    assert (entry.holder, entry.data.credential, entry.data.reason) == ("lin", "card", "permitted")
    assert "'lin'" not in repr(entry.data)


async def test_a_full_disk_opens_an_ordinary_door_and_records_late(site, running, settle):
    control = running(door(site))
    site.disk_full = True
    control.observe(CARD_1)
    await settle()
    assert site.commands == [PulseOutput("lock", 5_000), Signal("granted")]
    assert [type(entry.data).__name__ for entry in site.late] == ["AccessGranted"]


async def test_a_full_disk_leaves_a_high_security_door_shut(site, running, settle):
    control = running(door(site, "vault"))
    site.disk_full = True
    control.observe(CARD_1)
    await settle()
    assert site.commands == [Signal("denied")]
    assert control.last_reason is Reason.STORAGE_BROKEN
    site.disk_full = False
    control.observe(CARD_1)
    await settle()
    assert PulseOutput("lock", 5_000) in site.commands


async def test_an_unknown_card_is_recorded_and_refused(site, running, settle):
    running(door(site)).observe(CARD_2)
    await settle()
    assert site.facts == ["AccessDenied"]
    assert site.commands == [Signal("denied")]


async def test_card_and_pin(site, running, settle):
    control = running(door(site, "garage"))
    control.observe(CARD_1)
    await settle()
    assert (site.facts, site.commands) == ([], [Signal("waiting")])
    control.observe(KeysEntered("reader", "12"))
    control.observe(KeysEntered("reader", "34#"))
    await settle()
    assert site.facts == ["AccessGranted"]
    assert PulseOutput("lock", 5_000) in site.commands


@pytest.mark.parametrize(("keys", "reason"), [("9999#", "wrong-pin"), ("12*1235#", "wrong-pin")])
async def test_a_wrong_pin_is_refused(site, running, settle, keys, reason):
    control = running(door(site, "garage"))
    control.observe(CARD_1)
    control.observe(KeysEntered("reader", keys))
    await settle()
    assert [entry.data.reason for what, entry in site.happened if what == "record"] == [reason]
    assert PulseOutput("lock", 5_000) not in site.commands


async def test_the_clear_key_starts_the_pin_again(site, running, settle):
    control = running(door(site, "garage"))
    control.observe(CARD_1)
    control.observe(KeysEntered("reader", "99*1234#"))
    await settle()
    assert site.facts == ["AccessGranted"]


async def test_a_pin_that_never_comes_is_a_refusal_with_its_reason(site, settle):
    control = door(site, "garage")
    task = asyncio.create_task(control.run())
    control.observe(CARD_1)
    await settle()
    task.cancel()
    site.clock.ms += 15_001
    task = asyncio.create_task(control.run())  # wakes at once: the deadline has passed
    await asyncio.sleep(0.01)  # one turn of the real loop, so that its time-out of 0 s fires
    await settle()
    task.cancel()
    assert [entry.data.reason for what, entry in site.happened if what == "record"] == ["pin-required"]


async def test_the_exit_button_needs_no_policy_and_no_record(site, running, settle):
    control = running(door(site))
    control.observe(InputChanged("reader", "rex", True))
    control.observe(InputChanged("reader", "contact", True))
    control.observe(InputChanged("reader", "contact", False))
    await settle()
    assert site.facts == ["ExitRequested", "PortalOpened", "PortalClosed"]


async def test_a_door_that_opens_by_itself_was_forced(site, running, settle):
    control = running(door(site))
    control.observe(InputChanged("reader", "contact", True))
    await settle()
    assert (site.facts, control.state) == (["PortalForced"], "forced")


async def test_an_operator_opens_and_is_recorded_by_token(site, running):
    await running(door(site)).override("desk")
    assert site.facts == ["AccessOverridden"]
    assert PulseOutput("lock", 5_000) in site.commands
    assert "desk" not in repr(site.happened[0])


async def test_a_device_that_does_not_answer_is_told_to_the_operator_and_recorded(site, running):
    control = running(door(site))
    site.device_gone = True
    with pytest.raises(DriverError, match="gone"):
        await control.override("desk")
    assert site.facts == ["AccessOverridden", "PortalFailed"]
    assert control.state == "released"  # perhaps only the acknowledgement was lost


async def test_a_door_that_is_found_open_was_not_forced(site, running, settle):
    control = running(door(site))
    await settle()
    control.device_online("reader")
    control.observe(InputChanged("reader", "contact", True))
    await settle()
    assert (site.facts, control.state) == ([], "open")
    control.observe(InputChanged("reader", "contact", False))
    await settle()
    assert (site.facts, control.state) == (["PortalClosed"], "secure")


async def test_a_light_that_fails_is_no_failed_door(site, running, settle):
    control = running(door(site))
    sent = site.send

    async def only_the_lock(device, commands):
        if any(isinstance(command, Signal) for command in commands):
            raise DriverError("the LED was refused")
        await sent(device, commands)

    site.send = only_the_lock
    control.observe(CARD_1)
    control.observe(InputChanged("reader", "contact", True))
    await settle()
    assert site.facts == ["AccessGranted", "PortalOpened"]


async def test_somebody_leaning_on_the_reader_cannot_fill_the_memory(site, settle):
    control = door(site)
    for _ in range(1_000):
        control.observe(CARD_2)
    assert control.loop.refused == 901
