"""Against an implementation by other authors, libosdp 3.2.9 from PyPI: our panel with its device, our node with its
panel. libosdp writes its log to stdout; its quirks are described where they matter."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from osdp_rig import INPUTS, KEY, OUTPUTS, Bench, Cable, Node, Pins, until

from gateway.drivers.osdp import OsdpDevice
from gateway.errors import DriverError
from gateway.model import CardRead, KeysEntered, PulseOutput, Signal

osdp_sys = pytest.importorskip("osdp_sys", reason="libosdp has wheels for CPython 3.11 only")

from osdp import Capability, CardFormat, Channel, Command, Event, LibFlag, PDCapabilities, PDInfo  # noqa: E402

LOG_ERROR = 3
TICK_S = 0.003


class FdChannel(Channel):
    """libosdp's channel over a non-blocking descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.id = fd

    def read(self, max_read: int) -> bytes:
        try:
            return os.read(self._fd, max_read)
        except BlockingIOError:
            return b""

    def write(self, buf: bytes) -> int:
        return os.write(self._fd, buf)

    def flush(self) -> None:
        while self.read(256):
            pass


class Refreshed:
    """Calls libosdp's `refresh` while the test runs."""

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._refresh = refresh

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            self._refresh()
            await asyncio.sleep(TICK_S)  # libosdp wants to be called often; nobody waits for a fixed time


def foreign_device(fd: int, address: int = 5, key: bytes = KEY) -> tuple[object, list[dict[str, object]]]:
    """libosdp's peripheral device and the commands that it got."""
    osdp_sys.set_loglevel(LOG_ERROR)
    info = PDInfo(address, FdChannel(fd), scbk=key, flags=[LibFlag.EnforceSecure])
    can = PDCapabilities(
        [
            (Capability.OutputControl, 1, 1),
            (Capability.LEDControl, 1, 1),
            (Capability.AudibleControl, 1, 1),
            (Capability.ContactStatusMonitoring, 1, 2),
        ]
    )
    device = osdp_sys.PeripheralDevice(info.get(), capabilities=can.get())
    commands: list[dict[str, object]] = []

    def take(command: dict[str, object]) -> tuple[int, None]:
        commands.append(command)
        return (-1 if command["command"] == Command.Status else 0), None

    device.set_command_callback(take)
    return device, commands


async def test_our_panel_with_a_foreign_device(tmp_path: Path) -> None:
    bench = Bench(tmp_path, nodes=0)
    assert bench.cable._bus is not None
    asyncio.get_running_loop().remove_reader(bench.cable._bus.master)  # libosdp is on the far end, without a cable
    device, commands = foreign_device(bench.cable._bus.master)
    try:
        async with Refreshed(device.refresh):  # type: ignore[attr-defined]
            bus = bench.panel([OsdpDevice("r0", 5, KEY, INPUTS, OUTPUTS)])
            await bench.online()
            for n in range(5):
                card = {"event": Event.CardRead, "reader_no": 0, "format": CardFormat.Wiegand, "direction": 0}
                device.submit_event({**card, "length": 26, "data": bytes([n, 2, 3, 0x40])})  # type: ignore[attr-defined]
            device.submit_event({"event": Event.KeyPress, "reader_no": 0, "data": b"12\r\x7f"})  # type: ignore[attr-defined]
            await until(lambda: any(isinstance(o, KeysEntered) for o in bench.seen), "cards and keys")
            assert [o.data[0] for o in bench.seen if isinstance(o, CardRead)] == list(range(5))
            assert [o.keys for o in bench.seen if isinstance(o, KeysEntered)] == ["12#*"]
            await bus.send("r0", [PulseOutput("lock", 3000), Signal("denied")])
            done = [c for c in commands if c["command"] != Command.Status]
            assert [c["command"] for c in done] == [Command.Output, Command.LED, Command.Buzzer]
            assert (done[0]["output_no"], done[0]["control_code"], done[0]["timer_count"]) == (0, 5, 30)
            assert done[2]["rep_count"] == 3
            assert bench.transitions() == ["online"]
    finally:
        await bench.close()


async def test_our_panel_refuses_a_foreign_device_with_another_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path, nodes=0)
    assert bench.cable._bus is not None
    asyncio.get_running_loop().remove_reader(bench.cable._bus.master)
    device, commands = foreign_device(bench.cable._bus.master, key=bytes(range(1, 17)))
    try:
        async with Refreshed(device.refresh):  # type: ignore[attr-defined]
            bus = bench.panel([OsdpDevice("r0", 5, KEY, INPUTS, OUTPUTS)])
            await until(lambda: bench.transitions(), "a verdict")
            assert bench.transitions() == ["bad-key"]
            with pytest.raises(DriverError):
                await bus.send("r0", [Signal("granted")])
            assert commands == []
    finally:
        await bench.close()


async def test_our_node_with_a_foreign_panel(tmp_path: Path) -> None:
    osdp_sys.set_loglevel(LOG_ERROR)
    cable = Cable(tmp_path, nodes=1)
    pins = Pins(tmp_path / "pins.sock")
    await pins.start()
    node = Node(tmp_path, cable.node_paths[0], pins.path)
    await node.start()
    loop = asyncio.get_running_loop()
    assert cable._bus is not None
    panel_fd = os.open(cable.bus_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    info = PDInfo(5, FdChannel(panel_fd), scbk=KEY, flags=[LibFlag.EnforceSecure])
    panel = osdp_sys.ControlPanel([info.get()])
    events: list[dict[str, object]] = []
    completed: list[int] = []
    panel.set_event_callback(lambda _, event: events.append(event) or 0)
    panel.set_command_completion_callback(lambda _, __, status: completed.append(status))
    try:
        async with Refreshed(panel.refresh):
            await until(lambda: panel.sc_status() == 1, "a secure session")
            for n in range(3):
                pins.card(n + 1)
            pins.keys("12#")
            await until(lambda: len(events) >= 4, "cards and keys")
            cards = [e for e in events if e["event"] == Event.CardRead]
            assert [(e["length"], e["data"]) for e in cards] == [
                (26, (n << 6).to_bytes(4, "big")) for n in (1, 2, 3)
            ]  # fmt: skip
            assert [e["data"] for e in events if e["event"] == Event.KeyPress] == [b"12\r"]
            pins.edge("contact", 1)
            await until(lambda: any(e["event"] == Event.Status for e in events), "the contact")
            output = {"command": Command.Output, "output_no": 0, "control_code": 5, "timer_count": 600}
            assert panel.submit_command(0, output)
            buzzer = {"command": Command.Buzzer, "reader": 0, "control_code": 2}
            assert panel.submit_command(0, {**buzzer, "on_count": 1, "off_count": 1, "rep_count": 2})
            led = {"command": Command.LED, "reader": 0, "led_number": 0, "temporary": True, "control_code": 2}
            look = {"on_count": 1, "off_count": 0, "on_color": 2, "off_color": 2, "timer_count": 50}
            assert panel.submit_command(0, {**led, **look})
            await until(lambda: len(completed) >= 3, "three commands done")
            await until(lambda: len(pins.indicators) >= 3, "light and buzzer")
            await until(lambda: pins.relay[-1][1] == 1, "the lock is released")
            assert sorted(pins.indicators[1:], key=str) == [("buzzer", 2), ("led", "green")]
            assert panel.sc_status() == 1
            stay_open = {"command": Command.Output, "output_no": 0, "control_code": 2, "timer_count": 0}
            panel.submit_command(0, stay_open)
            await until(lambda: len(completed) >= 4, "the node's verdict on staying open")
            assert loop.is_running()
    finally:
        await node.power_off()
        await pins.stop()
        os.close(panel_fd)
        cable.close()
