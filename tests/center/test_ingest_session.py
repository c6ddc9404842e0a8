"""Who is refused while the broker is busy or not quite started is not refused for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from center import subscriber
from center.errors import IngestError
from center.ingest import session as ingest
from center.ingest.inbox import Inbox
from center.ingest.session import Session
from center.subscriber import SubscriberAccess
from runtime.mqtt import Access

DEADLINE_S = 10.0
IN, NOT_AUTHORIZED = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05"
REFUSALS = 5


@asynccontextmanager
async def broker(refusals: float) -> AsyncIterator[int]:
    """Answers so many CONNECTs with "not authorized", then lets in and grants one subscription."""
    left = refusals

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        await reader.read(1000)
        left -= 1
        writer.write(NOT_AUTHORIZED if left >= 0 else IN)
        if left < 0:
            asked = await reader.read(1000)
            writer.write(b"\x90\x03" + asked[2:4] + b"\x01")
            await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RECONNECT_MIN_S", "RECONNECT_MAX_S"):
        monkeypatch.setattr(ingest, name, 0.01)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def session(port: int) -> Session:
    return Session(Access("127.0.0.1", port, "id", "center", "x" * 16), ["zhian/v1/+/+/+/up/event"], Inbox())


@pytest.mark.usefixtures("hasty")
async def test_ingest_waits_for_a_broker_that_refuses_everybody_at_first() -> None:
    async with broker(REFUSALS) as port:
        one = session(port)
        running = asyncio.create_task(one.run())
        await until(lambda: one.ready or running.done())
        assert one.ready
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.usefixtures("hasty")
async def test_ingest_that_is_refused_all_the_time_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "REFUSED_FOR_S", 0.1)
    async with broker(float("inf")) as port:
        with pytest.raises(IngestError, match=r"refused 'center' \(Not authorized\), or was not ready; check"):
            await asyncio.wait_for(session(port).run(), DEADLINE_S)


def test_a_subscriber_tries_again_before_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    now_s = 1000.0
    monkeypatch.setattr(subscriber, "monotonic", lambda: now_s)
    access = SubscriberAccess("127.0.0.1", 1, "sub", "x" * 16)
    client = subscriber._client(access, subscriber._Printer(lambda _: None, stopped.append), stopped.append)
    connected = client.on_connect
    assert connected is not None
    refused, welcome = (ReasonCode(PacketTypes.CONNACK, name) for name in ("Not authorized", "Success"))
    for at_s, reason in ((1000, refused), (1299, refused), (1299, welcome), (1301, refused), (1600, refused)):
        now_s = float(at_s)
        connected(client, None, None, reason, None)
        assert not stopped, at_s
    now_s = 1601.0
    connected(client, None, None, refused, None)
    assert "refused 'sub' (Not authorized), or was not ready; check its password" in stopped[0]
    connected(client, None, None, ReasonCode(PacketTypes.CONNACK, "Bad user name or password"), None)
    assert len(stopped) == 2, "that is never said for want of time"
