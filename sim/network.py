"""The network between gateway and broker: a relay on loopback that the uplink connects to, with a patch cable to pull.

The center is next to its broker and connects directly. The relay knows of MQTT 3.1.1 only where packets begin and end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from runtime import log
from sim.errors import SimError

HOST = "127.0.0.1"
FILE = "network.json"
MAX_CONNECTIONS = 16
MAX_PACKET = 4 * 1024 * 1024  # bytes of one MQTT packet; frames have at most 1 MiB
MAX_REPEATED = 256 * 1024  # larger packets are not sent twice
MAX_REPEATS = 10_000  # packets sent twice in one world
CHUNK = 16 * 1024
IN_TRANSIT = 64  # chunks on their way when the network is slow; then the sender waits, as with a full window
PUBLISH, DUP, QOS = 3, 0x08, 0x06  # MQTT 3.1.1, 2.2 and 3.3.1
LATE_AFTER = 2  # PUBLISH packets of a later connection that overtake the one that is held back
LATE_ID = b"\xff\xf0"  # packet identifier of the late one: the client is not using it
LATE_ACK = b"\x40\x02" + LATE_ID  # PUBACK that the client does not wait for

Mode = Literal["up", "stopped", "split", "stalled", "one-way"]
Record = Callable[..., None]

_log = log.get("sim.network")


class Ends(msgspec.Struct, forbid_unknown_fields=True):
    """The file <site>/run/network.json: where the gateway connects to, and where the broker is."""

    listen: int
    broker: int


def read(path: Path) -> Ends | None:
    """The ends, or None on a site without this network. Raises SimError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ends)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as e:
        raise SimError(f'{path}: expected {{"listen":PORT,"broker":PORT}} ({e}); lay the site out anew') from e


def write(path: Path, ends: Ends) -> None:
    """For the one who lays out a site."""
    path.write_text(json.dumps({"listen": ends.listen, "broker": ends.broker}) + "\n", "ascii")


@dataclass(slots=True)
class _Line:
    """One connection of the gateway: what has passed, and whether it ends here."""

    passed: int = 0  # PUBLISH packets with QoS 1
    ends: bool = False


class Network:
    """One relay. Construct, `start`, then change what the line does; `close` ends every connection."""

    def __init__(self, ends: Ends, record: Record) -> None:
        self.mode: Mode = "up"
        self.delay_ms = 0
        self.duplicating = False
        self.repeated = 0  # packets that were sent twice
        self.torn = 0  # connections that ended in the middle of a packet
        self.late = 0  # packets that arrived after newer ones
        self._tearing = False
        self._reordering = False
        self._held: bytes | None = None
        self._ends = ends
        self._record = record
        self._server: asyncio.Server | None = None
        self._up = asyncio.Event()  # the direction gateway -> broker carries
        self._down = asyncio.Event()
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises SimError where the port is taken."""
        self._set("up")
        await self._listen()

    async def close(self) -> None:
        """Take the line down."""
        self._unlisten()
        self._cut()
        await asyncio.gather(*self._lines, return_exceptions=True)

    # --- what can happen to it ----------------------------------------------------------------------------------

    def stop(self, mode: Literal["stopped", "split"]) -> None:
        """Connections are reset and new ones refused."""
        self._set(mode)
        self._unlisten()
        self._cut()

    async def stall(self, mode: Literal["stalled", "one-way"]) -> None:
        """Connections stay and new ones are taken, but nothing is carried; "one-way": no answers are."""
        if self._server is None:
            await self._listen()
        self._set(mode)

    def slow(self, delay_ms: int) -> None:
        """Everything arrives later, in both directions, in order."""
        self.delay_ms = delay_ms

    def duplicate(self) -> None:
        """Each PUBLISH of the gateway with QoS 1 arrives twice."""
        self.duplicating = True

    @property
    def holding(self) -> bool:
        """Whether a packet is, or will be, held back."""
        return self._reordering or self._held is not None

    def tear(self) -> None:
        """The gateway's next PUBLISH with QoS 1 arrives half, then the connection ends."""
        self._tearing = True

    def reorder(self) -> None:
        """The gateway's next PUBLISH with QoS 1 is held back and its connection ends; the packet arrives, as a
        duplicate, after LATE_AFTER newer ones of a later connection."""
        self._reordering = True

    async def restore(self) -> None:
        """All is well. What a stalled line held arrives now; a one-way one lost its answers and is reset."""
        if self.mode == "one-way":
            self._cut()
        self.delay_ms, self.duplicating, self._tearing, self._reordering = 0, False, False, False
        if self._server is None:
            await self._listen()
        self._set("up")

    # --- carrying -----------------------------------------------------------------------------------------------

    def _set(self, mode: Mode) -> None:
        self.mode = mode
        (self._up.set if mode in ("up", "one-way") else self._up.clear)()
        (self._down.set if mode == "up" else self._down.clear)()

    async def _listen(self) -> None:
        try:
            self._server = await asyncio.start_server(self._accept, HOST, self._ends.listen)
        except OSError as e:
            raise SimError(f"port {self._ends.listen} on {HOST} cannot be used ({e.strerror}); is it taken?") from e

    def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _cut(self) -> None:
        for line in self._lines:
            line.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._lines) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        line = asyncio.get_running_loop().create_task(self._line(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the gateway, until either side ends it or the line is cut."""
        try:
            await self._up.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self._ends.broker)
        except OSError:
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        self._record("link.made", "network")
        line = _Line()
        ways = {
            asyncio.create_task(self._carry(lambda: self._from_gateway(reader, line), far_writer, self._up)),
            asyncio.create_task(self._carry(lambda: self._from_broker(far_reader), writer, self._down)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, far_writer):
                end.transport.abort()
            self._record("link.ended", "network")

    async def _carry(
        self, take: Callable[[], Awaitable[bytes]], writer: asyncio.StreamWriter, open_: asyncio.Event
    ) -> None:
        """Take and give until the end. What was taken is given in order, `delay_ms` later."""
        loop = asyncio.get_running_loop()
        transit: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_TRANSIT)

        async def give() -> None:
            while True:
                due_s, data = await transit.get()
                await asyncio.sleep(due_s - loop.time())
                await open_.wait()
                writer.write(data)
                await writer.drain()
                transit.task_done()

        giving = asyncio.create_task(give())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while not giving.done():
                    await open_.wait()
                    data = await take()
                    if not data:
                        break
                    await transit.put((loop.time() + self.delay_ms / 1000, data))
                # The last bytes, e.g. a goodbye, are still on their way.
                arrived = asyncio.ensure_future(transit.join())
                await asyncio.wait({arrived, giving}, return_when=asyncio.FIRST_COMPLETED)
                arrived.cancel()
        finally:
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)

    async def _from_broker(self, reader: asyncio.StreamReader) -> bytes:
        """What the broker says, but for the answer to a packet that the gateway does not know of."""
        while data := await reader.read(CHUNK):
            # An answer of four bytes comes whole on loopback.
            if (left := data.replace(LATE_ACK, b"") if self.late else data) != b"":
                return left
        return b""

    async def _from_gateway(self, reader: asyncio.StreamReader, line: _Line) -> bytes:
        """The gateway's next packet as it arrives: whole, twice, half, or never. b"" where the connection ends."""
        packet = b"" if line.ends else await self._packet(reader)
        if not _is_publish(packet):
            return packet
        if self._tearing:
            self._tearing, line.ends = False, True
            self.torn += 1
            self._record("network.torn", "network", bytes=len(packet) // 2, of=len(packet))
            return packet[: len(packet) // 2]
        if self._reordering:
            self._reordering, line.ends = False, True
            self._held = packet
            return b""
        line.passed += 1
        if self._held is not None and line.passed >= LATE_AFTER:
            late, self._held = _under_another_id(self._held), None
            self.late += 1
            self._record("network.reordered", "network", bytes=len(late))
            return packet + late
        return packet

    async def _packet(self, reader: asyncio.StreamReader) -> bytes:
        """The gateway's next MQTT packet, twice where packets are duplicated. b"" for what is no MQTT."""
        head = await reader.readexactly(1)
        length, shift = 0, 0
        while True:
            byte = await reader.readexactly(1)
            head += byte
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
            if shift > 21:
                _log.warning("the gateway sent what is no MQTT packet")
                return b""
        if length > MAX_PACKET:
            _log.warning("the gateway sent a packet that is too long", bytes=length)
            return b""
        packet = head + await reader.readexactly(length)
        if self._is_repeated(packet):
            self.repeated += 1
            return packet + bytes((packet[0] | DUP,)) + packet[1:]
        return packet

    def _is_repeated(self, packet: bytes) -> bool:
        return self.duplicating and _is_publish(packet) and len(packet) <= MAX_REPEATED and self.repeated < MAX_REPEATS


def _is_publish(packet: bytes) -> bool:
    """Whether it is a PUBLISH with QoS 1."""
    return bool(packet) and packet[0] >> 4 == PUBLISH and packet[0] & QOS == 0x02


def _under_another_id(packet: bytes) -> bytes:
    """The PUBLISH as a duplicate with the identifier LATE_ID (MQTT 3.1.1, 3.3.2)."""
    start = 2
    while packet[start - 1] & 0x80:  # the length goes on
        start += 1
    at = start + 2 + int.from_bytes(packet[start : start + 2], "big")  # behind the topic
    return bytes((packet[0] | DUP,)) + packet[1:at] + LATE_ID + packet[at + 2 :]
