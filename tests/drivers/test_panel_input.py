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
        told: list[bool] = []
        tasks.append(asyncio.create_task(PanelInput(5, active_level, factory, told.append).run()))
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
    await until(lambda: pin.pull == "up" and pin.when_changed is not None)
    (pin.drive_high if active_level else pin.drive_low)()
    await until(lambda: told == [True])
    (pin.drive_low if active_level else pin.drive_high)()
    await until(lambda: told == [True, False])


async def test_a_panel_that_signals_at_start_is_heard(follow):
    _, told = follow(1, 1)
    await until(lambda: told == [True])


async def test_a_pin_that_cannot_be_used_is_tried_again(monkeypatch):
    monkeypatch.setattr(panel_input, "AGAIN_S", 0.01)
    factory, told = MockFactory(), []
    blocker = factory.pin(5)
    blocker.drive_high()
    real, tries = factory.pin, []

    def pin(number):
        tries.append(number)
        if len(tries) < 3:
            raise OSError("busy")
        return real(number)

    factory.pin = pin
    task = asyncio.create_task(PanelInput(5, 1, factory, told.append).run())
    try:
        await until(lambda: told == [True])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
