"""A bench for the OSDP driver: ptys joined by a cable that can damage bytes, a pins server, real MicroPython nodes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import time
import tty
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.model import CardRead, DeviceOffline, DeviceOnline, InputChanged, Observation

MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"
FIRMWARE_ROOT = Path(__file__).resolve().parents[2]
HEAP = "192k"  # boards/unix.toml, budget.heap_bytes
KEY = bytes(range(16))
INPUTS = {0: "contact", 1: "rex", 2: "fire", 3: "fire-latched"}
OUTPUTS = {"lock": 0, "fire": 1}
DEADLINE_S = 20.0


class LoopClock:
    """The gateway's Clock, as far as the driver uses it."""

    certain = True

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        return datetime.now(UTC)


async def until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until `condition()` is true; fail with `what` at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        await asyncio.sleep(0.002)


class Pty:
    """One pty under a stable path. Keeps its far end open, so that whoever uses it may come and go."""

    def __init__(self, link: Path) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self.slave))

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class Cable:
    """Joins the panel's pty and the nodes' ptys: the panel is heard by every node, a node by the panel only.

    `damage` is the probability with which a chunk gets one bit flipped; a seed makes the flips repeatable for the same
    chunks. `cut` swallows everything.
    """

    def __init__(self, folder: Path, nodes: int = 1, damage: float = 0.0, seed: int = 1) -> None:
        self.bus_path = folder / "bus-a"
        self.node_paths = [folder / f"node-{n}" for n in range(nodes)]
        self.damage = damage
        self.cut = False
        self.flips = 0
        self.chunks = 0
        self.tap: Callable[[bool, bytes], None] = lambda _from_panel, _data: None  # somebody listens on the wire
        self._random = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._bus: Pty | None = None
        self._nodes: list[Pty] = []
        self.plug()
        for path in self.node_paths:
            pty = Pty(path)
            self._nodes.append(pty)
            self._loop.add_reader(pty.master, self._carry, pty, None)

    def plug(self) -> None:
        """The panel's end appears."""
        self._bus = Pty(self.bus_path)
        self._loop.add_reader(self._bus.master, self._carry, self._bus, self._nodes)

    def unplug(self) -> None:
        """The panel's end disappears, as a USB adapter does."""
        assert self._bus is not None
        self._loop.remove_reader(self._bus.master)
        self._bus.close()
        self.bus_path.unlink()
        self._bus = None

    def renew_node(self, n: int) -> None:
        """A node's end is replaced by another pty under the same path."""
        self._loop.remove_reader(self._nodes[n].master)
        self._nodes[n].close()
        self._nodes[n] = Pty(self.node_paths[n])
        self._loop.add_reader(self._nodes[n].master, self._carry, self._nodes[n], None)

    def close(self) -> None:
        for pty in [*self._nodes, *([self._bus] if self._bus else [])]:
            self._loop.remove_reader(pty.master)
            pty.close()

    def inject(self, data: bytes) -> None:
        """Bytes that no panel sent, to every node."""
        for pty in self._nodes:
            os.write(pty.master, data)

    def _carry(self, source: Pty, sinks: list[Pty] | None) -> None:
        data = bytearray(os.read(source.master, 4096))
        if self.cut or (sinks is None and self._bus is None):
            return
        self.chunks += 1
        self.tap(sinks is not None, bytes(data))
        if self.damage and self._random.random() < self.damage:
            bit = self._random.randrange(8 * len(data))
            data[bit // 8] ^= 1 << bit % 8
            self.flips += 1
        for sink in [self._bus] if sinks is None else sinks:
            assert sink is not None
            with contextlib.suppress(BlockingIOError):
                os.write(sink.master, data)


class Pins:
    """The physical world at a node's pins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.levels = {"contact": 0, "rex": 1, "tamper": 1, "fire": 0}
        self.setup: list[dict[str, object]] = []
        self.relay: list[tuple[float, int]] = []
        self.indicators: list[tuple[str, object]] = []
        self.hellos: list[str] = []
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)

    def drop(self) -> None:
        """Close the connection; the node has to come back."""
        assert self._writer is not None
        self._writer.close()
        self._writer = None

    @property
    def connected(self) -> bool:
        return self._writer is not None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            match message["op"]:
                case "hello":
                    self.hellos.append(message["device"])
                    self._writer = writer
                case "setup" if message["mode"] == "in":
                    self._send({"op": "edge", "pin": message["pin"], "value": self.levels[message["pin"]]})
                case "setup":
                    self.setup.append(message)
                case "write":
                    self.relay.append((time.monotonic(), message["value"]))
                case "indicator":
                    self.indicators.append((message["name"], message["value"]))
        writer.close()

    def _send(self, message: dict[str, object]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message).encode() + b"\n")

    def edge(self, pin: str, value: int) -> None:
        self.levels[pin] = value
        self._send({"op": "edge", "pin": pin, "value": value})

    def card(self, number: int, bits: int = 26) -> None:
        data = (number << -bits % 8).to_bytes((bits + 7) // 8, "big")
        self._send({"op": "wiegand", "port": "reader", "bits": bits, "data": data.hex()})

    def keys(self, text: str) -> None:
        self._send({"op": "keys", "port": "reader", "keys": text})

    def raw(self, line: bytes) -> None:
        assert self._writer is not None
        self._writer.write(line)


class Node:
    """A door node in the real MicroPython interpreter, in the heap of its board."""

    def __init__(self, folder: Path, bus: Path, pins: Path, address: int = 5, key: bytes = KEY) -> None:
        key_file = folder / f"{address}.key"
        key_file.write_text(key.hex() + "\n")
        self.file = folder / f"node-{address}.json"
        settings = {
            "name": f"door-{address}",
            "bus": str(bus),
            "pins": str(pins),
            "address": address,
            "scbk_file": str(key_file),
            "serial": 1000 + address,
            "fire_loop": True,
        }
        self.file.write_text(json.dumps(settings))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(MICROPYTHON), "-X", f"heapsize={HEAP}", "-m", "firmware.drivers.unix.door_node", str(self.file),
            cwd=FIRMWARE_ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), DEADLINE_S)
        assert line == b"READY\n", (line, await self.complaints())

    async def complaints(self) -> str:
        """What it printed on stderr; waits for its end."""
        assert self._process is not None
        assert self._process.stderr is not None
        return (await asyncio.wait_for(self._process.stderr.read(), DEADLINE_S)).decode()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self.running:
            self._process.terminate()
        return await self._process.wait()

    async def power_off(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()


class Bench:
    """One panel, its cable, one or more nodes with their pins; `seen` is what the panel observed."""

    def __init__(self, folder: Path, nodes: int = 1, damage: float = 0.0, seed: int = 1) -> None:
        self.folder = folder
        self.cable = Cable(folder, nodes, damage, seed)
        self.pins = [Pins(folder / f"pins-{n}.sock") for n in range(nodes)]
        self.nodes = [
            Node(folder, self.cable.node_paths[n], self.pins[n].path, address=5 + n) for n in range(nodes)
        ]  # fmt: skip
        self.seen: list[Observation] = []
        self.also: Callable[[Observation], None] = lambda _observation: None
        self.seen_s: list[float] = []
        self.bus: OsdpBus | None = None
        self._run: asyncio.Task[None] | None = None

    def panel(self, devices: list[OsdpDevice] | None = None, **settings: int) -> OsdpBus:
        """Start the control panel."""
        if devices is None:
            devices = [OsdpDevice(f"r{n}", 5 + n, KEY, INPUTS, OUTPUTS) for n in range(len(self.nodes))]
        self.bus = OsdpBus("a", str(self.cable.bus_path), 115200, devices, LoopClock(), self._observe, **settings)
        self._run = asyncio.create_task(self.bus.run())
        return self.bus

    def _observe(self, observation: Observation) -> None:
        self.seen.append(observation)
        self.seen_s.append(time.monotonic())
        self.also(observation)

    def cards(self, device: str = "r0") -> list[int]:
        """Card numbers seen, in order."""
        return [
            int.from_bytes(o.data, "big") >> -o.bits % 8
            for o in self.seen
            if isinstance(o, CardRead) and o.device == device
        ]

    def transitions(self, device: str = "r0") -> list[str]:
        """ "online" and causes of going offline, in order."""
        return [
            "online" if isinstance(o, DeviceOnline) else o.cause
            for o in self.seen
            if isinstance(o, DeviceOnline | DeviceOffline) and o.device == device
        ]

    def beeps(self, n: int = 0) -> list[object]:
        """How often the buzzer sounded, in order."""
        return [value for name, value in self.pins[n].indicators if name == "buzzer"]

    def inputs(self, name: str, device: str = "r0") -> list[bool]:
        return [
            o.active for o in self.seen if isinstance(o, InputChanged) and o.name == name and o.device == device
        ]  # fmt: skip

    async def online(self, device: str = "r0") -> None:
        assert self.bus is not None
        bus = self.bus
        await until(lambda: bus.online(device), f"{device} online")

    async def stop_panel(self) -> None:
        if self._run is not None:
            self._run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run
            self._run = None

    async def close(self) -> None:
        await self.stop_panel()
        for node in self.nodes:
            if node.running:
                await node.power_off()
        for pins in self.pins:
            await pins.stop()
        self.cable.close()


@contextlib.asynccontextmanager
async def bench(
    folder: Path, nodes: int = 1, damage: float = 0.0, seed: int = 1, start: bool = True
) -> AsyncIterator[Bench]:
    """A bench whose nodes run (unless `start` is False), without a panel yet."""
    it = Bench(folder, nodes, damage, seed)
    try:
        for pins in it.pins:
            await pins.start()
        if start:
            await asyncio.gather(*[node.start() for node in it.nodes])
        yield it
    finally:
        await it.close()
