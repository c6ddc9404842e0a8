"""The fire panel's contact at this Pi: each polarity, a level that is active at start, pins that fail."""

from __future__ import annotations

import asyncio

import pytest
from gpiozero.pins.mock import MockFactory

from gateway.drivers import panel_input
from gateway.drivers.panel_input import PanelInput


@pytest.fixture
async def follow():
    """`follow(active_level)` -> the mock pin and what was told."""
    tasks, factories = [], []

    def start(active_level: int, at_start: int):
        factory = MockFactory()
        factories.append(factory)
        pin = factory.pin(5)
        (pin.drive_high if at_start else pin.drive_low)()
        told: list[bool | None] = []  # None: lost
        panel = PanelInput(5, active_level, factory, told.append, lambda: told.append(None))
        tasks.append(asyncio.create_task(panel.run()))
        return pin, told

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("active_level", [0, 1])
async def test_both_polarities(follow, active_level):
    pin, told = follow(active_level, 1 - active_level)
    await until(lambda: told)  # the level at start, whichever it is: the mock pin follows its pull-up
    assert pin.pull == "up"
    (pin.drive_low if active_level else pin.drive_high)()
    await until(lambda: told[-1] is False)
    told.clear()
    (pin.drive_high if active_level else pin.drive_low)()
    await until(lambda: told == [True])
    (pin.drive_low if active_level else pin.drive_high)()
    await until(lambda: told == [True, False])


async def test_a_panel_at_rest_is_told_at_start_too(follow):
    _, told = follow(0, 1)
    await until(lambda: told == [False])


async def test_a_panel_that_signals_at_start_is_heard(follow):
    _, told = follow(1, 1)
    await until(lambda: told == [True])


class LgpioError(Exception):
    """As lgpio.error: no OSError, and none of gpiozero's."""


@pytest.mark.parametrize("error", [OSError, LgpioError])
async def test_a_pin_that_fails_is_lost_once_and_told_again_when_it_is_back(monkeypatch, follow, error):
    for name in ("LOOK_S", "AGAIN_S"):
        monkeypatch.setattr(panel_input, name, 0.01)
    pin, told = follow(1, 1)
    await until(lambda: told == [True])
    broken, tries = True, []

    def read(_pin):
        if broken:
            tries.append(1)
            raise error("unknown handle")
        return 1

    monkeypatch.setattr(type(pin), "_get_state", read)
    monkeypatch.setattr(type(pin), "state", property(read))
    await until(lambda: len(tries) > 5)
    assert told == [True, None]
    broken = False
    await until(lambda: told == [True, None, True])


@pytest.mark.parametrize("error", [OSError, LgpioError])
async def test_a_pin_that_cannot_be_used_is_tried_again(monkeypatch, error):
    monkeypatch.setattr(panel_input, "AGAIN_S", 0.01)
    factory, told = MockFactory(), []
    blocker = factory.pin(5)
    blocker.drive_high()
    real, tries = factory.pin, []

    def pin(number):
        tries.append(number)
        if len(tries) < 3:
            raise error("busy")
        return real(number)

    factory.pin = pin
    task = asyncio.create_task(PanelInput(5, 1, factory, told.append, lambda: told.append(None)).run())
    try:
        await until(lambda: told == [None, True])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
