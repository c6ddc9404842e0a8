"""The same gateway and center on every broker, with and without TLS: the path, the rights, what an attacker may try."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from event_path_rig import (
    BROKERS,
    District,
    MemoryOutbox,
    Peer,
    broker_of,
    peer,
    running,
    topic,
    until,
    uplink,
)
from test_event_path import assert_complete

from center.broker.authority import make_authority, make_certificate
from center.contract.catalogue import Event, PortalOpened
from center.contract.frame import encode_frame
from center.contract.topics import Kind
from runtime.mqtt import Access, Connection, MqttError, Tls

FRAME = encode_frame("00112233445566aa", [Event(1, 1_790_000_000_000, True, PortalOpened("lobby"))], False)


@pytest.fixture(params=BROKERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def district(tmp_path: Path, kind: str) -> District:
    return District(tmp_path, tls=kind.endswith("tls"))


async def test_a_broker_that_loses_everything_it_had(kind: str, district: District) -> None:
    """Killed, its disk gone, started anew: both ends subscribe again, and what it had acknowledged is sent again."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    broker = broker_of(kind, district)
    async with broker, district.ingesting() as ingest, running(link.run()):
        outbox.make(200)
        await until(lambda: outbox.acked_upto == 200, "acknowledged")
        await broker.kill()
        shutil.rmtree(district.folder / "broker", ignore_errors=True)
        outbox.make(200)
        await broker.start_and_wait()
        await until(lambda: outbox.acked_upto == 400, "sent again")
        await until(lambda: ingest.connected and link.connected, "both are back")
        outbox.make()
        await until(lambda: outbox.acked_upto == 401, "live again")
    assert_complete(district, outbox)


async def test_a_broker_that_acknowledges_and_drops(kind: str, district: District) -> None:
    """Nobody is subscribed: every frame is confirmed to the gateway and gone. Only the center's word counts."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with broker_of(kind, district), running(link.run()):
        await until(lambda: link.connected, "connected")
        outbox.make(50)
        await until(lambda: len(outbox.reads) > 0, "sent into nothing")
        assert outbox.acked_upto == 0
        async with district.ingesting():
            await until(lambda: outbox.acked_upto == 50, "sent again")
    assert_complete(district, outbox)


async def test_a_gateway_speaks_and_hears_only_for_itself(kind: str, district: District) -> None:
    async with broker_of(kind, district), district.ingesting() as ingest:
        async with peer(district, "gw-1") as first, peer(district, "gw-2") as second:
            for filter_ in (topic(Kind.ACK, "gw-1"), topic(Kind.EVENT, "gw-1"), "zhian/#", "#"):
                await second.subscribe(filter_)  # refused, or granted and never served: that is the broker's choice
            for forged in (Kind.EVENT, Kind.ALARM, Kind.STATE, Kind.ACK):
                await second.publish(topic(forged, "gw-1"), FRAME)
            assert await second.subscribe(topic(Kind.ACK, "gw-2"))
            await first.publish(topic(Kind.EVENT, "gw-1"), FRAME)
            await second.publish(topic(Kind.EVENT, "gw-2"), FRAME)
            await until(lambda: district.stored() == 2, "each gateway's own event")
            await until(lambda: second.acks(), "the answer to its own")
            assert {name for name, _ in second.messages} == {topic(Kind.ACK, "gw-2")}
        assert ingest.refusals.count == 0
    assert sorted(district.rows()) == [("gw-1", "00112233445566aa", 1), ("gw-2", "00112233445566aa", 1)]


async def test_nobody_takes_anothers_connection(kind: str, district: District) -> None:
    """What one gateway, with its own valid credentials, can try against another: its very client id, its user name."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    taken = district.session_of("gw-1")
    async with broker_of(kind, district), district.ingesting(), running(link.run()) as task:
        await until(lambda: link.connected, "connected")
        thieves = [peer(district, "gw-2", client_id=taken)]
        if district.tls:
            thieves.append(Peer(district.port, "CN=gw-1", "", "thief", district.tls_of("gw-2")))
            thieves.append(Peer(district.port, "gw-1", district.password("gw-1"), taken, district.tls_of("gw-2")))
        for thief in thieves:
            if await _connects(thief):  # as itself; some brokers refuse it outright
                thief.client.publish(topic(Kind.EVENT, "gw-1"), FRAME, 1)
                thief.client.loop(0.1)
            made = outbox.last_seq + 1
            outbox.make()
            await until(lambda made=made: outbox.acked_upto == made, "the owner goes on")
            assert link.connected
            thief.client.disconnect()
        assert link.connections == 1, "the owner's connection was never ended"
        assert not task.done()
    assert_complete(district, outbox)
    assert len(district.rows()) == outbox.last_seq, "nothing of the thieves arrived"


@pytest.mark.parametrize("kind", ["nats-tls", "mosquitto-tls"])
@pytest.mark.parametrize("wrong", ["none", "another authority", "ended", "a server's"])
async def test_a_certificate_that_is_not_believed(kind: str, district: District, wrong: str, tmp_path: Path) -> None:
    now, own = datetime.now(UTC), district.folder / "certificates"
    other = tmp_path / "other"
    tls = district.tls_of("gw-1")
    assert tls is not None
    if wrong == "another authority":
        make_authority(other, "another", now)
        make_certificate(other, other, "gw-1", now)
    elif wrong == "ended":
        make_certificate(own, other, "gw-1", now - timedelta(days=40), days=30)
    elif wrong == "a server's":
        make_certificate(own, other, "gw-1", now, ["127.0.0.1"])
    async with broker_of(kind, district):
        if wrong == "none":
            thief = Peer(district.port, "gw-1", district.password("gw-1"), "no-certificate")
            thief.client.tls_set(str(tls.ca_file))
            assert not await _connects(thief)
            return
        access = Access("127.0.0.1", district.port, "x", tls=Tls(tls.ca_file, other / "gw-1.pem", other / "gw-1.key"))
        with pytest.raises(MqttError, match="broker"):
            await Connection.open(access, [topic(Kind.ACK)], lambda _: None)


async def _connects(thief: Peer) -> bool:
    """Whether the broker lets this client in; driven by hand, since a refusal ends it."""

    def attempt() -> bool:
        try:
            thief.client.connect("127.0.0.1", thief.port)
        except OSError:
            return False
        for _ in range(40):
            if thief.connected:
                return True
            if thief.client.loop(0.05) != 0:
                return False
        return False

    return await asyncio.to_thread(attempt)


@pytest.mark.parametrize("kind", ["nats-tls", "mosquitto-tls"])
async def test_a_broker_that_is_not_believed(kind: str, district: District, tmp_path: Path) -> None:
    tls = district.tls_of("gw-1")
    assert tls is not None
    make_authority(tmp_path / "other", "another", datetime.now(UTC))
    wrong = Tls(tmp_path / "other" / "ca.pem", tls.certificate_file, tls.key_file)
    async with broker_of(kind, district):
        for access, word in (
            (Access("127.0.0.1", district.port, "x", tls=wrong), "not believed"),
            (Access("localhost.localdomain", district.port, "x", tls=tls), "not believed|cannot be reached"),
            (Access("127.0.0.1", district.port, "x", "gw-1", "no TLS at all"), "broker"),
        ):
            with pytest.raises(MqttError, match=word):
                await Connection.open(access, [topic(Kind.ACK)], lambda _: None)


@pytest.mark.parametrize("kind", ["nats", "nats-tls"])
async def test_a_revoked_gateway_is_disconnected_at_once_and_the_other_is_not(kind: str, district: District) -> None:
    outboxes = {name: MemoryOutbox() for name in ("gw-1", "gw-2")}
    links = {name: uplink(district, outbox, name) for name, outbox in outboxes.items()}
    broker = broker_of(kind, district)
    async with broker, district.ingesting(), running(links["gw-1"].run()), running(links["gw-2"].run()):
        await until(lambda: all(link.connected for link in links.values()), "both connected")
        district.write_users(["gw-2"])
        broker.read_users_again()
        await until(lambda: not links["gw-1"].connected, "its connection is closed")
        for outbox in outboxes.values():
            outbox.make()
        await until(lambda: outboxes["gw-2"].acked_upto == 1, "the other one goes on")
        assert outboxes["gw-1"].acked_upto == 0
        district.write_users(["gw-1", "gw-2"])
        broker.read_users_again()
        await until(lambda: outboxes["gw-1"].acked_upto == 1, "let in again")
