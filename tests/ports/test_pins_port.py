"""The contract of a pin factory, as gateway/drivers/gpio.py uses it: one output that drives one input.

On the simulator a wire joins BCM 17 (out) to BCM 22 (in). On a Pi: join two free pins of the header with a 1 kΩ
resistor, nothing else on them, and run

    ZHIAN_TEST_PINS=17,22 pytest tests/ports -m hardware      # output,input as BCM numbers
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gpiozero import DigitalInputDevice, DigitalOutputDevice, Factory
from gpiozero.exc import GPIOPinInUse, PinSetInput

from gateway.drivers.gpio import open_factory
from sim.pins.board import Board
from sim.pins.server import PinsServer
from sim.timeline import RealClock, Timeline

VARIABLE = "ZHIAN_TEST_PINS"


@dataclass
class Bench:
    """A factory, and the numbers of the two pins that are joined."""

    factory: Factory
    out: int
    into: int


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.hardware)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "real":
        if VARIABLE not in os.environ:
            pytest.skip(f"{VARIABLE} names no pins")
        out, into = (int(pin) for pin in os.environ[VARIABLE].split(","))
        factory = await in_thread(open_factory, None)
        yield Bench(factory, out, into)
        await in_thread(factory.close)
        return
    timeline = Timeline(RealClock())
    board = Board("gateway", timeline, random.Random(1), inputs=("22",), outputs=("17",))
    # With the pull-down that every test asks for, a closed contact reads 1: the output's level.
    board.listen("17", lambda level: board.set_contact("22", closed=bool(level), bounce=False))
    server = PinsServer(tmp_path / "pins.sock", {"gateway": board})
    await server.start()
    running = asyncio.create_task(timeline.run())
    factory = await in_thread(open_factory, str(server.path))
    yield Bench(factory, 17, 22)
    await in_thread(factory.close)
    running.cancel()
    await server.close()


async def in_thread(call: Any, *arguments: Any, **named: Any) -> Any:
    """gpiozero blocks, and the simulator needs the loop."""
    return await asyncio.to_thread(lambda: call(*arguments, **named))


async def test_an_input_follows_the_output_that_drives_it(bench: Bench, until: Any) -> None:
    output = await in_thread(DigitalOutputDevice, bench.out, initial_value=False, pin_factory=bench.factory)
    seen = await in_thread(DigitalInputDevice, bench.into, pull_up=False, pin_factory=bench.factory)
    assert seen.value == 0
    for level in (1, 0, 1):
        await in_thread(output.on if level else output.off)
        await until(lambda: seen.value == level, f"the input reads {level}")  # noqa: B023 awaited in the loop
        assert output.value == level


async def test_edges_are_told_in_order_from_a_thread_of_its_own(bench: Bench, until: Any) -> None:
    output = await in_thread(DigitalOutputDevice, bench.out, initial_value=False, pin_factory=bench.factory)
    seen = await in_thread(DigitalInputDevice, bench.into, pull_up=False, pin_factory=bench.factory)
    told: list[int] = []
    seen.when_activated = lambda: told.append(1)
    seen.when_deactivated = lambda: told.append(0)
    for count in range(1, 7):
        await in_thread(output.on if count % 2 else output.off)
        await until(lambda: len(told) == count, f"{count} edges are told")  # noqa: B023 awaited in the loop
    assert told == [1, 0, 1, 0, 1, 0]


async def test_an_output_begins_at_its_initial_value_and_lets_go_when_closed(bench: Bench, until: Any) -> None:
    seen = await in_thread(DigitalInputDevice, bench.into, pull_up=False, pin_factory=bench.factory)
    output = await in_thread(DigitalOutputDevice, bench.out, initial_value=True, pin_factory=bench.factory)
    await until(lambda: seen.value == 1, "the input reads the initial value")
    await in_thread(output.close)
    await until(lambda: seen.value == 0, "the pull-down wins once nobody drives")


async def test_a_pin_has_one_owner_and_an_input_cannot_be_driven(bench: Bench) -> None:
    seen = await in_thread(DigitalInputDevice, bench.into, pull_up=False, pin_factory=bench.factory)
    with pytest.raises(GPIOPinInUse):
        await in_thread(DigitalOutputDevice, bench.into, pin_factory=bench.factory)
    with pytest.raises(PinSetInput):
        await in_thread(seen.pin._set_state, 1)
