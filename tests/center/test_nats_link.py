"""Our connection to nats-server: nothing that a client causes ends it, and its end ends nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
import structlog

from center.broker import process
from center.broker.callout import ASK_TIMEOUT_S, Doorkeeper
from center.broker.nats_link import USER, NatsLink
from center.broker.server_log import ServerLog
from center.config import User, Username

DEADLINE_S = 10.0
NOW_S = 1_790_000_000
CENTER = User(username="center", password="x" * 16, role="center")


class Server:
    """As much of nats-server as our connection sees. `asked` sends a question, `answers` are what came back."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id": "NSERVER"}\r\n')
        try:
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
                    self.connected.put_nowait(writer)
                elif line.startswith(b"PUB "):
                    self.answers.put_nowait(line + await reader.readexactly(int(line.split()[-1]) + 2))
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def answer(self) -> bytes:
        return await asyncio.wait_for(self.answers.get(), DEADLINE_S)

    async def client(self) -> asyncio.StreamWriter:
        return await asyncio.wait_for(self.connected.get(), DEADLINE_S)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    listening = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = listening.sockets[0].getsockname()[1]
    yield one
    listening.close()


async def link_to(server: Server) -> NatsLink:
    doorkeeper = Doorkeeper([CENTER], by_certificate=False)
    return await NatsLink.open(server.port, "secret", doorkeeper, lambda: datetime.fromtimestamp(NOW_S, UTC))


def question(number: int, asked_s: int = NOW_S, padding: int = 0) -> bytes:
    """`MSG`, with an answer expected at the subject `reply.<number>`."""
    claims = {
        "iat": asked_s,
        "nats": {
            "server_id": {"id": "NSERVER"},
            "user_nkey": "UNKEY",
            "client_info": {"id": number, "type": "mqtt", "mqtt_id": "x"},
            "connect_opts": {"user": "center", "pass": "x" * 16, "padding": "\x01" * padding},
        },
    }
    body = b"head." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=") + b".signature"
    return b"MSG $SYS.REQ.USER.AUTH 1 reply.%d %d\r\n%b\r\n" % (number, len(body), body)


async def test_a_request_that_is_too_large_is_refused_and_the_next_is_answered(server: Server) -> None:
    link = await link_to(server)
    serving = asyncio.create_task(link.serve())
    writer = await server.client()
    with structlog.testing.capture_logs() as shown:
        writer.write(question(1, padding=1 << 18) + question(2))  # each \x01 takes six bytes, and base64 a third more
        assert (await server.answer()).startswith(b"PUB reply.2 ")
    assert "expected at most 1048576" in shown[0]["event"]
    assert not serving.done()
    link.close()
    await asyncio.wait_for(serving, DEADLINE_S)


async def test_what_nobody_waits_for_is_not_answered(server: Server) -> None:
    link = await link_to(server)
    serving = asyncio.create_task(link.serve())
    writer = await server.client()
    late_s = NOW_S - int(ASK_TIMEOUT_S) - 1
    writer.write(question(1, late_s) + question(2, NOW_S - int(ASK_TIMEOUT_S)) + question(3, NOW_S + 3600))
    assert (await server.answer()).startswith(b"PUB reply.2 ")
    assert (await server.answer()).startswith(b"PUB reply.3 "), "a clock that was set back refuses nobody"
    link.close()
    await asyncio.wait_for(serving, DEADLINE_S)


@pytest.mark.parametrize("said", [b"", b"MSG $SYS.REQ.USER.AUTH 1 r 100\r\nhalf", b"MSG a 1 r x\r\n", b"y" * 200_000])
@pytest.mark.parametrize("reset", [False, True])
async def test_however_the_connection_ends_serving_ends_without_an_error(
    server: Server, said: bytes, reset: bool
) -> None:
    link = await link_to(server)
    serving = asyncio.create_task(link.serve())
    writer = await server.client()
    writer.write(said)
    await writer.drain()
    if reset:  # as a killed process with unread input leaves it
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    await asyncio.wait_for(serving, DEADLINE_S)


async def test_a_server_that_ends_only_our_connection_is_connected_to_anew(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_ENDING_S", 0.01)
    child = await asyncio.create_subprocess_exec("sleep", "100")
    link = await link_to(server)
    serving = asyncio.create_task(process._serve(link, child))
    try:
        writer = await server.client()
        writer.write(question(1))
        await server.answer()
        writer.close()
        (await server.client()).write(question(2))
        assert (await server.answer()).startswith(b"PUB reply.2 ")
        link._doorkeeper.change([])
        assert link.end_unknown() == 2, "it still knows who was let in before"
    finally:
        child.kill()
        await child.wait()
    link.close()
    await asyncio.wait_for(serving, DEADLINE_S)


def test_no_user_of_the_district_can_be_called_as_we_are() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(USER, Username)


async def test_no_piece_of_a_long_line_is_shown() -> None:
    line = (
        b'[1] 2026/11/22 01:27:13.436057 [ERR] 127.0.0.1:1 - mid:7 - "' + b"a" * 150_000 + b"-secret-id - " + b'" - x\n'
    )
    good = b"[1] 2026/11/22 01:27:13.436057 [ERR] short\n"
    for pieces in ([line + good], [line[:70_000], line[70_000:], good], [line[:-1], b"\n" + good], [line[:-1]]):
        stream = asyncio.StreamReader()
        with structlog.testing.capture_logs() as shown:
            following = asyncio.create_task(ServerLog(structlog.get_logger()).follow(stream))
            for piece in pieces:
                stream.feed_data(piece)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            stream.feed_eof()
            await asyncio.wait_for(following, DEADLINE_S)
        assert [one["said"] for one in shown] == (["short"] if good in b"".join(pieces) else [])
