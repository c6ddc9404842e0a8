"""Commands, control panel to peripheral device. POLL, CAP, LSTAT, ISTAT and OSTAT carry nothing worth a class.

Each `decode` takes the plain payload and raises MessageError where it is not what the code announces.
"""

import struct

from firmware.wire import codes
from firmware.wire.errors import MessageError
from firmware.wire.message import Message, need, records
from firmware.wire.secure import KEY_BYTES, RANDOM_BYTES


class Output(Message):
    """Set one output. `control` is one of codes.OUT_*, `timer` counts 100 ms and applies to the timed ones."""

    code = codes.OUT

    def __init__(self, number: int, control: int, timer: int = 0):
        self.number = number
        self.control = control
        self.timer = timer

    def encode(self) -> bytes:
        return struct.pack("<BBH", self.number, self.control, self.timer)

    @staticmethod
    def decode(payload: bytes) -> list:
        """One or more `Output`."""
        return [Output(*struct.unpack("<BBH", record)) for record in records(payload, 4)]


class Led(Message):
    """Set one LED of a reader: a temporary look for `timer` * 100 ms, and the permanent one it returns to.

    Each look is (on, off, on_colour, off_colour) with times in 100 ms; a control of codes.LED_NOP leaves it alone.
    """

    code = codes.LED

    def __init__(
        self,
        reader: int,
        led: int,
        temporary_control: int,
        temporary: tuple,
        timer: int,
        permanent_control: int,
        permanent: tuple,
    ):
        self.reader = reader
        self.led = led
        self.temporary_control = temporary_control
        self.temporary = temporary
        self.timer = timer
        self.permanent_control = permanent_control
        self.permanent = permanent

    def encode(self) -> bytes:
        return (
            bytes((self.reader, self.led, self.temporary_control))
            + bytes(self.temporary)
            + struct.pack("<HB", self.timer, self.permanent_control)
            + bytes(self.permanent)
        )

    @staticmethod
    def decode(payload: bytes) -> list:
        """One or more `Led`."""
        return [
            Led(r[0], r[1], r[2], tuple(r[3:7]), r[7] | r[8] << 8, r[9], tuple(r[10:14])) for r in records(payload, 14)
        ]


class Buzzer(Message):
    """Sound a reader's buzzer `count` times (0 = until told otherwise); `on` and `off` count 100 ms."""

    code = codes.BUZ

    def __init__(self, reader: int, tone: int, on: int, off: int, count: int):
        self.reader = reader
        self.tone = tone
        self.on = on
        self.off = off
        self.count = count

    def encode(self) -> bytes:
        return bytes((self.reader, self.tone, self.on, self.off, self.count))

    @staticmethod
    def decode(payload: bytes):
        need(payload, 5)
        return Buzzer(*payload)


class Challenge(Message):
    """The panel's random number: the handshake begins."""

    code = codes.CHLNG

    def __init__(self, rnd_a: bytes):
        self.rnd_a = rnd_a

    def encode(self) -> bytes:
        return self.rnd_a

    @staticmethod
    def decode(payload: bytes):
        need(payload, RANDOM_BYTES)
        return Challenge(payload)


class ServerCryptogram(Message):
    """The panel's proof that it knows the key."""

    code = codes.SCRYPT

    def __init__(self, cryptogram: bytes):
        self.cryptogram = cryptogram

    def encode(self) -> bytes:
        return self.cryptogram

    @staticmethod
    def decode(payload: bytes):
        need(payload, KEY_BYTES)
        return ServerCryptogram(payload)


def need_request(payload: bytes, code: int) -> None:
    """Check the payload of a command that asks for a report. Raises MessageError("length")."""
    # ID and CAP carry one byte, the kind of report; only the standard one (0) exists.
    if code in (codes.ID, codes.CAP):
        if len(payload) > 1:
            raise MessageError("length", len(payload))
    else:
        need(payload, 0)
