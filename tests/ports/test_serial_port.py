"""The contract of a serial port, as the OSDP driver uses pyserial: raw bytes, both ways, and an end that goes away.

On the simulator the far end is a node's pty of sim.bus that echoes. For a real adapter, join its transmit to its
receive (RS-232 and TTL: TX to RX; RS-485 with full duplex: A to Y, B to Z) so that it hears itself, and run

    ZHIAN_TEST_SERIAL=/dev/ttyUSB0 pytest tests/ports -m hardware

A half-duplex RS-485 adapter cannot hear itself; use a second one with a process that echoes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import serial

from sim.bus import Bus

VARIABLE = "ZHIAN_TEST_SERIAL"
BAUD = 38400


@dataclass
class Line:
    """A path to open, whose far end sends everything back; `bus` where it is simulated."""

    path: str
    bus: Bus | None


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.hardware)])
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    if request.param == "real":
        if VARIABLE not in os.environ:
            pytest.skip(f"{VARIABLE} names no port")
        yield Line(os.environ[VARIABLE], None)
        return
    bus = Bus("a", BAUD, tmp_path, ["far"])
    bus.open()
    carrying = asyncio.create_task(bus.run())
    bus.power("far", on=True)
    far = os.open(tmp_path / "node-far", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(far)
    loop = asyncio.get_running_loop()
    loop.add_reader(far, _echo, far)
    yield Line(str(tmp_path / "bus-a"), bus)
    loop.remove_reader(far)
    os.close(far)
    carrying.cancel()
    bus.close()


def _echo(far: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(far, os.read(far, 4096))


def opened(path: str) -> serial.Serial:
    return serial.Serial(path, BAUD, timeout=0)


async def test_every_byte_comes_back_unchanged_and_in_order(line: Line, until: Any) -> None:
    sent, got = bytes(range(256)), bytearray()
    with opened(line.path) as port:
        port.reset_input_buffer()
        port.write(sent)
        await until(lambda: (got.extend(port.read(512)), len(got) >= 256)[1], "all bytes are back")
    assert bytes(got) == sent


async def test_a_read_with_nothing_there_returns_at_once(line: Line) -> None:
    with opened(line.path) as port:
        port.reset_input_buffer()
        begun_s = asyncio.get_running_loop().time()
        assert port.read(100) == b""
        assert asyncio.get_running_loop().time() - begun_s < 0.5


async def test_it_can_be_closed_and_opened_again(line: Line, until: Any) -> None:
    for _ in range(3):
        with opened(line.path) as port:
            port.reset_input_buffer()
            port.write(b"\x53\x00\x0d")
            got = bytearray()
            await until(lambda: (got.extend(port.read(9)), len(got) == 3)[1], "the bytes are back")  # noqa: B023


async def test_an_adapter_that_is_unplugged_raises(line: Line) -> None:
    """Real adapters raise too when somebody pulls the plug; no test can pull it, so that side is left to a person."""
    if line.bus is None:
        pytest.skip("pull the adapter's plug by hand; docs/simulator.md says what must follow")
    with opened(line.path) as port:
        line.bus.unplug()
        with pytest.raises((serial.SerialException, OSError)):
            port.write(b"x")
        assert not Path(line.path).exists()
    line.bus.plug()
    opened(line.path).close()
