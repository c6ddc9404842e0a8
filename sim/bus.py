"""RS-485 lines as pairs of pseudo-terminals. The world is the wire: a byte takes the time that the baud rate says.

What the control panel sends reaches every node; what a node sends reaches the control panel only. The line is half
duplex: transmissions wait for one another here, where a real line would collide (docs/simulator.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import termios
import tty
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime import log
from sim.errors import SimError

BITS_PER_BYTE = 10  # start, 8 data, stop
SLICE_S = 0.002  # bytes are handed over in slices this long: finer than any inter-character time-out of OSDP
MAX_WAITING = 16 * 1024  # bytes on their way; more means a sender that ignores the line, and they are lost
READ_BYTES = 1024

_log = log.get("sim.bus")


@dataclass(slots=True)
class _End:
    """One pseudo-terminal: the world holds the master, and keeps the slave open so that it never hangs up."""

    link: Path
    master: int
    slave: int


class Bus:
    """One line: the gateway's end `<run>/bus-<name>` and each node's end `<run>/node-<reader>`, as symlinks to ptys."""

    def __init__(self, name: str, baud: int, run_dir: Path, readers: Sequence[str]) -> None:
        self.name = name
        self.byte_s = BITS_PER_BYTE / baud
        self._run_dir = run_dir
        self._cp: _End | None = None
        self._nodes: dict[str, _End] = {}
        self._readers = tuple(readers)
        self._powered: set[str] = set()
        self._waiting: deque[tuple[str | None, bytes]] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._noise = 0.0
        self._collides_until_s = 0.0
        self._rng = random.Random(0)
        self.bytes_from_cp = 0
        self.bytes_from: dict[str, int] = dict.fromkeys(readers, 0)
        self.bytes_lost = 0

    def open(self) -> None:
        """Make the ends. Raises SimError where the machine has no pseudo-terminal left or the folder cannot be used."""
        try:
            self._cp = self._make(self._run_dir / f"bus-{self.name}")
            for reader in self._readers:
                self._nodes[reader] = self._make(self._run_dir / f"node-{reader}")
        except OSError as e:
            self.close()
            raise SimError(f"bus {self.name!r}: no pseudo-terminal in {self._run_dir} ({e.strerror})") from e
        self._watch(self._cp, None)
        for reader, end in self._nodes.items():
            self._watch(end, reader)

    def close(self) -> None:
        """Take the line down; whoever has an end open sees a hang-up."""
        for end in (self._cp, *self._nodes.values()):
            if end is not None:
                self._drop(end)
        self._cp = None
        self._nodes.clear()

    async def run(self) -> None:
        """Carry bytes until cancelled."""
        loop = asyncio.get_running_loop()
        free_at_s = loop.time()
        while True:
            await self._arrived.wait()
            source, data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            if not self._waiting:
                self._arrived.clear()
            begun_s = max(free_at_s, loop.time())
            step = max(1, int(SLICE_S / self.byte_s))
            for first in range(0, len(data), step):
                piece = data[first : first + step]
                due_s = begun_s + (first + len(piece)) * self.byte_s
                await asyncio.sleep(due_s - loop.time())
                self._deliver(source, self._disturbed(source, piece))
            free_at_s = begun_s + len(data) * self.byte_s

    # --- what can happen to a line ------------------------------------------------------------------------------

    def power(self, reader: str, on: bool) -> None:
        """A node without power neither hears nor sends. What it has not read when the power goes is forgotten."""
        if on:
            if end := self._nodes.get(reader):
                termios.tcflush(end.slave, termios.TCIFLUSH)
                with contextlib.suppress(BlockingIOError):
                    os.read(end.master, READ_BYTES)  # the rest of what a killed node had written
            self._powered.add(reader)
        else:
            self._powered.discard(reader)

    def noise(self, probability: float, seed: int) -> None:
        """From now on each byte has one bit flipped with this probability. 0 ends it."""
        self._noise = probability
        self._rng = random.Random(seed)

    @property
    def noisy(self) -> float:
        """The probability of a flipped bit per byte."""
        return self._noise

    @property
    def plugged(self) -> bool:
        """Whether the gateway's adapter is there."""
        return self._cp is not None

    def collide(self, for_s: float, seed: int) -> None:
        """For so long two nodes talk at once: what the control panel hears of any node is garbled, byte by byte."""
        self._collides_until_s = asyncio.get_running_loop().time() + for_s
        self._rng = random.Random(seed)

    def unplug(self) -> None:
        """Pull the gateway's adapter out: its end vanishes and whoever has it open sees a hang-up."""
        if self._cp is not None:
            self._drop(self._cp)
            self._cp = None

    def plug(self) -> None:
        """Put the adapter back: a new end under the same name. Raises SimError where no pseudo-terminal is left."""
        if self._cp is None:
            try:
                self._cp = self._make(self._run_dir / f"bus-{self.name}")
            except OSError as e:
                raise SimError(f"bus {self.name!r}: no pseudo-terminal in {self._run_dir} ({e.strerror})") from e
            self._watch(self._cp, None)

    # --- ends ---------------------------------------------------------------------------------------------------

    def _make(self, link: Path) -> _End:
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        fresh = link.with_name(f".{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(link)
        return _End(link, master, slave)

    def _watch(self, end: _End, source: str | None) -> None:
        asyncio.get_running_loop().add_reader(end.master, self._take, end.master, source)

    def _drop(self, end: _End) -> None:
        asyncio.get_running_loop().remove_reader(end.master)
        os.close(end.master)
        os.close(end.slave)
        end.link.unlink(missing_ok=True)

    def _take(self, master: int, source: str | None) -> None:
        try:
            data = os.read(master, READ_BYTES)
        except (BlockingIOError, OSError):
            return
        if source is not None and source not in self._powered:
            return
        if source is None:
            self.bytes_from_cp += len(data)
        else:
            self.bytes_from[source] += len(data)
        if self._waiting_bytes + len(data) > MAX_WAITING:
            self._lose(len(data))
            return
        self._waiting.append((source, data))
        self._waiting_bytes += len(data)
        self._arrived.set()

    def _deliver(self, source: str | None, data: bytes) -> None:
        if source is None:
            for reader in self._powered:
                self._hand_over(self._nodes.get(reader), data)
        else:
            self._hand_over(self._cp, data)

    def _hand_over(self, end: _End | None, data: bytes) -> None:
        if end is None:
            return
        try:
            written = os.write(end.master, data)
        except BlockingIOError:
            written = 0
        if written < len(data):
            self._lose(len(data) - written)  # nobody reads there: a UART would overrun

    def _lose(self, count: int) -> None:
        if self.bytes_lost == 0:
            _log.info("bytes lost: an end does not read", bus=self.name)
        self.bytes_lost += count

    def _disturbed(self, source: str | None, data: bytes) -> bytes:
        if source is not None and asyncio.get_running_loop().time() < self._collides_until_s:
            return bytes(byte ^ self._rng.randrange(1, 256) for byte in data)
        if self._noise <= 0:
            return data
        out = bytearray(data)
        for i in range(len(out)):
            if self._rng.random() < self._noise:
                out[i] ^= 1 << self._rng.randrange(8)
        return bytes(out)
