"""What gateway and node agree on for the time without each other: the offline cache, its digests, the node's records.

Everything has a fixed field order, little-endian. The cache is one file (codes.FILE_OFFLINE_CACHE): header, tables,
MAC. A record is one slot of the node's journal and travels as it is. docs/offline.md says what each part means.
"""

import hashlib
import struct

from firmware.wire.crc import crc16
from firmware.wire.errors import MessageError

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# What a manufacturer's command (MFG) between our own ends begins with; codes.MFG_SET_TIME is 1.
SET_MODE = const(2)  # one byte, MODE_*
STORED = const(3)  # journal id and number: every record up to it is stored at the gateway
# What a node tells by itself (MFGREP) begins with.
TELL_RECORD = const(1)
TELL_STATE = const(2)

MODE_ORDINARY = const(0)
MODE_CARD_AND_PIN = const(1)
MODE_NOBODY = const(2)  # a lockdown

CARD = const(1)  # what was shown, in bits; both are CARD | PIN
PIN = const(2)
DIGEST_BYTES = const(8)
CONTENT_BYTES = const(8)
MAC_BYTES = const(16)

REASONS = (
    "permitted",
    "unknown-credential",
    "not-yet-valid",
    "expired",
    "outside-schedule",
    "not-today",
    "pin-required",
    "wrong-pin",
    "clock-uncertain",
    "not-accepted-here",
    "too-many-attempts",
    "lockdown",
    "not-offline",
    "storage-broken",
)


def hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104); `key` of at most 64 bytes."""
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(message)
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


class CacheKeys:
    """Both keys of one device's cache, derived from its base key (SCBK)."""

    def __init__(self, scbk: bytes):
        self.digest = hmac(scbk, b"zhian offline digest 1")
        self._mac = hmac(scbk, b"zhian offline cache 1")

    def card(self, bits: int, value: int) -> bytes:
        """The digest of a card: its bit count and the value of its bits."""
        return hmac(self.digest, b"card %d:%d" % (bits, value))[:DIGEST_BYTES]

    def pin(self, site_digest: bytes) -> bytes:
        """The digest of a PIN, out of `pin_digest`."""
        return hmac(self.digest, b"pin " + site_digest)[:DIGEST_BYTES]

    def mac(self, content: bytes) -> bytes:
        """Over header and tables."""
        return self.mac_of(hashlib.sha256(content).digest())

    def mac_of(self, digest: bytes) -> bytes:
        """The same, out of the SHA-256 of header and tables."""
        return hmac(self._mac, digest)[:MAC_BYTES]


def pin_digest(pin_key: bytes, pin: str) -> bytes:
    """32 bytes by which a PIN is known on the site; `pin_key` is its holder's."""
    return hmac(pin_key, b"pin " + pin.encode())


# --- records

GRANTED = const(1)
DENIED = const(2)
BLOCKED = const(3)  # too many wrong attempts: typed secrets are refused for a while
LOST = const(4)  # so many answers in all could not be recorded: `count`
CLOCK_CERTAIN = const(1)
DURESS = const(2)
_RECORD = "<IIQ8sBBBBH"
RECORD_BYTES = const(32)


class Record:
    """One answer that the node gave alone.

    journal, number: which of the node's journals, and the running number in it. unix_ms: by the node's clock. digest:
    of the credential that was shown first, zeros where it is not known. what: GRANTED...; shown: bits CARD, PIN;
    reason: place in REASONS; flags: CLOCK_CERTAIN, DURESS. count: for LOST, in place of the digest.
    """

    def __init__(
        self,
        journal: int,
        number: int,
        unix_ms: int,
        digest: bytes,
        what: int,
        shown: int,
        reason: int,
        flags: int,
    ):
        self.journal = journal
        self.number = number
        self.unix_ms = unix_ms
        self.digest = digest
        self.what = what
        self.shown = shown
        self.reason = reason
        self.flags = flags

    @property
    def count(self) -> int:
        """How many answers were lost, of a LOST record."""
        return int.from_bytes(self.digest, "little")

    def encode(self) -> bytes:
        """RECORD_BYTES bytes, the last two a CRC."""
        body = struct.pack(
            _RECORD,
            self.journal,
            self.number,
            self.unix_ms,
            self.digest,
            self.what,
            self.shown,
            self.reason,
            self.flags,
            0,
        )
        return body + struct.pack("<H", crc16(body))

    @staticmethod
    def decode(data: bytes):
        """Raises MessageError: length, crc, what or reason."""
        if len(data) != RECORD_BYTES:
            raise MessageError("length", len(data))
        if crc16(data[:-2]) != struct.unpack("<H", data[-2:])[0]:
            raise MessageError("crc")
        journal, number, unix_ms, digest, what, shown, reason, flags, _ = struct.unpack(_RECORD, data[:-2])
        if not GRANTED <= what <= LOST:
            raise MessageError("what", what)
        if reason >= len(REASONS):
            raise MessageError("reason", reason)
        return Record(journal, number, unix_ms, digest, what, shown, reason, flags)


_STATE = "<IQ8sIIH"


class State:
    """What a node says it holds when a session begins: policy version, end (Unix ms) and content of its cache (zeros
    where it has none), its journal's id, how many answers were lost in all, how many records wait."""

    def __init__(self, policy_version: int, expires_ms: int, content: bytes, journal: int, lost: int, waiting: int):
        self.policy_version = policy_version
        self.expires_ms = expires_ms
        self.content = content
        self.journal = journal
        self.lost = lost
        self.waiting = waiting

    def encode(self) -> bytes:
        """In the order of the constructor."""
        return struct.pack(
            _STATE, self.policy_version, self.expires_ms, self.content, self.journal, self.lost, self.waiting
        )

    @staticmethod
    def decode(data: bytes):
        """Raises MessageError("length")."""
        if len(data) != struct.calcsize(_STATE):
            raise MessageError("length", len(data))
        return State(*struct.unpack(_STATE, data))


_TIME = "<BQ"
_STORED = "<II"


def set_time(code: int, certain: bool, unix_ms: int) -> bytes:
    """The data of the command that sets a node's clock; `code` is codes.MFG_SET_TIME."""
    return bytes((code,)) + struct.pack(_TIME, 1 if certain else 0, unix_ms)


def time_told(data: bytes) -> tuple:
    """(certain, Unix ms) of `set_time`, without its code. Raises MessageError("length")."""
    if len(data) != struct.calcsize(_TIME):
        raise MessageError("length", len(data))
    certain, unix_ms = struct.unpack(_TIME, data)
    return certain == 1, unix_ms


def stored(journal: int, number: int) -> bytes:
    """The data of the command that says up to where a node's records are stored."""
    return bytes((STORED,)) + struct.pack(_STORED, journal, number)


def stored_told(data: bytes) -> tuple:
    """(journal, number) of `stored`, without its code. Raises MessageError("length")."""
    if len(data) != struct.calcsize(_STORED):
        raise MessageError("length", len(data))
    return struct.unpack(_STORED, data)


_HEADER_MAGIC = b"J1"  # the digit is the version of the format
_HEADER = "<2sBBHIIIIII"


class JournalHeader:
    """What a node's journal keeps beside its records, in one slot. `generation` (16 bits) tells the newer of two; the
    others are as in firmware/node/journal.py."""

    def __init__(
        self,
        mode: int,
        generation: int,
        journal: int,
        acked: int,
        reserved: int,
        accounted: int,
        lost: int,
        time_s: int,
    ):
        self.mode = mode
        self.generation = generation
        self.journal = journal
        self.acked = acked
        self.reserved = reserved
        self.accounted = accounted
        self.lost = lost
        self.time_s = time_s

    def encode(self) -> bytes:
        """RECORD_BYTES bytes, the last two a CRC."""
        numbers = (self.journal, self.acked, self.reserved, self.accounted, self.lost, self.time_s)
        body = struct.pack(_HEADER, _HEADER_MAGIC, self.mode, 0, self.generation, *numbers)
        return body + struct.pack("<H", crc16(body))

    @staticmethod
    def decode(data: bytes):
        """Raises MessageError: length, magic or crc."""
        if len(data) != RECORD_BYTES:
            raise MessageError("length", len(data))
        if data[:2] != _HEADER_MAGIC:
            raise MessageError("magic", data[0])
        if crc16(data[:-2]) != struct.unpack("<H", data[-2:])[0]:
            raise MessageError("crc")
        fields = struct.unpack(_HEADER, data[:-2])
        return JournalHeader(fields[1], *fields[3:])
