"""The offline cache as one file: header, tables, MAC; little-endian, fixed field order. Searched where it lies.

docs/offline.md says what each part means.
"""

import hashlib
import struct

from firmware.wire.errors import MessageError
from firmware.wire.offline import CONTENT_BYTES, MAC_BYTES
from firmware.wire.secure import equal

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAGIC = b"ZHC1"  # the digit is the version of the format; another one is refused
MAX_CACHE_BYTES = const(12288)
BLOCK_BYTES = const(256)
PIN_KEY_BYTES = const(16)
NO_HOLDER = const(0xFFFF)  # in the table of PIN keys: the key of PINs that identify alone

JUDGES = const(1)  # flags: without it the node lets nobody in
LEAVES = const(2)  # whoever asks here is on the way out, and goes
CARD_PIN = const(4)  # accepts, beside offline.CARD and PIN: both together
ALWAYS_VALID = const(0)  # what an uncertain clock believes, as the portal's clock_uncertain
DENY = const(1)
SCHEDULES = const(2)

# magic, content, policy version, made ms, expires ms, unlock ms, wait ms, offline after ms; attempts: how many within
# how many s lock for how many s; flags, accepts, clock; how many closed times, profiles, open times, windows, holders,
# PIN keys, credentials.
HEADER = "<4s8sIQQIIIHHHBBBB7H"
HEADER_BYTES = struct.calcsize(HEADER)
TIMES = "<II"  # open or closed from, until: Unix s
PROFILE = "<BHH"  # flags (PROFILE_ALWAYS), first open time, how many
WINDOW = "<QQ"  # valid from, until: Unix ms
HOLDER = "<B"  # profile
PIN_KEY = "<H16s"  # holder, key
CREDENTIAL = "<8sHHB"  # digest, holder, window, flags (CREDENTIAL_*); sorted by digest
TABLES = (TIMES, PROFILE, TIMES, WINDOW, HOLDER, PIN_KEY, CREDENTIAL)
TABLE_BYTES = tuple([struct.calcsize(row) for row in TABLES])
PROFILE_ALWAYS = const(1)
CREDENTIAL_DURESS = const(1)
CREDENTIAL_PIN = const(2)  # else a card
FOREVER_MS = const(0xFFFFFFFFFFFF)
CLOSED_TIMES, PROFILES, OPEN_TIMES, WINDOWS, HOLDERS, PIN_KEYS, CREDENTIALS = 0, 1, 2, 3, 4, 5, 6  # places in TABLES


class Header:
    """What a cache says beside its tables; the fields in the order of HEADER, without magic and content."""

    def __init__(
        self,
        policy_version: int,
        made_ms: int,
        expires_ms: int,
        unlock_ms: int,
        wait_ms: int,
        after_ms: int,
        wrong: int,
        window_s: int,
        lockout_s: int,
        flags: int,
        accepts: int,
        clock: int,
    ):
        self.policy_version = policy_version
        self.made_ms = made_ms
        self.expires_ms = expires_ms
        self.unlock_ms = unlock_ms
        self.wait_ms = wait_ms
        self.after_ms = after_ms
        self.wrong = wrong
        self.window_s = window_s
        self.lockout_s = lockout_s
        self.flags = flags
        self.accepts = accepts
        self.clock = clock


def encode(header: Header, tables: list, keys) -> bytes:
    """The file; `tables` are lists of rows in the order of TABLES, `keys` the device's offline.CacheKeys."""
    body = b"".join([struct.pack(form, *row) for form, rows in zip(TABLES, tables) for row in rows])
    told = (
        header.unlock_ms, header.wait_ms, header.after_ms, header.wrong, header.window_s, header.lockout_s,
        header.flags, header.accepts, header.clock, 0,
    )  # fmt: skip
    counts = [len(rows) for rows in tables]
    # Not the version and the life: a cache that says the same as before is the same.
    same = struct.pack("<IIIHHHBBBB7H", *told, *counts) + body + keys.mac(b"content")
    content = hashlib.sha256(same).digest()[:CONTENT_BYTES]
    head = struct.pack(
        HEADER, MAGIC, content, header.policy_version, header.made_ms, header.expires_ms, *told, *counts
    )  # fmt: skip
    return head + body + keys.mac(head + body)


class Blocks:
    """Bytes in pieces of BLOCK_BYTES: the heap of a small board soon holds no piece as long as a cache."""

    def __init__(self, total: int):
        """Raises MemoryError."""
        self._total = total
        self.blocks = [bytearray(min(BLOCK_BYTES, total - at)) for at in range(0, total, BLOCK_BYTES)]

    @staticmethod
    def of(data: bytes):
        """The same bytes in pieces."""
        blocks = Blocks(len(data))
        blocks.put(0, data)
        return blocks

    def __len__(self):
        return self._total

    def put(self, offset: int, data: bytes) -> None:
        """Write all of `data` from `offset` on, which must lie within."""
        done = 0
        while done < len(data):
            number, at = divmod(offset + done, BLOCK_BYTES)
            block = self.blocks[number]
            part = data[done : done + len(block) - at]
            block[at : at + len(part)] = part
            done += len(part)

    def get(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, which must lie within."""
        number, at = divmod(offset, BLOCK_BYTES)
        found = bytes(self.blocks[number][at : at + size])
        while len(found) < size:
            number += 1
            found += bytes(self.blocks[number][: size - len(found)])
        return found


class CacheFile:
    """A file that was checked, in `Blocks`. `header`, `content` (CONTENT_BYTES that tell it from others), `counts` of
    the tables' rows; `row` reads one."""

    def __init__(self, data, keys):
        """Raises MessageError: length, format, mac or tables."""
        if not HEADER_BYTES + MAC_BYTES <= len(data) <= MAX_CACHE_BYTES:
            raise MessageError("length", len(data))
        head = struct.unpack(HEADER, data.get(0, HEADER_BYTES))
        if head[0] != MAGIC:
            raise MessageError("format", head[0][3])
        end = len(data) - MAC_BYTES
        digest, left = hashlib.sha256(), end
        for block in data.blocks:
            digest.update(block[: max(0, min(left, len(block)))])
            left -= len(block)
        if not equal(keys.mac_of(digest.digest()), data.get(end, MAC_BYTES)):
            raise MessageError("mac")
        self._data = data
        self.content = head[1]
        self.header = Header(*head[2:14])
        self.counts = head[15:]
        starts = [HEADER_BYTES]
        for count, size in zip(self.counts, TABLE_BYTES):
            starts.append(starts[-1] + count * size)
        if starts.pop() != end:
            raise MessageError("tables", len(data))
        self._starts = starts

    def row(self, table: int, place: int) -> tuple:
        """One row of a table, as its format says. Raises MessageError("row")."""
        if not 0 <= place < self.counts[table]:
            raise MessageError("row", place)
        size = TABLE_BYTES[table]
        return struct.unpack(TABLES[table], self._data.get(self._starts[table] + place * size, size))
