"""Peers that do not keep to the contract: another gateway, a stranger, a broken center. None of it stops anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from pathlib import Path

import pytest
import zstandard
from event_path_rig import DEADLINE_S, EPOCH, District, MemoryOutbox, Peer, peer, running, topic, until, uplink

from center.contract.acknowledgement import Ack, encode_ack
from center.contract.catalogue import Event, PortalOpened
from center.contract.frame import encode_frame
from center.contract.state import GatewayState, encode_state
from center.contract.topics import Kind
from center.errors import IngestError
from center.ingest import session
from center.ingest.ingest import Ingest
from center.store.writing import EventWriter


@pytest.fixture
def district(tmp_path: Path) -> District:
    return District(tmp_path)


def frame(*numbers: int, epoch: str = EPOCH) -> bytes:
    return encode_frame(epoch, [Event(n, 1_790_000_000_000, True, PortalOpened("lobby")) for n in numbers], False)


async def test_duplicates_and_disorder_are_stored_once_and_answered(district: District) -> None:
    async with district.process("broker", "run"), district.ingesting(), peer(district) as gateway:
        await gateway.subscribe(topic(Kind.ACK))
        for numbers in ((5, 6), (1,), (5, 6), (1, 2), (9,), (3, 4), (9, 9)):
            await gateway.publish(topic(Kind.EVENT), frame(*numbers))
        expected = Ack(epoch=EPOCH, stored_upto=6, missing=((7, 8),), seen_upto=9)
        await until(lambda: gateway.acks() and gateway.acks()[-1] == expected, f"{expected}: {gateway.acks()}")
        await until(lambda: district.reading.counts().refused_duplicates == 5, "every copy is recognised")
        counts = district.reading.counts()
        assert (counts.stored, counts.missing, counts.duplicated) == (7, 2, 0)
        for given in gateway.acks():
            assert given.stored_upto <= 6, "only what is committed is acknowledged"
        await gateway.publish(topic(Kind.EVENT), frame(7, 8))
        await until(lambda: gateway.acks()[-1].stored_upto == 9, "the gap is closed")


async def test_a_gateway_speaks_and_hears_only_for_itself(district: District) -> None:
    async with district.process("broker", "run"), district.ingesting() as ingest:
        async with peer(district, "gw-1") as first, peer(district, "gw-2") as second:
            assert await second.subscribe(topic(Kind.ACK, "gw-2"))
            for filter_ in (
                topic(Kind.ACK, "gw-1"),
                topic(Kind.EVENT, "gw-1"),
                "zhian/v1/east/garden/+/down/ack",
                "zhian/#",
                "#",
                "$MQTT/#",
                "$JS/#",
                "$SYS/#",
            ):
                assert not await second.subscribe(filter_), filter_
            for forged in (
                topic(Kind.EVENT, "gw-1"),
                topic(Kind.ALARM, "gw-1"),
                topic(Kind.STATE, "gw-1"),
                topic(Kind.ACK, "gw-1"),
                topic(Kind.ACK, "gw-2"),
                "$MQTT/msgs/" + topic(Kind.EVENT, "gw-1"),
                "zhian/v1/east/garden/*/up/event",
            ):
                await second.publish(forged, frame(1))  # acknowledged by the broker, and dropped
            await first.publish(topic(Kind.EVENT, "gw-1"), frame(2))
            await second.publish(topic(Kind.EVENT, "gw-2"), frame(3))
            await until(lambda: district.stored() == 2, "each gateway's own event")
            await until(lambda: second.acks(), "the answer to its own")
            assert district.rows() == [("gw-1", EPOCH, 2), ("gw-2", EPOCH, 3)]
            assert {name for name, _ in second.messages} == {topic(Kind.ACK, "gw-2")}
        assert ingest.refusals.count == 0, "nothing of it reached ingest"


async def test_garbage_is_counted_and_the_next_frame_is_stored(district: District) -> None:
    bomb = b"\x01\x00" + zstandard.ZstdCompressor().compress(bytes(200 << 20))
    garbage = (b"", b"\x00", b"\x09\x00x", secrets.token_bytes(5000), bomb, frame(1)[:-3], b"\x01\x00" + bytes(1 << 19))
    async with district.process("broker", "run"), district.ingesting() as ingest, peer(district) as gateway:
        for kind in (Kind.EVENT, Kind.ALARM, Kind.STATE):
            for raw in garbage:
                await gateway.publish(topic(kind), raw)
        await gateway.publish(topic(Kind.EVENT), frame(1))
        await until(lambda: district.stored() == 1, "stored")
        assert ingest.refusals.count == 3 * len(garbage)


async def test_a_frame_over_the_limit_ends_only_its_own_connection(district: District) -> None:
    async with district.process("broker", "run"), district.ingesting(), peer(district) as gateway:
        gateway.client.publish(topic(Kind.EVENT), bytes(2 << 20), 1)
        async with peer(district, "gw-2") as other:
            await other.publish(topic(Kind.EVENT, "gw-2"), frame(1))
            await until(lambda: district.stored() == 1, "stored")
    assert "payload" in (district.folder / "broker-run.log").read_text()


async def test_more_gaps_than_anybody_needs_are_not_kept(district: District) -> None:
    """Every second number: one gap each. What is over the limit stays missing, and can be sent later."""
    async with district.process("broker", "run"), district.ingesting() as ingest, peer(district) as gateway:
        await gateway.publish(topic(Kind.EVENT), frame(*range(2, 2002, 2)))
        await until(lambda: district.stored() == 512, "up to the limit")
        await gateway.publish(topic(Kind.EVENT), frame(*range(1, 1001)))
        await gateway.publish(topic(Kind.EVENT), frame(*range(1001, 2001)))
        await until(lambda: district.stored() == 2000, "the rest")
        assert ingest.refusals.count == 1
    assert district.reading.counts().missing == 0


async def test_a_center_that_answers_nonsense_is_not_believed(district: District) -> None:
    """Whoever speaks as the center could only make a gateway forget what it has made. One who acknowledges what was not
    made makes it begin one epoch, which forgets nothing, and no second one."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with district.process("broker", "run"), running(link.run()) as task:
        await until(lambda: link.connected, "connected")
        outbox.make(10)
        async with Peer(district.port, "center", district.password("center"), "false-center") as center:
            for raw in (
                b"",
                b"{}",
                secrets.token_bytes(3000),
                encode_ack(Ack(epoch="f" * 16, stored_upto=10)),
                encode_ack(Ack(epoch=EPOCH, stored_upto=11)),
                encode_ack(Ack(epoch=EPOCH, stored_upto=3, seen_upto=1 << 50)),
            ):
                await center.publish(topic(Kind.ACK), raw)
            await until(lambda: outbox.epoch != EPOCH, "what was never made here was acknowledged")
            assert outbox.acked_upto == 0
            epoch = outbox.epoch
            await center.publish(topic(Kind.ACK), encode_ack(Ack(epoch=epoch, stored_upto=11)))
            await center.publish(topic(Kind.ACK), encode_ack(Ack(epoch=epoch, stored_upto=4)))
            await until(lambda: outbox.acked_upto > 0, "the honest answer is heard")
        assert (outbox.acked_upto, outbox.epoch) == (4, epoch)
        assert not task.done()


async def test_a_client_id_that_belongs_to_another_is_refused_and_not_logged(district: District) -> None:
    taken = district.session_of("gw-1")
    async with district.process("broker", "run"):
        for user in ("gw-2", "center"):
            thief = Peer(district.port, user, district.password(user), taken)
            await asyncio.to_thread(thief.client.connect, "127.0.0.1", district.port)
            thief.client.loop_start()
            await until(lambda thief=thief: thief.refused, "refused")
            await asyncio.to_thread(thief.client.loop_stop)
        async with peer(district, "gw-1", client_id=taken):
            pass  # its owner
        async with peer(district, "gw-2", client_id="of-nobody"):
            pass
    said = (district.folder / "broker-run.log").read_text()
    assert district.settings().client_id not in said, "client ids are secrets: not in the log"
    assert "gw-2 used a client id that belongs to another user" in said


async def test_a_retained_state_is_no_sign_of_life(district: District) -> None:
    async with district.process("broker", "run"):
        async with peer(district) as gateway:
            gateway.client.publish(topic(Kind.STATE), encode_state(GatewayState(online=True, version="1.2")), 1, True)
            await until(lambda: gateway.published == 1, "PUBACK")
        async with district.ingesting():
            await until(
                lambda: district.database.exists() and district.stored() == 0 and district.reading.gateways(),
                "the retained state arrives",
            )
            (row,) = district.reading.gateways()
            assert (row.version, row.last_seen_ms, row.online) == ("1.2", 0, False)


@pytest.mark.parametrize("wrong", ["password", "role"])
async def test_ingest_ends_with_a_sentence_where_the_broker_refuses_it(
    district: District, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "REFUSED_FOR_S", 0.1)
    users = json.loads((district.folder / "users.json").read_text())
    if wrong == "password":
        users[0]["password"] = "another-password-0123"
    else:
        users[0].update(role="gateway", district="east", site="garden", gateway="gw-9")
    (district.folder / "users.json").write_text(json.dumps(users))
    async with district.process("broker", "run"):
        with contextlib.closing(EventWriter(district.database)) as writer, pytest.raises(IngestError) as e:
            await asyncio.wait_for(Ingest(writer, district.access).run(), DEADLINE_S)
    assert "'center'" in str(e.value)
    assert district.password("center") not in str(e.value)
