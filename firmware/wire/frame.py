"""Frames: `53 address length16 control [security block] code payload [mac4] crc16`, little-endian numbers.

A mark byte FF may stand in front of a frame. `control`: bits 0-1 sequence, bit 2 CRC (the 8-bit sum that bit 2 = 0
would mean is refused), bit 3 security block present. The security block is `length type data...`.
"""

from firmware.wire.codes import MAX_FRAME_BYTES, SCS_CHLNG, SCS_ENCRYPTED_REPLY, SCS_MAC
from firmware.wire.crc import crc16
from firmware.wire.errors import FrameError

_START = 0x53
_MARK = b"\xff"
_REPLY = 0x80  # bit 7 of the address
_CRC = 0x04
_SECURED = 0x08
_HEADER_BYTES = 5
_MIN_BYTES = 8  # header, code, checksum
MAC_BYTES = 4


class Frame:
    """One frame whose checksum was right. Nothing in it is authenticated yet.

    address 0..127; sequence 0..3; scb_type 0 where there is no security block; mac is b"" or 4 bytes;
    raw is everything from start to checksum, signed the part that a MAC covers.
    """

    def __init__(self, raw: bytes, scb_end: int, end: int):
        """`raw[scb_end]` is the code; the payload ends before `raw[end]`."""
        self.raw = raw
        self.address = raw[1] & 0x7F
        self.reply = bool(raw[1] & _REPLY)
        self.sequence = raw[4] & 3
        self.scb_type = raw[6] if scb_end > _HEADER_BYTES else 0
        self.scb_data = raw[7:scb_end] if scb_end > _HEADER_BYTES else b""
        self.code = raw[scb_end]
        self.payload = raw[scb_end + 1 : end]
        self.mac = raw[end:-2]
        self.signed = raw[:end]


def encode(
    address: int, sequence: int, code: int, payload: bytes = b"", reply: bool = False, scb: bytes = b"", mac=None
) -> bytes:
    """A frame, mark byte included.

    scb: type and data of the security block, b"" for none. mac: called with the signed part when the block's type
    wants a MAC, returns at least 4 bytes.
    Raises FrameError("length") where the frame would exceed MAX_FRAME_BYTES.
    """
    length = _HEADER_BYTES + (len(scb) + 1 if scb else 0) + 1 + len(payload) + (MAC_BYTES if mac else 0) + 2
    if length > MAX_FRAME_BYTES:
        raise FrameError("length", length)
    control = (sequence & 3) | _CRC | (_SECURED if scb else 0)
    out = bytearray((_START, (address & 0x7F) | (_REPLY if reply else 0), length & 0xFF, length >> 8, control))
    if scb:
        out.append(len(scb) + 1)
        out += scb
    out.append(code)
    out += payload
    if mac:
        out += mac(bytes(out))[:MAC_BYTES]
    crc = crc16(out)
    out.append(crc & 0xFF)
    out.append(crc >> 8)
    return _MARK + bytes(out)


def decode(raw: bytes, max_bytes: int = MAX_FRAME_BYTES) -> Frame:
    """The frame that `raw` is, from start-of-message to checksum, nothing before or after.

    Raises FrameError: start, length, crc, control or security-block.
    """
    size = len(raw)
    if size < _MIN_BYTES or size > max_bytes or raw[2] | raw[3] << 8 != size:
        raise FrameError("length", size)
    if raw[0] != _START:
        raise FrameError("start", raw[0])
    if not raw[4] & _CRC:
        raise FrameError("control", raw[4])
    if crc16(raw[:-2]) != raw[-2] | raw[-1] << 8:
        raise FrameError("crc", raw[-2] | raw[-1] << 8)
    scb_end = _HEADER_BYTES
    end = size - 2
    if raw[4] & _SECURED:
        scb_end += raw[5]
        if raw[5] < 2 or scb_end >= end or not SCS_CHLNG <= raw[6] <= SCS_ENCRYPTED_REPLY:
            raise FrameError("security-block", raw[6])
        if raw[6] >= SCS_MAC:
            end -= MAC_BYTES
            if scb_end >= end:
                raise FrameError("security-block", raw[6])
    return Frame(raw, scb_end, end)


# So many checksums may fail in a row before a start that was none costs the bytes that it claimed: otherwise bytes made
# for it would have each of them summed fifty times, and a small processor would do nothing else.
_MOST_FAILED = 8


class FrameParser:
    """Finds frames in a stream of bytes, whatever lies between them. Holds at most one frame's worth of bytes.

    `damaged` counts starts that turned out to be no frame.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES):
        self._max_bytes = max_bytes
        self._buffer = b""
        self._failed = 0
        self.damaged = 0

    @property
    def partial(self) -> bool:
        """A frame may have begun; where the rest does not come in time, call `reset`."""
        return len(self._buffer) > 0

    def reset(self) -> None:
        """Forget a frame that has begun."""
        self._buffer = b""
        self._failed = 0

    def feed(self, data: bytes) -> list:
        """Take bytes as they came; return the frames they completed, in order. Never raises."""
        buffer = self._buffer + data
        size = len(buffer)
        at = 0
        frames = []
        while at < size:
            at = buffer.find(b"\x53", at)
            if at < 0:
                at = size
            if size - at < 4:
                break
            length = buffer[at + 2] | buffer[at + 3] << 8
            if _MIN_BYTES <= length <= self._max_bytes:
                if size - at < length:
                    break
                try:
                    frames.append(decode(buffer[at : at + length], self._max_bytes))
                    at += length
                    self._failed = 0
                    continue
                except FrameError:
                    # Counted below; the search goes on one byte further, a good frame may begin inside.
                    self._failed += 1
                    if self._failed > _MOST_FAILED:
                        at += length - 1
            self.damaged += 1
            at += 1
        self._buffer = buffer[at:]
        return frames
