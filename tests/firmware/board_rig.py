"""A board's own file set, from boot.py on, in MicroPython's Unix build: its pins here, its bus on a pty."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from interpreters import MICROPYTHON, ROOT

sys.path[:0] = [str(ROOT / "setup"), str(ROOT / "tests" / "osdp")]
from firmware_board import load  # noqa: E402
from firmware_build import write_image  # noqa: E402
from osdp_rig import until  # noqa: E402

KEY = bytes(range(16))
# The world's own modules lie in the same heap; what the node needs is measured without them (setup/firmware_memory.py).
HEAP = "heapsize=384k"
REST = {
    "contact": 0, "rex": 1, "tamper": 1, "fire": 0, "mains": 0, "smoke": 0, "pir": 0, "water": 0, "panic": 0,
    "service": 1,
}  # fmt: skip


@functools.cache
def built(name: str) -> Path:
    """The files of this board, built once."""
    folder = Path(tempfile.mkdtemp(prefix="zhian-image-")) / name
    atexit.register(shutil.rmtree, folder.parent)
    write_image(load(ROOT / "firmware" / "boards" / f"{name}.toml"), folder)
    return folder


class SimulatedBoard:
    """One board with power, pins and a reader. `written` is what its outputs did, in order: (pin, level)."""

    def __init__(self, name: str, folder: Path, bus: Path, settings: dict[str, object]) -> None:
        self.image = Path(shutil.copytree(built(name), folder / "image"))
        (self.image / "node.json").write_text(json.dumps(settings))
        pins = load(ROOT / "firmware" / "boards" / f"{name}.toml").pins
        self._socket = folder / "pins.sock"
        self._link = folder / "link.json"
        self._wiring = {
            "pins": str(self._socket), "bus": str(bus),
            "gpio": {str(pin["gpio"]): pin_name for pin_name, pin in pins.items()},
        }  # fmt: skip
        self.levels = dict(REST)
        self.written: list[tuple[str, int]] = []
        self.said: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def power_on(self) -> None:
        """Returns once boot.py has run."""
        self._link.write_text(json.dumps({**self._wiring, "levels": self.levels}))
        self.written.clear()
        self.said.clear()
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._serve, str(self._socket))
        self._process = await asyncio.create_subprocess_exec(
            str(MICROPYTHON), "-X", HEAP, "-m", "sim.microcontroller.start", str(self.image),
            cwd=ROOT, env={**os.environ, "BOARD_LINK": str(self._link)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        await until(lambda: self.written or not self.running, f"boot.py of the board ({self.said})")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> int:
        """The exit code, once it ends by itself."""
        assert self._process is not None
        assert self._reading is not None
        await asyncio.wait_for(self._reading, 20)
        return await self._process.wait()

    async def power_off(self) -> None:
        assert self._process is not None
        if self.running:
            self._process.kill()
        await self._process.wait()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def interrupt(self) -> None:
        """Ctrl-C on its console."""
        self._send({"op": "interrupt"})

    async def close(self) -> None:
        if self._process is not None:
            await self.power_off()
        if self._server is not None:
            self._server.close()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.said.append(line.decode().rstrip())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        while line := await reader.readline():
            message = json.loads(line)
            if message["op"] == "write":
                self.written.append((message["pin"], message["value"]))

    def _send(self, message: dict[str, object]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message).encode() + b"\n")

    def edge(self, pin: str, value: int) -> None:
        self.levels[pin] = value
        self._send({"op": "edge", "pin": pin, "value": value})

    def analog(self, pin: str, permille: int) -> None:
        self._send({"op": "analog", "pin": pin, "permille": permille})

    def card(self, bits: int, data: bytes) -> None:
        self._send({"op": "wiegand", "bits": bits, "data": data.hex()})

    def keys(self, text: str) -> None:
        self._send({"op": "keys", "keys": text})

    def level(self, pin: str) -> int | None:
        """What this output shows; None where it was never set."""
        return dict(self.written).get(pin)
