"""The OSDP line by itself: our panel on a pty with the nodes' own sessions (firmware.node) behind it.

Unpaced figures are of this machine. Paced ones run in virtual time, in which a byte takes ten bits and thinking takes
none, so that they say how well the turns are chosen whatever else the machine does; their ceiling is arithmetic: bytes
times ten bits. With eight devices polled in turn a card waits up to one round; its 95th percentile is 95 % of a round
and the exchange that carries it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import selectors
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from firmware.node.door import DoorNode
from firmware.node.peripheral import Peripheral
from firmware.wire import codes
from firmware.wire.frame import FrameParser
from firmware.wire.replies import Identity
from gateway.drivers.aes import aes
from gateway.drivers.clock import SystemClock
from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.drivers.osdp.transfer import piece_bytes
from gateway.model import CardRead, Observation, PulseOutput
from zhian.benches import Figure, absolute, against

BAUD = 38_400
BITS_PER_BYTE = 10
DEVICES = 8
CARDS = 400
CARD_GAP_S = 0.06  # on average, over all devices
COMMANDS = 200
POLLING_S = 1.5
FILE_BYTES = 2_000
_POLL = _ACK = 15  # bytes of a secured frame without data, mark included
_WITH_BLOCK = 31  # with one block of data: a card, a command to an output


class _Door(DoorNode):
    def on_file(self, _kind: int, _data: bytes) -> int:
        return int(codes.FT_PROCESSED)


class _Device:
    """One node's session."""

    def __init__(self, name: str, address: int, key: bytes) -> None:
        self.name = name
        self.door = _Door()
        identity = Identity(codes.VENDOR, 1, 1, address, (0, 1, 0))
        self._pd = Peripheral(address, key, aes, secrets.token_bytes, identity, self.door)
        self._parser = FrameParser()

    def card(self, number: int) -> None:
        self.door.card(26, (number << 6).to_bytes(4, "big"), _now_ms())

    def heard(self, data: bytes) -> bytes:
        """What it answers to what came along the line."""
        replies = [self._pd.receive(frame, _now_ms()) for frame in self._parser.feed(data)]
        return b"".join(reply for reply in replies if reply is not None)


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)


class _Rig:
    """A line with its devices and the panel; `seen` is when each card was told. baud None: nothing is paced."""

    def __init__(self, baud: int | None, count: int) -> None:
        self._byte_s = 0.0 if baud is None else BITS_PER_BYTE / baud
        self._master, slave = os.openpty()
        self._slave = slave
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        names = [f"r{n}" for n in range(count)]
        keys = [secrets.token_bytes(16) for _ in names]
        self.devices = [_Device(name, 1 + n, keys[n]) for n, name in enumerate(names)]
        configured = [OsdpDevice(name, 1 + n, keys[n], {}, {"lock": 0}) for n, name in enumerate(names)]
        # The rate of an unpaced pty means nothing; it only keeps the panel's pauses short.
        rate, gap_ms = (1_000_000, 0) if baud is None else (baud, 10)
        clock = SystemClock("UTC", 0)
        self.bus = OsdpBus("bench", os.ttyname(slave), rate, configured, clock, self._observe, idle_gap_ms=gap_ms)
        self.seen: dict[int, float] = {}

    def _observe(self, observation: Observation) -> None:
        if isinstance(observation, CardRead):
            self.seen[int.from_bytes(observation.data, "big") >> 6] = asyncio.get_running_loop().time()

    def _from_panel(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._after(os.read(self._master, 4096), self._at_devices)

    def _at_devices(self, data: bytes) -> None:
        for device in self.devices:
            if reply := device.heard(data):
                self._after(reply, lambda reply: os.write(self._master, reply))

    def _after(self, data: bytes, arrived: Callable[[bytes], object]) -> None:
        if self._byte_s:
            asyncio.get_running_loop().call_later(len(data) * self._byte_s, arrived, data)
        else:
            arrived(data)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._from_panel)
        task = asyncio.create_task(self.bus.run())
        try:
            async with asyncio.timeout(60):
                while not all(self.bus.online(device.name) for device in self.devices):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # the bus has no event for it
                yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            loop.remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)


class _JumpingSelector(selectors.SelectSelector):
    """Where nothing comes within a moment of real time (the kernel hands a pty's bytes over by itself), time jumps."""

    MOMENT_S = 0.001
    TURN_S = 20e-6  # what a turn of the loop is taken to cost: short pauses are waited for by turning it

    def __init__(self) -> None:
        super().__init__()
        self.virtual_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        at_once = timeout is not None and timeout <= 0
        found = super().select(0 if at_once else self.MOMENT_S)
        if not found:
            self.virtual_s += self.TURN_S if at_once else 1.0 if timeout is None else timeout
        return found


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.virtual_s


def run() -> list[Figure]:
    """Unpaced: round trip and cards. Paced: cards, commands and a file among eight devices at 38400 baud."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return asyncio.run(_unpaced()) + runner.run(_paced())


async def _unpaced() -> list[Figure]:
    rig = _Rig(None, 1)
    async with rig.running():
        before, began_s, cpu_s = rig.bus.exchanges, time.perf_counter(), time.process_time()
        await asyncio.sleep(POLLING_S)
        polls = rig.bus.exchanges - before
        poll_s = (time.perf_counter() - began_s) / polls
        cpu_s = (time.process_time() - cpu_s) / polls
        began_s, shown = time.perf_counter(), 0
        while time.perf_counter() - began_s < POLLING_S:
            while len(rig.devices[0].door.events) < 8:
                shown += 1
                rig.devices[0].card(shown)
            await asyncio.sleep(0.001)
        cards_per_s = len(rig.seen) / (time.perf_counter() - began_s)
    return [
        absolute("bus: poll round trip, unpaced", poll_s * 1000, "ms", 1.0, "lower"),
        absolute("bus: CPU of an exchange, both ends", cpu_s * 1000, "ms", 0.5, "lower"),
        # A card is one exchange; the rest is the panel's and the node's own work on it.
        against("bus: cards a second, unpaced", cards_per_s, "1/s", 1 / poll_s, 0.5, "higher"),
    ]


async def _paced() -> list[Figure]:
    rig = _Rig(BAUD, DEVICES)
    byte_s = BITS_PER_BYTE / BAUD
    round_s = DEVICES * (_POLL + _ACK) * byte_s
    async with rig.running():
        cards_s = await _cards(rig)
        commands_s = [await _timed(_command(rig, n)) for n in range(COMMANDS)]
        file_s = await _timed(rig.bus.transfer("r0", codes.FILE_OFFLINE_CACHE, bytes(FILE_BYTES)))
    piece = piece_bytes(BAUD)
    piece_s = (15 + (piece + 11 + 16) // 16 * 16 + _WITH_BLOCK) * byte_s
    ideal_file_s = -(-FILE_BYTES // piece) * (round_s + piece_s)
    card_s = 0.95 * round_s + (_POLL + _WITH_BLOCK) * byte_s
    command_s = 0.95 * (_POLL + _ACK) * byte_s + (_WITH_BLOCK + _ACK) * byte_s
    return [
        _figure("bus: card among 8 devices at 38400, p95", _p95(cards_s), card_s),
        _figure("bus: command among 8 devices at 38400, p95", _p95(commands_s), command_s),
        _figure("bus: file of 2 kB to one of 8 at 38400", file_s, ideal_file_s),
        absolute("bus: frames sent again, paced", rig.bus.retries, "", 0, "lower"),
    ]


async def _cards(rig: _Rig) -> list[float]:
    loop = asyncio.get_running_loop()
    rng = random.Random(7)  # noqa: S311 - repeatable, not secret
    shown_s: dict[int, float] = {}
    for number in range(1, CARDS + 1):
        await asyncio.sleep(rng.expovariate(1 / CARD_GAP_S))
        shown_s[number] = loop.time()
        rng.choice(rig.devices).card(number)
    async with asyncio.timeout(10):
        while len(rig.seen) < CARDS:  # noqa: ASYNC110 - polled on purpose: nobody waits for one card
            await asyncio.sleep(0.01)
    return [rig.seen[number] - shown_s[number] for number in shown_s]


async def _command(rig: _Rig, n: int) -> None:
    await rig.bus.send(f"r{n % DEVICES}", [PulseOutput("lock", 100)])


async def _timed(work: Awaitable[None]) -> float:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - a moment that no round of polls knows
    began_s = loop.time()
    await work
    return loop.time() - began_s


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def _figure(name: str, value_s: float, ceiling_s: float) -> Figure:
    return against(name, value_s * 1000, "ms", ceiling_s * 1000, 1.5, "lower")
