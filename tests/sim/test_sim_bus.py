"""The wire: who hears whom, how long bytes take, noise, plugs and power."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sim_rig import eventually

from sim.bus import Bus


class Port:
    """What a process has open at one end."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.got = b""

    def send(self, data: bytes) -> None:
        os.write(self.fd, data)

    def received(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            self.got += os.read(self.fd, 4096)
        return self.got


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    b = Bus("a", 115200, tmp_path, ["n1", "n2"])
    b.open()
    carrying = asyncio.create_task(b.run())
    for reader in ("n1", "n2"):
        b.power(reader, on=True)
    yield b
    carrying.cancel()
    b.close()


async def test_the_panel_reaches_every_node_and_a_node_reaches_only_the_panel(bus: Bus, tmp_path: Path) -> None:
    panel, n1, n2 = (Port(tmp_path / name) for name in ("bus-a", "node-n1", "node-n2"))
    panel.send(b"\x53poll\x00\x0a\x03\x0d")  # bytes that a cooked terminal would change
    await eventually(lambda: n1.received() == n2.received() == b"\x53poll\x00\x0a\x03\x0d", "both nodes hear")
    n1.send(b"ack")
    await eventually(lambda: panel.received() == b"ack", "the panel hears")
    assert (n2.received(), bus.bytes_from_cp, bus.bytes_from["n1"]) == (b"\x53poll\x00\x0a\x03\x0d", 9, 3)


async def test_bytes_take_the_time_of_the_baud_rate(tmp_path: Path) -> None:
    slow = Bus("slow", 9600, tmp_path, ["n1"])
    slow.open()
    carrying = asyncio.create_task(slow.run())
    slow.power("n1", on=True)
    panel, node = Port(tmp_path / "bus-slow"), Port(tmp_path / "node-n1")
    begun_s = time.monotonic()
    panel.send(bytes(96))
    await eventually(node.received, "the first bytes arrive")
    assert len(node.got) < 96  # they come one after the other
    await eventually(lambda: len(node.received()) == 96, "all bytes arrive")
    assert time.monotonic() - begun_s >= 0.1  # 960 bits at 9600 baud
    carrying.cancel()
    slow.close()


async def test_noise_flips_bits_and_repeats_with_its_seed(bus: Bus, tmp_path: Path) -> None:
    panel, node = Port(tmp_path / "bus-a"), Port(tmp_path / "node-n1")
    sent, heard = bytes(200), []
    for seed in (1, 1, 2):
        node.got = b""
        bus.noise(0.05, seed)
        panel.send(sent)
        await eventually(lambda: len(node.received()) == 200, "all bytes arrive")
        heard.append(node.got)
    assert heard[0] == heard[1] != heard[2]
    changed = [byte for byte in heard[0] if byte]
    assert 1 <= len(changed) <= 40
    assert all(byte.bit_count() == 1 for byte in changed)


async def test_an_unplugged_adapter_hangs_up_and_comes_back_under_its_name(bus: Bus, tmp_path: Path) -> None:
    panel, node = Port(tmp_path / "bus-a"), Port(tmp_path / "node-n1")
    bus.unplug()
    assert not (tmp_path / "bus-a").exists()
    with pytest.raises(OSError, match="Input/output error"):
        os.write(panel.fd, b"x")
    bus.plug()
    again = Port(tmp_path / "bus-a")
    again.send(b"hello")
    await eventually(lambda: node.received() == b"hello", "the new end works")


async def test_a_node_without_power_neither_hears_nor_remembers(bus: Bus, tmp_path: Path) -> None:
    panel, n1, n2 = (Port(tmp_path / name) for name in ("bus-a", "node-n1", "node-n2"))
    panel.send(b"before")
    await eventually(lambda: n2.received() == b"before", "heard, but n1 has not read it")
    bus.power("n1", on=False)
    n1.send(b"ghost")
    panel.send(b"while off")
    await eventually(lambda: n2.received() == b"beforewhile off", "n2 still hears")
    bus.power("n1", on=True)
    panel.send(b"after")
    await eventually(lambda: n1.received() == b"after", "n1 hears what comes after only")
    assert panel.received() == b""


async def test_an_end_that_nobody_reads_loses_bytes_and_holds_up_nobody(bus: Bus, tmp_path: Path) -> None:
    panel, n2 = Port(tmp_path / "bus-a"), Port(tmp_path / "node-n2")
    total = 0
    while bus.bytes_lost == 0:
        panel.send(bytes(512))
        total += 512
        await eventually(lambda: len(n2.received()) == total, "n2 gets everything")  # noqa: B023 awaited in the loop
        assert total < 64_000
