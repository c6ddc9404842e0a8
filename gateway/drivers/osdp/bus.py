"""One RS-485 line with its devices: whose turn it is, what goes out, what came back. The rules are in `device`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

from firmware.wire import codes
from firmware.wire.commands import KeySet, Manufacturer
from firmware.wire.errors import MessageError
from firmware.wire.message import Message
from firmware.wire.replies import ManufacturerReply
from gateway.drivers.osdp import configured
from gateway.drivers.osdp.configured import OsdpDevice
from gateway.drivers.osdp.device import MAX_ORDERS, UNPLUGGED, Device
from gateway.drivers.osdp.line import Line, LineGoneError, open_line
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.requests import requests_for
from gateway.drivers.osdp.ring import Ring
from gateway.drivers.osdp.session import Reply, Request
from gateway.drivers.osdp.transfer import MAX_FILE_BYTES, Transfer
from gateway.errors import DriverError
from gateway.model import Command, DeviceOffline, DeviceOnline, FireRelease, Observation
from gateway.ports import Clock
from runtime import log

_OPEN_FIRST_S = 0.1
_OPEN_MAX_S = 2.0
_NEW_KEY_S = 8.0  # a device that took a key is back under it well within that
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
        configured.check(list(devices), name)
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
        self._confirmations: dict[str, asyncio.Future[bytes]] = {}
        self.trace = Ring()
        self._epoch_ns = 0  # Unix nanoseconds when the loop's clock was 0

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
        target = self._target(device)
        requests = requests_for(commands, device, target.config.outputs)
        if not requests:
            return
        vital = any(isinstance(command, FireRelease) and command.on for command in commands)
        await self._ordered(target, requests, vital)

    async def tell(self, device: str, messages: Sequence[Message]) -> Reply:
        """As `send`, for any of firmware.wire.commands (Led, Buzzer, Text, ...); returns the reply to the last."""
        return await self._ordered(self._target(device), [Request(m.code, m.encode()) for m in messages], False)

    async def manufacturer(self, device: str, data: bytes) -> bytes:
        """A command between our own ends (MFG with our vendor code); what the device answered, b"" for a mere
        acknowledgement. Goes ahead of polling. Raises DriverError as `send` does."""
        reply = await self.tell(device, [Manufacturer(codes.VENDOR, data)])
        if reply.code == codes.ACK:
            return b""
        try:
            answer = ManufacturerReply.decode(reply.payload) if reply.code == codes.MFGREP else None
        except MessageError:
            answer = None
        if answer is None or answer.vendor != codes.VENDOR:
            raise DriverError(f"osdp: device {device!r} answered something else; update its firmware")
        return bytes(answer.data)

    async def transfer(self, device: str, file_type: int, data: bytes) -> None:
        """Return once the device has taken the file, sent in pieces between polls; commands and cards go ahead of it.

        Raises DriverError: unknown or offline device, another file on its way, refused, stalled, or an impossible size.
        """
        target = self._target(device)
        if not 0 < len(data) <= MAX_FILE_BYTES:
            raise DriverError(f"osdp: a file for {device!r}: expected 1..{MAX_FILE_BYTES} bytes, got {len(data)}")
        if not target.online:
            raise DriverError(f"osdp: device {device!r} is offline; nothing was sent, check its line")
        if target.transfer is not None and not target.transfer.over:
            raise DriverError(f"osdp: device {device!r} is being sent another file; try again when that has ended")
        now_s = asyncio.get_running_loop().time()
        target.transfer = transfer = Transfer(device, file_type, data, self._baud, now_s)
        target.due_s = min(target.due_s, now_s)
        self._wake.set()
        await transfer.done

    async def rotate_key(self, device: str) -> None:
        """Give the device a fresh key; return once a session under it has begun and the key file holds it.

        The new key is on disk before the device hears of it; until the device has proved which one it has, both are
        tried, so that a power cut at either end costs nothing. Raises DriverError; then it can be called again.
        """
        target = self._target(device)
        if (file := target.config.key_file) is None:
            raise DriverError(f"osdp: device {device!r} has no key file; name one in the configuration")
        if not target.online:
            raise DriverError(f"osdp: device {device!r} is offline; nothing was sent, check its line")
        if await asyncio.to_thread(file.staged) == target.key:  # proved earlier, when the disk did not take it
            await asyncio.to_thread(file.promote)
        key = await asyncio.to_thread(file.stage)
        target.offer_key(key)
        await self._ordered(target, [Request(codes.KEYSET, KeySet(key).encode())], False)
        loop = asyncio.get_running_loop()
        proof = self._confirmations[device] = loop.create_future()
        target.shake_hands_again(loop.time())
        self._wake.set()
        try:
            async with asyncio.timeout(_NEW_KEY_S):
                proved = await proof
        except TimeoutError:
            text = "took a new key and did not come back within"
            raise DriverError(
                f"osdp: device {device!r} {text} {_NEW_KEY_S:g} s; both keys are tried, look again"
            ) from None
        finally:
            self._confirmations.pop(device, None)
        if proved != key:
            raise DriverError(
                f"osdp: device {device!r} acknowledged a new key and kept its old one; replace the device"
            )

    def _target(self, device: str) -> Device:
        target = self._devices.get(device)
        if target is None:
            raise DriverError(f"osdp: bus {self._name!r}: expected one of {sorted(self._devices)}, got {device!r}")
        return target

    async def _ordered(self, target: Device, requests: Sequence[Request], vital: bool) -> Reply:
        device = target.config.name
        if not target.online:
            raise DriverError(f"osdp: device {device!r} is offline; nothing was sent, check its line")
        if len(target.orders) >= MAX_ORDERS * (2 if vital else 1):
            text = f"osdp: device {device!r}: {MAX_ORDERS} commands wait already; nothing was sent, try later"
            raise DriverError(text)
        order = Order(requests, asyncio.get_running_loop().time(), vital=vital)
        target.give(order)
        self._wake.set()
        return await order.done

    async def run(self) -> None:
        """Serve the line until cancelled; open it again whenever it goes away. No fault of the bus escapes."""
        pause_s = _OPEN_FIRST_S
        complained = False
        self._epoch_ns = self._clock.now_ms() * 1_000_000 - int(asyncio.get_running_loop().time() * 1e9)
        try:
            while True:
                try:
                    line = open_line(self._port, self._baud, self._wake.set, self._heard)
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
            if device.confirmed_key is not None:
                self._confirm(device, device.confirmed_key)

    def _confirm(self, device: Device, key: bytes) -> None:
        """A handshake has just shown which key the device has."""
        device.confirmed_key = None
        name = device.config.name
        if key != device.key:
            device.settle_key(key)
            if device.config.key_file is not None:
                try:
                    device.config.key_file.promote()
                except DriverError as e:  # it stays staged, and is tried again at the next start
                    _log.error("new key not in place", device=name, error=log.shown(e))
            _log.info("device has its new key", device=name)
        waiting = self._confirmations.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(key)

    def _heard(self, from_panel: bool, data: bytes) -> None:
        self.trace.add(self._epoch_ns + int(asyncio.get_running_loop().time() * 1e9), from_panel, data)

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
