"""Runs in MicroPython: a board's image under load, its heap counted. `micropython firmware_load.py IMAGE BYTES FOLDER`:
BYTES of a file are sent to it, its files lie in FOLDER.

The hardware modules are empty shells here, so that what is counted is the node's. Prints JSON: bytes of heap in use
after a collection: "empty" (interpreter only), "started" (the node made), "peak" (the most seen under load).
"""

# ruff: noqa: T201, ARG002, ARG005, E402 - shells of hardware take everything; runs in MicroPython

import gc
import json
import sys

gc.collect()
empty = gc.mem_alloc()


class Pin:
    IN = OUT = PULL_UP = PULL_DOWN = IRQ_FALLING = 0

    def __init__(self, *_, **__):
        pass

    def value(self, level=None):
        return 1

    def irq(self, *_, **__):
        pass


class ADC:
    ATTN_11DB = 0

    def __init__(self, *_, **__):
        pass

    def read_u16(self):
        return 20447

    def read_uv(self):
        return 1030000


class UART:
    def __init__(self, *_, **__):
        pass

    def init(self, txbuf=0, rxbuf=0, **_):
        self._buffers = (bytearray(txbuf), bytearray(rxbuf))  # a board has them on its heap, too


class Machine:
    Pin, ADC, UART = Pin, ADC, UART

    @staticmethod
    def unique_id():
        return b"12345678"


class StateMachine:
    def __init__(self, *_, **__):
        pass

    def active(self, on=None):
        return True

    def rx_fifo(self):
        return 0


class PIO:
    SHIFT_LEFT = SHIFT_RIGHT = JOIN_RX = 0


class Rp2:
    PIO, StateMachine = PIO, StateMachine

    @staticmethod
    def asm_pio(**_):
        return lambda function: None


sys.modules["machine"] = Machine
sys.modules["rp2"] = Rp2
sys.path[:] = [sys.argv[1], ".frozen"]

import board

from firmware.drivers.aes import aes
from firmware.drivers.mcu.door_node import BoardDoorNode
from firmware.drivers.mcu.settings import checked
from firmware.wire import codes, frame
from firmware.wire.commands import Challenge, FileFragment, ServerCryptogram
from firmware.wire.frame import FrameParser
from firmware.wire.secure import SecureChannel, SessionKeys

KEY = bytes(range(16))
ADDRESS = 5


class Keeper:
    """The node's files, in memory."""

    def path(self, name: str) -> str:
        return sys.argv[3] + "/" + name

    def settings(self) -> dict:
        return checked({"address": ADDRESS, "fire_loop": True, "mains_contact": True,
                        "supervised": ["contact", "rex", "fire"],
                        "sensors": ["smoke", "pir", "water", "panic"]})  # fmt: skip

    def key(self):
        return KEY

    def latched(self) -> bool:
        return False

    def keep_key(self, key: bytes) -> bool:
        return True

    def keep_line(self, address: int, baud: int) -> bool:
        return True

    def keep_latch(self, on: bool) -> bool:
        return True


class Panel:
    """Just enough of a control panel, from the same wire code."""

    def __init__(self, peripheral):
        self._peripheral = peripheral
        self._sequence = 0
        self._channel = None
        self.now_ms = 0

    def handshake(self) -> None:
        rnd_a = bytes(8)
        keys = SessionKeys(aes, KEY, rnd_a)
        self._sequence = 0
        scb = bytes((codes.SCS_CHLNG, codes.KEY_SCBK))
        answer = self._plain(codes.CHLNG, Challenge(rnd_a).encode(), scb)
        rnd_b = answer.payload[8:16]
        cryptogram = keys.server_cryptogram(rnd_a, rnd_b)
        scb = bytes((codes.SCS_SCRYPT, codes.KEY_SCBK))
        self._plain(codes.SCRYPT, ServerCryptogram(cryptogram).encode(), scb)
        self._channel = SecureChannel(keys, keys.initial_mac(cryptogram), True)

    def send(self, code: int, payload: bytes = b"") -> tuple:
        raw = self._channel.seal(ADDRESS, self._sequence, code, payload)
        reply = self._exchange(raw)
        return reply.code, self._channel.open(reply)

    def _plain(self, code: int, payload: bytes, scb: bytes):
        return self._exchange(frame.encode(ADDRESS, self._sequence, code, payload, False, scb))

    def _exchange(self, raw: bytes):
        self.now_ms += 10
        command = FrameParser().feed(raw)[0]
        reply = self._peripheral.receive(command, self.now_ms)
        self._sequence = self._sequence % 3 + 1
        return FrameParser().feed(reply)[0]


node = BoardDoorNode(board, Keeper())
gc.collect()
started = peak = gc.mem_alloc()


def look() -> None:
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())


panel = Panel(node._peripheral)
panel.handshake()
for polls in range(300):
    node._door.card(26, bytes((polls & 255, 2, 3, 64)), panel.now_ms)  # more than its queue holds
    for name, level in node._levels.read():
        node._door.level(name, level ^ (polls & 1), panel.now_ms)
    node._door.tick(panel.now_ms)
    panel.send(codes.POLL)
    if polls % 20 == 0:
        look()
FILE_BYTES = int(sys.argv[2])
for at in range(0, FILE_BYTES, 128):
    piece = FileFragment(codes.FILE_OFFLINE_CACHE, FILE_BYTES, at, bytes(min(128, FILE_BYTES - at)))
    panel.send(codes.FILETRANSFER, piece.encode())
    if at % 1024 == 0:
        look()
look()
print(json.dumps({"empty": empty, "started": started, "peak": peak}))
