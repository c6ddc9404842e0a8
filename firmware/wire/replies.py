"""Replies, peripheral device to control panel. ACK and BUSY carry nothing worth a class.

Each `decode` takes the plain payload and raises MessageError where it is not what the code announces.
"""

import struct

from firmware.wire import codes
from firmware.wire.errors import MessageError
from firmware.wire.message import Message, need, records
from firmware.wire.secure import KEY_BYTES, RANDOM_BYTES

MAX_CARD_BITS = 128  # longer than any Wiegand format in use, shorter than a frame
MAX_KEYS = 16
IDENTITY_BYTES = 8  # cUID


class Nak(Message):
    """The command was refused; `reason` is one of codes.NAK_*."""

    code = codes.NAK

    def __init__(self, reason: int):
        self.reason = reason

    def encode(self) -> bytes:
        return bytes((self.reason,))

    @staticmethod
    def decode(payload: bytes):
        if not payload:
            raise MessageError("length")
        return Nak(payload[0])  # whatever follows is detail we have no use for


class Identity(Message):
    """Who made the device, which it is and what runs on it. vendor: 3 bytes (an IEEE OUI); firmware: 3 numbers."""

    code = codes.PDID

    def __init__(self, vendor: bytes, model: int, version: int, serial: int, firmware: tuple):
        self.vendor = vendor
        self.model = model
        self.version = version
        self.serial = serial
        self.firmware = firmware

    def encode(self) -> bytes:
        return self.vendor + struct.pack("<BBI", self.model, self.version, self.serial) + bytes(self.firmware)

    @staticmethod
    def decode(payload: bytes):
        need(payload, 12)
        model, version, serial = struct.unpack("<BBI", payload[3:9])
        return Identity(payload[:3], model, version, serial, tuple(payload[9:12]))


class Capabilities(Message):
    """What the device can do: `entries` holds (function, compliance, number of items)."""

    code = codes.PDCAP

    def __init__(self, entries: list):
        self.entries = entries

    def encode(self) -> bytes:
        return b"".join([bytes(entry) for entry in self.entries])

    @staticmethod
    def decode(payload: bytes):
        return Capabilities([tuple(record) for record in records(payload, 3)])


class LocalStatus(Message):
    """The device's own health."""

    code = codes.LSTATR

    def __init__(self, tamper: bool, power: bool):
        self.tamper = tamper
        self.power = power

    def encode(self) -> bytes:
        return bytes((self.tamper, self.power))

    @staticmethod
    def decode(payload: bytes):
        need(payload, 2)
        return LocalStatus(payload[0] != 0, payload[1] != 0)


class Inputs(Message):
    """All inputs as they are, from number 0; True is active."""

    code = codes.ISTATR

    def __init__(self, states: tuple):
        self.states = states

    def encode(self) -> bytes:
        return bytes([1 if state else 0 for state in self.states])

    @staticmethod
    def decode(payload: bytes):
        if not payload:
            raise MessageError("length")
        return Inputs(tuple([value != 0 for value in payload]))


class Outputs(Message):
    """All outputs as they are, from number 0."""

    code = codes.OSTATR

    def __init__(self, states: tuple):
        self.states = states

    def encode(self) -> bytes:
        return bytes([1 if state else 0 for state in self.states])

    @staticmethod
    def decode(payload: bytes):
        if not payload:
            raise MessageError("length")
        return Outputs(tuple([value != 0 for value in payload]))


class RawCard(Message):
    """Bits of a card as they came, first bit in the top of data[0]; unused low bits of the last byte are 0."""

    code = codes.RAW

    def __init__(self, reader: int, form: int, bits: int, data: bytes):
        self.reader = reader
        self.form = form
        self.bits = bits
        self.data = data

    def encode(self) -> bytes:
        return struct.pack("<BBH", self.reader, self.form, self.bits) + self.data

    @staticmethod
    def decode(payload: bytes):
        if len(payload) < 5:
            raise MessageError("length", len(payload))
        reader, form, bits = struct.unpack("<BBH", payload[:4])
        if not 1 <= bits <= MAX_CARD_BITS:
            raise MessageError("bits", bits)
        data = payload[4:]
        need(data, (bits + 7) // 8)
        spare = -bits % 8
        # Foreign readers leave noise in the unused bits; a card must have one spelling only.
        return RawCard(reader, form, bits, data[:-1] + bytes((data[-1] >> spare << spare,)))


class Keys(Message):
    """Keys in the order they were pressed: digits as ASCII, codes.KEY_CLEAR, codes.KEY_ENTER."""

    code = codes.KEYPPAD

    def __init__(self, reader: int, keys: bytes):
        self.reader = reader
        self.keys = keys

    def encode(self) -> bytes:
        return bytes((self.reader, len(self.keys))) + self.keys

    @staticmethod
    def decode(payload: bytes):
        if len(payload) < 3 or len(payload) != 2 + payload[1]:
            raise MessageError("length", len(payload))
        if payload[1] > MAX_KEYS:
            raise MessageError("keys", payload[1])
        return Keys(payload[0], payload[2:])


class ClientCryptogram(Message):
    """The device's identity, random number and proof that it knows the key."""

    code = codes.CCRYPT

    def __init__(self, identity: bytes, rnd_b: bytes, cryptogram: bytes):
        self.identity = identity
        self.rnd_b = rnd_b
        self.cryptogram = cryptogram

    def encode(self) -> bytes:
        return self.identity + self.rnd_b + self.cryptogram

    @staticmethod
    def decode(payload: bytes):
        need(payload, IDENTITY_BYTES + RANDOM_BYTES + KEY_BYTES)
        return ClientCryptogram(payload[:8], payload[8:16], payload[16:])


class InitialMac(Message):
    """R-MAC_I: both sides agree, the session begins."""

    code = codes.RMAC_I

    def __init__(self, mac: bytes):
        self.mac = mac

    def encode(self) -> bytes:
        return self.mac

    @staticmethod
    def decode(payload: bytes):
        need(payload, KEY_BYTES)
        return InitialMac(payload)


class Communication(Message):
    """The address and baud rate that the device has from now on."""

    code = codes.COM

    def __init__(self, address: int, baud: int):
        self.address = address
        self.baud = baud

    def encode(self) -> bytes:
        return struct.pack("<BI", self.address, self.baud)

    @staticmethod
    def decode(payload: bytes):
        need(payload, 5)
        return Communication(*struct.unpack("<BI", payload))


class FileStatus(Message):
    """How far a file is: `status` is one of codes.FT_* (below 0: refused), `delay_ms` what the device wants to be left
    alone for, `max_bytes` the longest message it takes (0: no limit of its own), `action` bits codes.FT_INTERLEAVE."""

    code = codes.FTSTAT

    def __init__(self, action: int, delay_ms: int, status: int, max_bytes: int):
        self.action = action
        self.delay_ms = delay_ms
        self.status = status
        self.max_bytes = max_bytes

    def encode(self) -> bytes:
        return struct.pack("<BHhH", self.action, self.delay_ms, self.status, self.max_bytes)

    @staticmethod
    def decode(payload: bytes):
        need(payload, 7)
        return FileStatus(*struct.unpack("<BHhH", payload))


class ManufacturerReply(Message):
    """An answer to, or news from, a device of the manufacturer with these three bytes."""

    code = codes.MFGREP

    def __init__(self, vendor: bytes, data: bytes):
        self.vendor = vendor
        self.data = data

    def encode(self) -> bytes:
        return self.vendor + self.data

    @staticmethod
    def decode(payload: bytes):
        if len(payload) < 3:
            raise MessageError("length", len(payload))
        return ManufacturerReply(payload[:3], payload[3:])
