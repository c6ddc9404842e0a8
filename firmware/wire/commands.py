"""Commands, control panel to peripheral device. POLL, CAP, LSTAT, ISTAT and OSTAT carry nothing worth a class.

Each `decode` takes the plain payload and raises MessageError where it is not what the code announces.
"""

import struct

from firmware.wire import codes
from firmware.wire.errors import MessageError
from firmware.wire.message import Message, need, records
from firmware.wire.secure import KEY_BYTES, RANDOM_BYTES

MAX_TEXT_BYTES = 64  # four rows of sixteen, more than any reader's display here
FILE_HEADER_BYTES = 11
VENDOR_BYTES = 3


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


class Text(Message):
    """Show a text on a reader's display. `control` is one of codes.TEXT_*, `time` counts seconds and applies to the
    temporary ones; row and column from 1; `text` printable ASCII."""

    code = codes.TEXT

    def __init__(self, reader: int, control: int, time: int, row: int, column: int, text: bytes):
        self.reader = reader
        self.control = control
        self.time = time
        self.row = row
        self.column = column
        self.text = text

    def encode(self) -> bytes:
        return bytes((self.reader, self.control, self.time, self.row, self.column, len(self.text))) + self.text

    @staticmethod
    def decode(payload: bytes):
        if len(payload) < 6 or len(payload) != 6 + payload[5]:
            raise MessageError("length", len(payload))
        if payload[5] > MAX_TEXT_BYTES:
            raise MessageError("text", payload[5])
        for byte in payload[6:]:
            if not 0x20 <= byte < 0x7F:
                raise MessageError("text", byte)
        return Text(*payload[:5], payload[6:])


class KeySet(Message):
    """The device's new base key (SCBK), 16 bytes. Only ever over a secure channel."""

    code = codes.KEYSET

    def __init__(self, key: bytes):
        self.key = key

    def encode(self) -> bytes:
        return bytes((codes.KEY_SCBK, len(self.key))) + self.key

    @staticmethod
    def decode(payload: bytes):
        need(payload, 2 + KEY_BYTES)
        if payload[0] != codes.KEY_SCBK or payload[1] != KEY_BYTES:
            raise MessageError("key", payload[0])
        return KeySet(payload[2:])


class CommunicationSet(Message):
    """The device's new address (0..126) and baud rate, from after its reply on."""

    code = codes.COMSET

    def __init__(self, address: int, baud: int):
        self.address = address
        self.baud = baud

    def encode(self) -> bytes:
        return struct.pack("<BI", self.address, self.baud)

    @staticmethod
    def decode(payload: bytes):
        need(payload, 5)
        return CommunicationSet(*struct.unpack("<BI", payload))


class FileFragment(Message):
    """A piece of a file: `total` bytes in all, this piece begins at `offset`. A piece without data asks for the state
    of a file that the device is still working on."""

    code = codes.FILETRANSFER

    def __init__(self, kind: int, total: int, offset: int, data: bytes):
        self.kind = kind
        self.total = total
        self.offset = offset
        self.data = data

    def encode(self) -> bytes:
        return struct.pack("<BIIH", self.kind, self.total, self.offset, len(self.data)) + self.data

    @staticmethod
    def decode(payload: bytes):
        if len(payload) < FILE_HEADER_BYTES:
            raise MessageError("length", len(payload))
        kind, total, offset, size = struct.unpack("<BIIH", payload[:FILE_HEADER_BYTES])
        need(payload, FILE_HEADER_BYTES + size)
        if offset + size > total:
            raise MessageError("offset", offset)
        return FileFragment(kind, total, offset, payload[FILE_HEADER_BYTES:])


class Manufacturer(Message):
    """A command of the manufacturer with these three bytes (an IEEE OUI); what `data` means is between the two ends."""

    code = codes.MFG

    def __init__(self, vendor: bytes, data: bytes):
        self.vendor = vendor
        self.data = data

    def encode(self) -> bytes:
        return self.vendor + self.data

    @staticmethod
    def decode(payload: bytes):
        if len(payload) < VENDOR_BYTES:
            raise MessageError("length", len(payload))
        return Manufacturer(payload[:VENDOR_BYTES], payload[VENDOR_BYTES:])


def need_request(payload: bytes, code: int) -> None:
    """Check the payload of a command that asks for a report. Raises MessageError("length")."""
    # ID and CAP carry one byte, the kind of report; only the standard one (0) exists.
    if code in (codes.ID, codes.CAP):
        if len(payload) > 1:
            raise MessageError("length", len(payload))
    else:
        need(payload, 0)
