"""A barrier's pins on gpiozero's own mock pins: polarity, debounce, pulse, and rest at the end."""

from __future__ import annotations

import asyncio

import pytest
from gpiozero import Device, DigitalOutputDevice
from gpiozero.pins.mock import MockFactory

from gateway.drivers import gpio
from gateway.drivers.gpio import BarrierPins, BarrierWiring, InputWiring, open_factory
from gateway.errors import DriverError

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


class LgpioError(Exception):
    """As lgpio.error: no OSError, and none of gpiozero's."""


def failing(*_arguments, **_keywords):
    raise LgpioError("GPIO busy")


async def test_a_library_that_raises_a_bare_exception_costs_one_barrier_and_not_the_program(monkeypatch):
    factory = MockFactory()
    monkeypatch.setattr(factory, "pin", failing)
    with pytest.raises(DriverError, match="barrier 'gate': a pin cannot be used"):
        await BarrierPins("gate", WIRING, factory, lambda name, active: None).open()
    monkeypatch.setattr(Device, "_default_pin_factory", failing)
    with pytest.raises(DriverError, match="no pin factory works"):
        open_factory(None)


async def test_a_pulse_that_cannot_be_ended_is_ended_as_soon_as_the_pin_works_again(gate, monkeypatch):
    pins, factory, _ = gate
    monkeypatch.setattr(gpio, "AGAIN_S", 0.01)
    raising, real = factory.pin("GPIO17"), DigitalOutputDevice.off
    await pins.pulse_raise()
    tries = []

    def off(device):
        tries.append(device)
        if len(tries) < 3:
            failing()
        real(device)

    monkeypatch.setattr(DigitalOutputDevice, "off", off)
    await until(lambda: raising.state == 0)
    assert len(tries) == 3


async def test_a_broken_pin_does_not_keep_the_program_from_ending(monkeypatch):
    pins = BarrierPins("gate", WIRING, MockFactory(), lambda name, active: None)
    await pins.open()
    tries = []
    monkeypatch.setattr(pins, "_end_raise", lambda: (tries.append(1), failing()))
    await pins.pulse_raise()
    await until(lambda: tries)
    async with asyncio.timeout(5):
        await pins.close()


async def test_stopping_within_the_pulse_leaves_nothing_on():
    factory = MockFactory()
    pins = BarrierPins("gate", WIRING, factory, lambda name, active: None)
    await pins.open()
    await pins.pulse_raise()
    await pins.close()
    assert factory.pin("GPIO17").function == "input"  # released: the relay module's own pull keeps it at rest
