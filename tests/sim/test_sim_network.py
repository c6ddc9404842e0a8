"""The relay between gateway and broker: what each fault does to bytes and connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sim_rig import eventually

from sim import network
from sim.errors import SimError

CONNECT = b"\x10\x02hi"
QOS1 = b"\x32\x07\x00\x01a\x00\x09xy"  # PUBLISH, QoS 1, topic a, packet 9, payload xy
QOS0 = b"\x30\x05\x00\x01axy"
AGAIN = b"\x3a" + QOS1[1:]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass
class Broker:
    """Takes everything, and says what it is told to say on its newest connection."""

    got: bytes = b""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(1024):
                self.got += data
        writer.close()


@dataclass
class Rig:
    broker: Broker
    line: network.Network
    port: int
    facts: list[str]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    broker, ends, facts = Broker(), network.Ends(free_port(), free_port()), []
    server = await asyncio.start_server(broker.serve, "127.0.0.1", ends.broker)
    line = network.Network(ends, lambda kind, _subject, **_: facts.append(kind))
    await line.start()
    yield Rig(broker, line, ends.listen, facts)
    await line.close()
    server.close()


async def test_it_carries_both_ways(rig: Rig) -> None:
    reader, writer = await rig.connect()
    writer.write(CONNECT + QOS1 + QOS0)
    await eventually(lambda: rig.broker.got == CONNECT + QOS1 + QOS0, "packets arrive as they were")
    rig.broker.writers[0].write(b"answer")
    assert await reader.readexactly(6) == b"answer"
    assert rig.facts == ["link.made"]


@pytest.mark.parametrize("mode", ["stopped", "split"])
async def test_a_stopped_network_resets_and_refuses(rig: Rig, mode) -> None:
    reader, writer = await rig.connect()
    writer.write(CONNECT)
    await eventually(lambda: rig.broker.got, "the line is up")
    rig.line.stop(mode)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await rig.connect()
    await rig.line.restore()
    _, writer = await rig.connect()
    writer.write(QOS1)
    await eventually(lambda: rig.broker.got.endswith(QOS1), "it carries again")


async def test_a_stalled_network_takes_everything_and_carries_it_later(rig: Rig) -> None:
    _, writer = await rig.connect()
    writer.write(CONNECT)
    await eventually(lambda: rig.broker.got == CONNECT, "the line is up")
    await rig.line.stall("stalled")
    writer.write(QOS1 + QOS0)
    _, second = await rig.connect()
    second.write(QOS0)
    await asyncio.sleep(0.2)  # nothing may happen in it
    assert (rig.broker.got, len(rig.broker.writers)) == (CONNECT, 1)
    await rig.line.restore()
    await eventually(lambda: len(rig.broker.got) == len(CONNECT + QOS1 + QOS0 + QOS0), "all arrives")


async def test_a_one_way_network_loses_the_answers(rig: Rig) -> None:
    reader, writer = await rig.connect()
    writer.write(CONNECT)
    await eventually(lambda: rig.broker.got == CONNECT, "the line is up")
    await rig.line.stall("one-way")
    rig.broker.writers[0].write(b"first")  # may be in the relay's hands already
    writer.write(QOS1)
    await eventually(lambda: rig.broker.got.endswith(QOS1), "the gateway's side is carried")
    rig.broker.writers[0].write(b"second")
    await rig.line.restore()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""


async def test_a_slow_network_keeps_the_order(rig: Rig) -> None:
    loop = asyncio.get_running_loop()
    rig.line.slow(150)
    begun_s = loop.time()
    _, writer = await rig.connect()
    writer.write(CONNECT + QOS1 + QOS0)
    await eventually(lambda: rig.broker.got == CONNECT + QOS1 + QOS0, "all arrives in order")
    assert 0.14 < loop.time() - begun_s < 2


async def test_publishes_with_qos_1_arrive_twice_and_nothing_else_does(rig: Rig) -> None:
    _, writer = await rig.connect()
    rig.line.duplicate()
    writer.write(CONNECT + QOS1 + QOS0)
    await eventually(lambda: rig.broker.got == CONNECT + QOS1 + AGAIN + QOS0, "only QoS 1 is repeated, with DUP")
    assert rig.line.repeated == 1
    await rig.line.restore()
    writer.write(QOS1)
    await eventually(lambda: rig.broker.got.endswith(QOS0 + QOS1), "once again")


async def test_a_packet_in_pieces_and_with_a_long_length_is_carried_whole(rig: Rig) -> None:
    big = b"\x32\xd0\x86\x03" + b"\x00\x01a\x00\x09" + b"z" * 49_995  # 50 000 bytes: a length of three digits
    _, writer = await rig.connect()
    rig.line.duplicate()
    for first in range(0, len(big), 7_777):
        writer.write(big[first : first + 7_777])
        await writer.drain()
    await eventually(lambda: rig.broker.got == big + b"\x3a" + big[1:], "all of it twice")


@pytest.mark.parametrize("junk", [b"\x10\xff\xff\xff\xff\xff", b"\x10\xff\xff\xff\x7f"], ids=["no-length", "too-long"])
async def test_what_is_no_mqtt_ends_the_connection(rig: Rig, junk: bytes) -> None:
    reader, writer = await rig.connect()
    writer.write(junk)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    await eventually(lambda: rig.facts == ["link.made", "link.ended"], "the line is ended")


async def test_a_broker_that_is_away_is_a_reset(rig: Rig) -> None:
    gone = network.Network(network.Ends(free_port(), free_port()), lambda *_, **__: None)
    await gone.start()
    reader, _ = await asyncio.open_connection("127.0.0.1", gone._ends.listen)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    await gone.close()


async def test_a_taken_port_and_a_wrong_file_are_one_sentence(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(SimError, match="cannot be used"):
        await network.Network(network.Ends(rig.port, 1), lambda *_, **__: None).start()
    file = tmp_path / network.FILE
    assert network.read(file) is None
    network.write(file, network.Ends(1, 2))
    assert network.read(file) == network.Ends(1, 2)
    file.write_text('{"listen":"x"}')
    with pytest.raises(SimError, match="lay the site out anew"):
        network.read(file)


async def test_a_torn_message_arrives_half_and_the_connection_ends(rig: Rig) -> None:
    reader, writer = await rig.connect()
    rig.line.tear()
    writer.write(CONNECT + QOS0 + QOS1)
    assert await reader.read() == b""
    await eventually(lambda: rig.broker.got == CONNECT + QOS0 + QOS1[: len(QOS1) // 2], "half of it arrives")
    assert (rig.line.torn, rig.facts.count("network.torn")) == (1, 1)
    reader, writer = await rig.connect()
    writer.write(CONNECT + QOS1)
    await eventually(lambda: rig.broker.got.endswith(CONNECT + QOS1), "the next one arrives whole")


async def test_a_message_that_is_held_back_arrives_after_newer_ones(rig: Rig) -> None:
    reader, writer = await rig.connect()
    rig.line.reorder()
    assert rig.line.holding
    writer.write(CONNECT + QOS1)
    assert await reader.read() == b""
    assert rig.broker.got == CONNECT
    newer = QOS1[:-2] + b"zz"
    reader, writer = await rig.connect()
    writer.write(newer + newer)
    late = AGAIN[:5] + b"\xff\xf0" + b"xy"
    await eventually(lambda: rig.broker.got == CONNECT + newer + newer + late, "it comes late, as a duplicate")
    assert (rig.line.late, rig.line.holding) == (1, False)
    assert "network.reordered" in rig.facts
    rig.broker.writers[-1].write(b"\x40\x02\x00\x09" + b"\x40\x02\xff\xf0")
    rig.broker.writers[-1].write(b"next")
    assert await reader.readexactly(8) == b"\x40\x02\x00\x09next", "nobody waits for the other answer"
