"""Runs in MicroPython: a board's image under load, its heap counted. `micropython firmware_load.py IMAGE CACHE FOLDER`:
CACHE is a full offline cache for KEY whose cards are 26-bit numbers from 0; the node's files lie in FOLDER.

The load: every input on, a session, 300 polls with the event queue full, the cache as a file; then the panel is silent,
and cards are shown until the journal is full; then the panel is back, and the cache comes once more while the full
journal waits and the old cache is in use; then the records are told.
The hardware modules are empty shells here, so that what is counted is the node's. Prints JSON: bytes of heap in use
after a collection: "empty" (interpreter only), "started" (the node made), "cached" (the cache in use), "peak" (the most
seen under load); "records" in the full journal.
"""

# ruff: noqa: T201, ARG002, ARG005, E402, PTH116, PTH123 - shells of hardware take everything; runs in MicroPython

import gc
import json
import os
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
from firmware.drivers.files import exists
from firmware.drivers.mcu.door_node import BoardDoorNode
from firmware.drivers.mcu.settings import checked
from firmware.node.journal import CAPACITY
from firmware.wire import codes, frame
from firmware.wire.commands import Challenge, FileFragment, Manufacturer, ServerCryptogram
from firmware.wire.frame import FrameParser
from firmware.wire.offline import set_time
from firmware.wire.replies import FileStatus
from firmware.wire.secure import SecureChannel, SessionKeys

KEY = bytes(range(16))
ADDRESS = 5
PIECE_BYTES = 128


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

    def key_before(self):
        return None

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


panel = Panel(node._peripheral)
alone = node._door._alone
seen = {"empty": empty, "started": started}


def send_cache():
    """A step for every piece."""
    size = os.stat(sys.argv[2])[6]
    with open(sys.argv[2], "rb") as file:
        for at in range(0, size, PIECE_BYTES):
            piece = FileFragment(codes.FILE_OFFLINE_CACHE, size, at, file.read(PIECE_BYTES))
            code, answer = panel.send(codes.FILETRANSFER, piece.encode())
            node._carry_out(panel.now_ms)
            status = FileStatus.decode(answer).status if code == codes.FTSTAT else codes.FT_ABORT
            if status not in (codes.FT_PROCEED, codes.FT_PROCESSED):
                raise SystemExit("the node did not take the cache: " + str(status))
            yield


def load():
    """The whole, in small steps: between two of them a collection is possible everywhere."""
    panel.handshake()
    for polls in range(300):
        node._door.card(26, bytes((polls & 255, 2, 3, 64)), panel.now_ms)  # more than its queue holds
        for name, level in node._levels.read():
            node._door.level(name, level ^ (polls & 1), panel.now_ms)
        node._door.tick(panel.now_ms)
        panel.send(codes.POLL)
        yield
    yield from send_cache()
    gc.collect()
    seen["cached"] = gc.mem_alloc()
    told = set_time(codes.MFG_SET_TIME, True, alone.cache.header.made_ms)
    panel.send(codes.MFG, Manufacturer(codes.VENDOR, told).encode())
    panel.now_ms += 60000
    for number in range(CAPACITY + 2):
        node._door.card(26, (number << 6).to_bytes(4, "big"), panel.now_ms)
        node._carry_out(panel.now_ms)
        panel.now_ms += 100
        yield
    seen["records"] = alone.journal.waiting
    panel.handshake()
    yield from send_cache()
    for _ in range(3 * CAPACITY):
        panel.send(codes.POLL)
        node._carry_out(panel.now_ms)
        yield
    if seen["records"] < CAPACITY - 4 or not alone.journal.lost or not exists(node._keeper.path("cache")):
        raise SystemExit("the journal did not fill: " + str((seen, alone.journal.lost)))


def look() -> None:
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())


def told() -> str:
    """What was seen, as JSON."""
    seen["peak"] = peak
    return json.dumps(seen)


steps = load()
if __name__ == "__main__":
    for number, _ in enumerate(steps):
        if number % 8 == 0:
            look()
    look()
    print(told())
