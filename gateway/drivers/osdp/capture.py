"""Captures of a line as files: OSDPCAP, one JSON object a line, and pcapng for Wireshark. Pure.

OSDPCAP is the format of libosdp-conformance (SIA), osdpcap-format.md, version 1, which OSDP.Net writes and reads too:
timeSec, timeNano (strings), io (input, output or trace), data (hex), osdpTraceVersion, osdpSource. pcapng is
draft-ietf-opsawg-pcapng; its link type is 162 (USER15), the one libosdp's own captures have, so that libosdp's
misc/osdp_dissector.lua opens both alike.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator

from gateway.drivers.osdp.ring import Heard
from gateway.errors import DriverError

MAX_LINE_CHARS = 64 * 1024
MAX_RECORDS = 1_000_000
_MAX_BYTES = 16 * 1024  # of one record
_SOURCE = "zhian"
LINK_TYPE = 162
_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_PACKET = 6
_INBOUND, _OUTBOUND = 1, 2
_NANOSECONDS = 9  # if_tsresol: 10^-9 s


def to_osdpcap(heard: Heard, *, passive: bool = False) -> str:
    """One line, without its end. passive: somebody listened who was neither end."""
    io = "trace" if passive else "output" if heard.from_panel else "input"
    seconds, nanoseconds = divmod(heard.time_ns, 1_000_000_000)
    return json.dumps(
        {
            "timeSec": str(seconds),
            "timeNano": f"{nanoseconds:09}",
            "io": io,
            "data": heard.data.hex("-").upper(),
            "osdpTraceVersion": "1",
            "osdpSource": _SOURCE,
        }
    )


def from_osdpcap(lines: Iterable[str], name: str) -> Iterator[Heard]:
    """The records of a capture. `from_panel` is False for io "trace": the frames themselves say who sent them.

    Raises DriverError with the line's number for the first line that is no record.
    """
    for number, line in enumerate(lines, 1):
        if number > MAX_RECORDS:
            raise DriverError(f"{name}: expected at most {MAX_RECORDS} lines, got more; cut the file")
        if line.strip():
            yield _record(line, f"{name}: line {number}")


def _record(line: str, where: str) -> Heard:
    if len(line) > MAX_LINE_CHARS:
        raise DriverError(f"{where}: expected at most {MAX_LINE_CHARS} characters, got {len(line)}; is it a capture?")
    try:
        told = json.loads(line)
        seconds, nanoseconds = int(told["timeSec"]), int(told["timeNano"])
        data = bytes.fromhex("".join(char for char in str(told["data"]) if char not in " -:"))
        io = str(told["io"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DriverError(
            f"{where}: expected a JSON object with timeSec, timeNano, io and data; is it OSDPCAP?"
        ) from None
    if io not in ("input", "output", "trace") or len(data) > _MAX_BYTES:
        raise DriverError(f"{where}: expected io input, output or trace and at most {_MAX_BYTES} bytes; mend the line")
    if not (0 <= seconds < 1 << 33 and 0 <= nanoseconds < 1_000_000_000):
        raise DriverError(f"{where}: expected a time in seconds and nanoseconds since 1970; mend the line")
    return Heard(seconds * 1_000_000_000 + nanoseconds, io == "output", data)


def to_pcapng(frames: Iterable[Heard]) -> Iterator[bytes]:
    """A pcapng file in pieces; each of `frames` holds one whole frame, as `decode.frames_of` cuts them."""
    yield _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    resolution = struct.pack("<HHB3x", 9, 1, _NANOSECONDS)
    yield _block(_INTERFACE, struct.pack("<HHI", LINK_TYPE, 0, 0) + resolution + struct.pack("<HH", 0, 0))
    for heard in frames:
        size = len(heard.data)
        head = struct.pack("<IIIII", 0, heard.time_ns >> 32, heard.time_ns & 0xFFFFFFFF, size, size)
        flags = struct.pack("<HHI", 2, 4, _OUTBOUND if heard.from_panel else _INBOUND)
        yield _block(_PACKET, head + heard.data + bytes(-size % 4) + flags + struct.pack("<HH", 0, 0))


def _block(kind: int, body: bytes) -> bytes:
    total = 12 + len(body)
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)
