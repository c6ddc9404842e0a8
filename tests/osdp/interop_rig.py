"""libosdp 3.2.9 (PyPI, by other authors) as either end of a line, with damage where it is asked for."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable

import osdp_sys
from osdp import Capability, CardFormat, Channel, Command, Event, LibFlag, PDCapabilities, PDInfo
from osdp_rig import KEY

from firmware.node.door import DoorNode
from firmware.node.peripheral import Peripheral
from firmware.wire import codes, frame
from firmware.wire.commands import Text
from firmware.wire.replies import Identity
from gateway.drivers.aes import aes

ADDRESS = 5
SILENT = 0  # libosdp's log level for what cannot go on
_CAN = [
    (Capability.OutputControl, 1, 1), (Capability.LEDControl, 1, 1), (Capability.AudibleControl, 1, 1),
    (Capability.TextOutput, 1, 1), (Capability.ContactStatusMonitoring, 1, 2),
]  # fmt: skip


class Damage:
    """Flips one bit of a chunk with a probability; seeded."""

    def __init__(self, probability: float = 0.0, seed: int = 1) -> None:
        self.probability = probability
        self.flips = 0
        self._random = random.Random(seed)

    def __call__(self, data: bytes) -> bytes:
        if not data or self._random.random() >= self.probability:
            return data
        self.flips += 1
        bit = self._random.randrange(8 * len(data))
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)


class FdChannel(Channel):
    """libosdp's channel over a non-blocking descriptor; `powered` False: hears and says nothing."""

    def __init__(self, fd: int, damage: Damage | None = None) -> None:
        self._fd = fd
        self._damage = damage or Damage()
        self.id = fd
        self.powered = True

    def read(self, max_read: int) -> bytes:
        try:
            data = os.read(self._fd, max_read)
        except BlockingIOError:
            return b""
        return self._damage(data) if self.powered else b""

    def write(self, buf: bytes) -> int:
        return os.write(self._fd, self._damage(bytes(buf))) if self.powered else len(buf)

    def flush(self) -> None:
        while self.read(256):
            pass


class ForeignDevice:
    """libosdp's peripheral device. `commands` is what it was told; `refuse` the kinds that it answers with NAK."""

    def __init__(self, fd: int, key: bytes = KEY, damage: Damage | None = None, install: bool = False) -> None:
        osdp_sys.set_loglevel(SILENT)
        self.channel = FdChannel(fd, damage)
        flags = [LibFlag.InstallMode] if install else [LibFlag.EnforceSecure]
        info = PDInfo(ADDRESS, self.channel, scbk=None if install else key, flags=flags)
        self.pd = osdp_sys.PeripheralDevice(info.get(), capabilities=PDCapabilities(_CAN).get())
        self.commands: list[dict[str, object]] = []
        self.refuse = {Command.Status}  # the binding cannot answer these (its reply dict's report is dropped)
        self.answer: dict[str, object] | None = None
        self.file = b""
        self.pd.set_command_callback(self._take)
        self.pd.register_file_ops(
            0,
            {
                "open": self._open, "read": lambda _size, _offset: b"",
                "write": self._write, "close": lambda _number: None,
            },
        )  # fmt: skip

    def _take(self, command: dict[str, object]) -> tuple[int, dict[str, object] | None]:
        self.commands.append(command)
        if command["command"] in self.refuse:
            return -1, None
        if command["command"] == Command.Manufacturer and self.answer is not None:
            return 0, self.answer
        return 0, None

    def _open(self, _number: int, size: int) -> int:
        self.file = bytes(size)
        return 0

    def _write(self, data: bytes, offset: int) -> int:
        self.file = self.file[:offset] + bytes(data) + self.file[offset + len(data) :]
        return len(data)

    def of(self, kind: int) -> list[dict[str, object]]:
        """The commands of one kind, in order."""
        return [one for one in self.commands if one["command"] == kind]

    def card(self, number: int) -> bool:
        """Somebody shows a card; False where the device's queue is full."""
        data = (number << 6).to_bytes(4, "big")
        event = {"event": Event.CardRead, "reader_no": 0, "format": CardFormat.Wiegand, "direction": 0}
        return self.pd.submit_event({**event, "length": 26, "data": data}) in (0, True, None)

    def refresh(self) -> None:
        """To be called every few milliseconds."""
        self.pd.refresh()


class Node(DoorNode):
    """Our door, with what some of our devices have: a display, files, a manufacturer's command."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[int, bytes]] = []
        self.texts: list[bytes] = []
        self.asked: list[bytes] = []
        self.done: list[tuple[str, object]] = []

    def on_file(self, kind: int, data: bytes) -> int:
        self.files.append((kind, data))
        return codes.FT_PROCESSED

    def on_manufacturer(self, data: bytes) -> bytes | None:
        self.asked.append(data)
        return b"ok"

    def text(self, text: Text, now_ms: int) -> int:
        self.texts.append(text.text)
        return 0


class Memory:
    """What our node keeps over a power cut."""

    def __init__(self, key: bytes = KEY) -> None:
        self.key = key
        self.line: tuple[int, int] | None = None

    def keep_key(self, key: bytes) -> bool:
        self.key = key
        return True

    def keep_line(self, address: int, baud: int) -> bool:
        self.line = (address, baud)
        return True


class NodeChannel(Channel):
    """Our node at the other end of libosdp's channel, in this process."""

    id = 1

    def __init__(self, memory: Memory, damage: Damage | None = None) -> None:
        self.memory = memory
        self.damage = damage or Damage()
        self.powered = True
        self._said = b""
        self._parser = frame.FrameParser()
        self._began_s = time.monotonic()
        self.power_on()

    def power_on(self) -> None:
        """The node starts (again)."""
        self.node = Node()
        identity = Identity(codes.VENDOR, 1, 1, 1001, (0, 1, 0))
        self.pd = Peripheral(ADDRESS, self.memory.key, aes, secrets.token_bytes, identity, self.node, self.memory)
        self.powered = True
        self._said = b""

    def now_ms(self) -> int:
        return int((time.monotonic() - self._began_s) * 1000)

    def read(self, max_read: int) -> bytes:
        data, self._said = self._said[:max_read], self._said[max_read:]
        return data

    def write(self, buf: bytes) -> int:
        if not self.powered:
            return len(buf)
        for command in self._parser.feed(self.damage(bytes(buf))):
            reply = self.pd.receive(command, self.now_ms())
            self.node.done += self.node.effects()
            if reply is not None:
                self._said += self.damage(reply)
                self.pd.replied(self.now_ms())
        self.node.tick(self.now_ms())
        return len(buf)

    def flush(self) -> None:
        self._said = b""

    def card(self, number: int) -> None:
        """Somebody shows a card."""
        self.node.card(26, (number << 6).to_bytes(4, "big"), self.now_ms())


class ForeignPanel:
    """libosdp's control panel with what an operator of it needs: a session that is gone for 100 ms is begun anew, since
    libosdp by itself stays away for 300 s after one bad checksum or one NAK."""

    SUPERVISE_S = 0.1

    def __init__(self, channel: Channel, key: bytes = KEY, *, supervised: bool = True) -> None:
        osdp_sys.set_loglevel(SILENT)
        info = PDInfo(ADDRESS, channel, scbk=key, flags=[LibFlag.EnforceSecure])
        self.cp = osdp_sys.ControlPanel([info.get()])
        self.events: list[dict[str, object]] = []
        self.done: list[tuple[dict[str, object], int]] = []
        self.lost = 0  # sessions
        self.cp.set_event_callback(lambda _pd, event: self.events.append(event) or 0)
        self.cp.set_command_completion_callback(lambda _pd, command, status: self.done.append((command, status)))
        self._supervised = supervised
        self._since_s: float | None = None
        self._was = False

    @property
    def secure(self) -> bool:
        return bool(self.cp.sc_status() == 1)

    def cards(self) -> list[int]:
        return [
            int.from_bytes(bytes(e["data"]), "big") >> 6  # type: ignore[call-overload]
            for e in self.events
            if e["event"] == Event.CardRead
        ]

    def refresh(self) -> None:
        self.cp.refresh()
        secure, now_s = self.secure, time.monotonic()
        self.lost += self._was and not secure
        self._was = secure
        if secure or self._since_s is None:
            self._since_s = now_s
        elif self._supervised and now_s - self._since_s > self.SUPERVISE_S:
            self.cp.disable_pd(0)
            self.cp.refresh()
            self.cp.enable_pd(0)
            self._since_s = now_s

    def run(self, condition: Callable[[], object], for_s: float) -> bool:
        """Refresh until `condition()` or the time is over; whether it came true."""
        end_s = time.monotonic() + for_s
        while not condition():
            if time.monotonic() >= end_s:
                return False
            self.refresh()
            time.sleep(0.001)  # libosdp wants to be called often
        return True
