"""A barrier's pins on gpiozero's own mock pins: polarity, debounce, pulse, and rest at the end."""

from __future__ import annotations

import asyncio

import pytest
from gpiozero.pins.mock import MockFactory

from gateway.drivers.gpio import BarrierPins, BarrierWiring, InputWiring

WIRING = BarrierWiring(
    raise_pin=17,
    lower_pin=27,
    inputs={
        "raised": InputWiring(5, active_level=0, pull_up=True, debounce_s=0.02),
        "loop": InputWiring(6, active_level=1, pull_up=True, debounce_s=0.02),
    },
    raise_pulse_s=0.05,
)


@pytest.fixture
async def gate():
    factory = MockFactory()
    changes: list[tuple[str, bool]] = []
    pins = BarrierPins("gate", WIRING, factory, lambda name, active: changes.append((name, active)))
    await pins.open()
    yield pins, factory, changes
    await pins.close()


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)  # polling another thread


async def test_each_input_is_told_once_at_the_start_with_the_profiles_polarity(gate):
    _, _, changes = gate
    assert changes == [("raised", False), ("loop", True)]  # both high: not at the top; a broken loop is occupied


async def test_a_bouncing_contact_is_one_change(gate):
    _, factory, changes = gate
    pin = factory.pin("GPIO5")
    for _ in range(5):
        pin.drive_low()
        pin.drive_high()
    pin.drive_low()
    await until(lambda: ("raised", True) in changes)
    await asyncio.sleep(0.06)  # three debounce times: nothing else may follow
    assert changes[2:] == [("raised", True)]


async def test_raise_is_a_pulse_that_lets_go_of_lower(gate):
    pins, factory, _ = gate
    raising, lowering = factory.pin("GPIO17"), factory.pin("GPIO27")
    await pins.hold_lower(True)
    assert (raising.state, lowering.state) == (0, 1)
    await pins.pulse_raise()
    assert (raising.state, lowering.state) == (1, 0)
    await until(lambda: raising.state == 0)


async def test_stopping_within_the_pulse_leaves_nothing_on():
    factory = MockFactory()
    pins = BarrierPins("gate", WIRING, factory, lambda name, active: None)
    await pins.open()
    await pins.pulse_raise()
    await pins.close()
    assert factory.pin("GPIO17").function == "input"  # released: the relay module's own pull keeps it at rest
