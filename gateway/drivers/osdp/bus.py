"""One RS-485 line with its devices: whose turn it is, what goes out, what came back. The rules are in `device`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

from gateway.drivers.osdp import device as devices_
from gateway.drivers.osdp.device import MAX_ORDERS, UNPLUGGED, Device, OsdpDevice
from gateway.drivers.osdp.line import Line, LineGoneError, open_line
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.requests import requests_for
from gateway.errors import DriverError
from gateway.model import Command, DeviceOffline, DeviceOnline, FireRelease, Observation
from gateway.ports import Clock
from runtime import log

_OPEN_FIRST_S = 0.1
_OPEN_MAX_S = 2.0
_QUIET_BYTES = 2  # the standard's pause on the line before the panel may send again, in byte times
# The loop's timers count whole milliseconds; what is shorter is waited for by giving way to other tasks.
_SHORT_S = 0.001
_log = log.get("osdp")


class OsdpBus:
    """The control panel of one line; an `Actuator`. Nothing happens before `run`.

    `observe` is called on the loop, in the order things happened; what it raises ends `run`.
    `idle_gap_ms`: how long a device is left alone after it had nothing to say. `reply_timeout_ms`: how long a device
    may take to begin its reply, wire time not counted.
    """

    def __init__(
        self,
        name: str,
        port: str,
        baud: int,
        devices: Sequence[OsdpDevice],
        clock: Clock,
        observe: Callable[[Observation], None],
        *,
        idle_gap_ms: int = 10,
        reply_timeout_ms: int = 60,
    ) -> None:
        """Raises DriverError where names or addresses clash or a key has not 16 bytes."""
        devices_.check(list(devices), name)
        self._name = name
        self._port = port
        self._baud = baud
        self._clock = clock
        self._observe = observe
        self._reply_timeout_s = reply_timeout_ms / 1000
        self._quiet_s = _QUIET_BYTES * 10 / baud
        self._devices = {d.name: Device(d, secrets.token_bytes, idle_gap_ms / 1000) for d in devices}
        self._offline_since_ms: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._exchanges = 0
        self._retries = 0

    @property
    def exchanges(self) -> int:
        """Frames sent so far, repeated ones included."""
        return self._exchanges

    @property
    def retries(self) -> int:
        """Frames that got no answer in time."""
        return self._retries

    def online(self, device: str) -> bool:
        """The device answers over a secure session. False for a name that is not on this bus."""
        return device in self._devices and self._devices[device].online is True

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """Return once the device has acknowledged all `commands`, done in order and ahead of polling; a fire release
        also goes ahead of whatever else waits.

        Raises DriverError: unknown or offline device, refused or not acknowledged in time, too many waiting.
        """
        target = self._devices.get(device)
        if target is None:
            raise DriverError(f"osdp: bus {self._name!r}: expected one of {sorted(self._devices)}, got {device!r}")
        requests = requests_for(commands, device, target.config.outputs)
        if not requests:
            return
        if not target.online:
            raise DriverError(f"osdp: device {device!r} is offline; nothing was sent, check its line")
        vital = any(isinstance(command, FireRelease) and command.on for command in commands)
        if len(target.orders) >= MAX_ORDERS * (2 if vital else 1):
            text = f"osdp: device {device!r}: {MAX_ORDERS} commands wait already; nothing was sent, try later"
            raise DriverError(text)
        order = Order(requests, asyncio.get_running_loop().time(), vital=vital)
        target.give(order)
        self._wake.set()
        await order.done

    async def run(self) -> None:
        """Serve the line until cancelled; open it again whenever it goes away. No fault of the bus escapes."""
        pause_s = _OPEN_FIRST_S
        complained = False
        try:
            while True:
                try:
                    line = open_line(self._port, self._baud, self._wake.set)
                except LineGoneError as e:
                    if not complained:
                        _log.warning("bus cannot be opened", bus=self._name, port=self._port, error=log.shown(e))
                        complained = True
                    self._lose_all()
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _OPEN_MAX_S)
                    continue
                _log.info("bus open", bus=self._name, port=self._port, baud=self._baud)
                complained = False
                pause_s = _OPEN_FIRST_S
                try:
                    await self._serve(line)
                except LineGoneError as e:
                    _log.warning("bus gone", bus=self._name, port=self._port, error=log.shown(e))
                    self._lose_all()
                    await asyncio.sleep(pause_s)
                finally:
                    line.close()
        finally:
            for device in self._devices.values():
                device.stop()

    async def _serve(self, line: Line) -> None:
        """Take turns. Raises LineGoneError."""
        loop = asyncio.get_running_loop()
        for device in self._devices.values():
            device.soon()
        while True:
            if line.gone:
                raise LineGoneError("the line has ended")
            self._wake.clear()
            turn = self._whose_turn()
            now_s = loop.time()
            earliest_s = line.heard_s + self._quiet_s
            if turn is not None:
                earliest_s = max(earliest_s, 0.0 if turn.wants_now() else turn.due_s)
            if turn is not None and earliest_s <= now_s:
                await self._turn(turn, line)
            elif turn is not None and earliest_s - now_s < _SHORT_S:
                await asyncio.sleep(0)
            else:
                await self._idle(None if turn is None else earliest_s - now_s)

    def _whose_turn(self) -> Device | None:
        """Fire releases first, then commands in the order they were given; then whoever has waited longest."""
        devices = self._devices.values()
        ordered = [device for device in devices if device.wants_now()]
        if ordered:
            return min(ordered, key=lambda device: (not device.orders[0].vital, device.orders[0].since_s))
        return min(devices, key=lambda device: device.due_s, default=None)

    async def _turn(self, device: Device, line: Line) -> None:
        loop = asyncio.get_running_loop()
        self._exchanges += 1
        reply = await line.exchange(device.frame(loop.time()), device.accept, self._reply_timeout_s)
        now_s = loop.time()
        if reply is None:
            self._retries += 1
            self._report(device.silent(now_s))
        else:
            self._report(device.replied(reply, now_s))

    async def _idle(self, longest_s: float | None) -> None:
        """Wait for the next turn, a command, or the end of the line."""
        timer = None if longest_s is None else asyncio.get_running_loop().call_later(longest_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _lose_all(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for device in self._devices.values():
            self._report(device.lose(UNPLUGGED, now_s))

    def _report(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            if isinstance(observation, DeviceOffline):
                self._offline_since_ms[observation.device] = self._clock.monotonic_ms()
                _log.warning("device offline", bus=self._name, device=observation.device, cause=observation.cause)
            elif isinstance(observation, DeviceOnline):
                since_ms = self._offline_since_ms.pop(observation.device, None)
                away_ms = None if since_ms is None else self._clock.monotonic_ms() - since_ms
                _log.info("device online", device=observation.device, detail=observation.detail, away_ms=away_ms)
            self._observe(observation)
