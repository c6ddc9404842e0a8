"""Fire on the bus: releases pass everything else, resets can be refused, and a node alone needs no bus at all."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest
from osdp_rig import INPUTS, KEY, OUTPUTS, bench, until

from firmware.wire import codes
from firmware.wire.commands import Output
from gateway.drivers.osdp import OsdpDevice
from gateway.drivers.osdp.device import MAX_ORDERS, Device
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.requests import requests_for
from gateway.drivers.osdp.session import Request
from gateway.errors import DriverError
from gateway.model import Command, FireRelease, PulseOutput, RestOutput


@pytest.mark.parametrize(
    ("command", "number", "control"),
    [
        (FireRelease(True), 1, codes.OUT_ON),
        (FireRelease(False), 1, codes.OUT_OFF),
        (RestOutput("lock"), 0, codes.OUT_OFF),
    ],
)
def test_a_command_is_one_output_request(command: Command, number: int, control: int) -> None:
    (request,) = requests_for([command], "r0", OUTPUTS)
    (output,) = Output.decode(request.payload)
    assert (request.code, output.number, output.control) == (codes.OUT, number, control)


@pytest.mark.parametrize("command", [FireRelease(True), RestOutput("bell")])
def test_an_output_that_the_device_does_not_have_is_refused(command: Command) -> None:
    with pytest.raises(DriverError, match=r"expected an output of \['lock'\]"):
        requests_for([command], "r0", {"lock": 0})


async def test_a_fire_release_passes_every_order_that_waits() -> None:
    device = Device(OsdpDevice("r0", 5, KEY, INPUTS, OUTPUTS), secrets.token_bytes, 0.01)
    ordinary = [Order([Request(codes.OUT)], 0.0) for _ in range(MAX_ORDERS)]
    fires = [Order([Request(codes.OUT)], 1.0, vital=True) for _ in range(2)]
    for order in (*ordinary, *fires):
        device.give(order)
    assert list(device.orders) == [*fires, *ordinary]


async def test_the_node_releases_itself_and_the_panel_hears_of_it_in_order(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus, pins = b.panel(), b.pins[0]
        await b.online()
        pins.edge("fire", 1)
        await until(lambda: pins.relay[-1][1] == 1, "released by the node itself")
        await until(lambda: b.inputs("fire")[-1:] == [True], "the panel knows")
        await until(lambda: b.inputs("fire-latched")[-1:] == [True], "and that it is latched")
        with pytest.raises(DriverError, match="NAK 9"):
            await bus.send("r0", [FireRelease(False)])
        await bus.send("r0", [RestOutput("lock")])
        await bus.send("r0", [PulseOutput("lock", 100)])
        pins.edge("fire", 0)
        await until(lambda: b.inputs("fire")[-1:] == [False], "the signal is over")
        assert pins.relay[-1][1] == 1
        await bus.send("r0", [FireRelease(False)])
        await until(lambda: pins.relay[-1][1] == 0, "locked by the reset")
        await until(lambda: b.inputs("fire-latched")[-1:] == [False], "the panel knows")


async def test_the_message_releases_where_the_loop_says_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus, pins = b.panel(), b.pins[0]
        await b.online()
        await bus.send("r0", [FireRelease(True)])
        assert pins.relay[-1][1] == 1, "an acknowledgement says that it is done"
        await bus.send("r0", [FireRelease(False)])
        assert pins.relay[-1][1] == 0


async def test_a_node_alone_releases_and_stays_released_through_its_own_restart(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        pins, node = b.pins[0], b.nodes[0]
        await until(lambda: pins.connected, "pins")
        pins.edge("fire", 1)
        await until(lambda: pins.relay[-1:] and pins.relay[-1][1] == 1, "released without any panel")
        latch = node.file.with_suffix(".latch")
        await until(latch.exists, "remembered")
        await node.power_off()
        pins.edge("fire", 0)
        pins.relay.clear()
        await node.start()
        await until(lambda: pins.relay[-1:] and pins.relay[-1][1] == 1, "released again after the restart")
        bus = b.panel()
        await b.online()
        await until(lambda: b.inputs("fire-latched")[-1:] == [True], "whoever comes later learns of it")
        assert b.inputs("fire")[-1:] == [False]
        await bus.send("r0", [FireRelease(False)])
        await until(lambda: not latch.exists(), "forgotten with the reset")


async def test_a_latch_that_cannot_be_written_releases_all_the_same_and_is_written_later(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        pins, latch = b.pins[0], b.nodes[0].file.with_suffix(".latch")
        latch.with_name(latch.name).mkdir()  # opening it for writing fails, as on a full disk
        await until(lambda: pins.connected, "pins")
        pins.relay.clear()
        pins.edge("fire", 1)
        await until(lambda: pins.relay[-1:] and pins.relay[-1][1] == 1, "released")
        latch.rmdir()
        await until(latch.is_file, "written at the next try")
        await asyncio.sleep(0)
        assert b.nodes[0].running
