"""Door nodes: the real firmware in the real MicroPython interpreter, one process each, with a power switch."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from runtime import log
from sim.errors import NodeError

MODULE = "firmware.drivers.unix.door_node"
MAX_LINE = 512  # bytes of a node's output that reach one log line
RESTART_S = (0.5, 10.0)  # a node that died starts again by its watchdog; waits double in between
STABLE_S = 30.0  # a node that ran this long starts the waits anew
STOP_S = 2.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)

_log = log.get("sim.nodes")


def interpreter() -> Path:
    """The MicroPython interpreter beside this Python. Raises NodeError where there is none, with the reason."""
    found = Path(sys.executable).parent / "micropython"
    if found.exists():
        return found
    if platform.machine() != "x86_64":
        raise NodeError(
            f"door nodes need the MicroPython interpreter, which is packaged for x86_64 only and this is "
            f"{platform.machine()}; the demo runs without nodes, so its doors stay offline"
        )
    raise NodeError(f"{found}: the MicroPython interpreter is missing; install zhian[sim]")


def firmware_root() -> Path:
    """The folder that holds the `firmware` package. Raises NodeError where the firmware is not installed."""
    try:
        spec = importlib.util.find_spec(MODULE)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise NodeError(f"{MODULE} is not installed; door nodes cannot run without their firmware")
    return Path(spec.origin).parents[MODULE.count(".")]


def _die_with_the_world() -> None:
    """In the child, before exec: the kernel kills it when the world ends, however that happens (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Node:
    """One door node. `on()` and `off()` are its power switch; `run()` keeps it alive while the power is on."""

    def __init__(self, name: str, config_file: Path) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.on_power: Callable[[bool], None] = lambda _on: None
        self.on_ready: Callable[[], None] = lambda: None
        self._config_file = config_file
        self._powered = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._last_words = ""

    @property
    def powered(self) -> bool:
        """Whether the power switch is on."""
        return self._powered.is_set()

    @property
    def running(self) -> bool:
        """Whether the firmware runs and polls its bus."""
        return self.ready.is_set()

    @property
    def pid(self) -> int | None:
        """The process of the firmware, where one has been started."""
        return self._process.pid if self._process is not None else None

    def on(self) -> None:
        """Switch the power on."""
        if not self.powered:
            self._powered.set()

    def off(self) -> None:
        """Cut the power: the firmware stops where it is."""
        if self.powered:
            self._powered.clear()
            self.on_power(False)
            self.ready.clear()
            self._signal(signal.SIGKILL)

    async def run(self) -> None:
        """Start the firmware whenever there is power, until cancelled. Raises NodeError where it cannot be started."""
        wait_s = RESTART_S[0]
        command = (str(interpreter()), "-m", MODULE, str(self._config_file))
        root = firmware_root()
        loop = asyncio.get_running_loop()
        while True:
            await self._powered.wait()
            begun_s = loop.time()
            self.on_power(True)
            await self._live(command, root)
            if not self.powered:
                wait_s = RESTART_S[0]
                continue
            if loop.time() - begun_s > STABLE_S:
                wait_s = RESTART_S[0]
            code = self._process.returncode if self._process else None
            _log.warning(
                "node ended by itself; its watchdog starts it again",
                node=self.name,
                code=code,
                wait_s=wait_s,
                last_words=log.shown(self._last_words),
            )
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RESTART_S[1])

    async def _live(self, command: tuple[str, ...], root: Path) -> None:
        """One life of the firmware, from power-on to the end of its process."""
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            cwd=root,
            env={"MICROPYPATH": f".frozen:{root}", "PATH": "/usr/bin:/bin"},  # .frozen holds its asyncio
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_die_with_the_world,
        )
        if not self.powered:  # switched off while it was being started
            self._signal(signal.SIGKILL)
        try:
            await self._echo(process)
            await process.wait()
        except asyncio.CancelledError:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            self._signal(signal.SIGKILL)
            await process.wait()
            raise
        finally:
            self.ready.clear()

    async def _echo(self, process: asyncio.subprocess.Process) -> None:
        """Log what the node prints, until it closes its output."""
        if process.stdout is None:
            return
        while line := await _line(process.stdout):
            text = line[:MAX_LINE].decode("utf-8", "replace").rstrip()
            if text == "READY" and self.powered:
                self.ready.set()
                self.on_ready()
            self._last_words = text
            _log.debug("node says", node=self.name, text=log.shown(text))

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, cut where the stream's buffer ends; b"" at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as e:
        return e.partial
    except asyncio.LimitOverrunError as e:
        return await stream.read(e.consumed)
