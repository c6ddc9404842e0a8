"""A peer with valid credentials and bad intentions, and a broker that says yes and forgets."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
import zstandard
from paho.mqtt.enums import CallbackAPIVersion

from center.contract import topics
from center.contract.acknowledgement import Ack, encode_ack
from center.contract.catalogue import Event, OutboxLost, PortalForced
from center.contract.frame import FrameEncoder
from center.contract.state import GatewayState, encode_state
from center.contract.topics import GatewayName, Kind
from zhian.chaos_site import DISTRICT, HOSTILE, SITE, Site

CONNECTS = 10_000
AT_ONCE = 500  # connections held open together
_GUESS = b"\x10\x14\x00\x04MQTT\x04\x82\x00\x3c\x00\x02xx\x00\x02yy"
_LET_IN = b"\x20\x02\x00\x00"
_ANSWER_S = 20.0
EPOCHS = 40  # that a hostile gateway says it has lost something of, times seven topics
_TIME_MS = 1_790_000_000_000


def forged(victim: str) -> list[tuple[str, bytes]]:
    """(topic, payload): everything a gateway should not say, to its own topics and to another's."""
    own, other = GatewayName(DISTRICT, SITE, HOSTILE), GatewayName(DISTRICT, SITE, victim)
    encoder = FrameEncoder()
    event = Event(7, _TIME_MS, True, PortalForced("forged"))
    honest = encoder.encode("0" * 16, [event], True)
    far = encoder.encode("1" * 16, [Event(1 << 53, _TIME_MS, True, PortalForced("far"))], True)
    islands = [Event(2 * n + 1, _TIME_MS, True, PortalForced("island")) for n in range(900)]
    epochs = [OutboxLost(f"{0xE000 + n:016x}", ((1, 9),), "lie") for n in range(EPOCHS)]
    everything = OutboxLost("2" * 16, ((1, 1 << 53),), "lie")
    bomb = zstandard.ZstdCompressor().compress(bytes(200 << 20))
    names = [topics.topic(own, kind) for kind in (Kind.EVENT, Kind.ALARM, Kind.STATE)]
    names += [topics.topic(other, kind) for kind in (Kind.EVENT, Kind.ALARM, Kind.STATE, Kind.ACK)]
    state = encode_state(
        GatewayState(online=True, version="9.9", epoch="3" * 16, last_seq=1 << 53, simulated=True, clock_certain=True)
    )
    ack = encode_ack(Ack(epoch="0" * 16, stored_upto=1 << 53))
    payloads = [
        b"",
        b"\x00",
        b"\x01\x00" + bomb,
        b"\x02\x00" + bomb,
        b"\x03\x01" + secrets.token_bytes(200),
        b"\xff\xff" + secrets.token_bytes(100_000),
        b"\x01\x00" + secrets.token_bytes(900_000),
        honest,
        honest[:-5],
        far,
        encoder.encode("4" * 16, islands, True),
        encoder.encode("5" * 16, [Event(1, 0, False, everything)], True),
        *(encoder.encode("6" * 16, [Event(n, 0, False, lie)], True) for n, lie in enumerate(epochs, 1)),
        state,
        ack,
    ]
    return [(topic, payload) for topic in names for payload in payloads]


async def attack(site: Site, victim: str, repeats: int = 3) -> int:
    """Send all of it `repeats` times (the later ones are replays), to `victim`'s topics, too; returns how many."""
    messages = forged(victim) * repeats
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=f"hostile-{secrets.token_hex(4)}", protocol=mqtt.MQTTv311
    )
    client.username_pw_set(HOSTILE, site.password(HOSTILE))

    def send() -> None:
        client.connect("127.0.0.1", site.port)
        client.loop_start()
        for topic, payload in messages:
            published = client.publish(topic, payload, 1)
            with contextlib.suppress(ValueError, RuntimeError):  # the broker may close on us: that is its right
                published.wait_for_publish(2)
        client.disconnect()
        client.loop_stop()

    with contextlib.suppress(OSError):
        await asyncio.to_thread(send)
    return len(messages)


@dataclass(slots=True)
class Flooded:
    """How many connections opened, and of those with valid credentials how many were let in and how many not."""

    opened: int = 0
    let_in: int = 0
    refused: int = 0


async def flood(port: int, password: str, connects: int = CONNECTS) -> Flooded:
    """Open connections as fast as possible, AT_ONCE together: half say nothing, a quarter something wrong, a quarter
    sign in as HOSTILE and wait for the answer, so that the broker has to ask about each. A broker that is just being
    started is waited for."""
    done = Flooded()
    await _until_listening(port)
    for first in range(0, connects, AT_ONCE):
        held = []
        for _ in range(min(AT_ONCE, connects - first)):
            one = socket.socket()
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError, OSError):
                one.connect(("127.0.0.1", port))
            held.append(one)
        await asyncio.sleep(0.05)  # all of them are open now
        answers = []
        for i, one in enumerate(held):
            with contextlib.suppress(OSError):
                one.getpeername()
                done.opened += 1
                if i % 4 == 1:
                    one.send(_GUESS)
                elif i % 4 == 3:
                    one.send(_connect(f"{HOSTILE}/{first + i}", HOSTILE, password))
                    answers.append(_connack(one))
        let_in = [one == _LET_IN for one in await asyncio.gather(*answers)]
        done.let_in += sum(let_in)
        done.refused += len(let_in) - sum(let_in)
        for one in held:
            one.close()
    return done


async def _until_listening(port: int) -> None:
    async with asyncio.timeout(_ANSWER_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def _connack(one: socket.socket) -> bytes:
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await asyncio.get_running_loop().sock_recv(one, len(_LET_IN))
    except (OSError, TimeoutError):
        return b""


def _connect(*words: str) -> bytes:
    """MQTT 3.1.1, 3.1: client id, user and password; together shorter than 100 bytes."""
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(struct.pack(">H", len(w)) + w.encode() for w in words)
    return bytes((0x10, len(body))) + body


class ForgetfulBroker:
    """Takes every connection, grants every subscription, acknowledges every message, and keeps nothing."""

    def __init__(self) -> None:
        self.port = 0
        self.swallowed = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ForgetfulBroker:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers: dict[int, Callable[[int, bytes], bytes]] = {
            1: lambda _, __: b"\x20\x02\x00\x00",  # CONNECT -> CONNACK
            3: self._puback,
            8: lambda _, body: b"\x90\x03" + body[:2] + b"\x01",  # SUBSCRIBE to one filter -> SUBACK, QoS 1
            12: lambda _, __: b"\xd0\x00",  # PINGREQ -> PINGRESP
        }
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first = (await reader.readexactly(1))[0]
                body = await reader.readexactly(await _length(reader))
                answer = answers.get(first >> 4, lambda *_: b"")(first, body)
                writer.write(answer)
                await writer.drain()
        writer.close()

    def _puback(self, first: int, body: bytes) -> bytes:
        self.swallowed += 1
        (topic,) = struct.unpack_from(">H", body)
        return b"\x40\x02" + body[2 + topic : 4 + topic] if first & 0x06 else b""


async def _length(reader: asyncio.StreamReader) -> int:
    """MQTT 3.1.1, 2.2.3: seven bits a byte, lowest first."""
    length = 0
    for shift in (0, 7, 14, 21):
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
    return length
