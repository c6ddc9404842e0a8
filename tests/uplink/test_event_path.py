"""The whole path with real brokers: everything made is stored once, whatever is unplugged."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from event_path_rig import District, MemoryOutbox, Mosquitto, running, until, uplink

from center.contract.catalogue import Event, OutboxLost, PortalForced


@pytest.fixture
def district(tmp_path: Path) -> District:
    return District(tmp_path)


def assert_complete(district: District, outbox: MemoryOutbox, gateway: str = "gw-1") -> None:
    """made = stored, each once, and the center knows of no gap."""
    numbers = [seq for name, epoch, seq in district.rows() if name == gateway and epoch == outbox.epoch]
    assert sorted(numbers) == list(range(1, outbox.last_seq + 1))
    counts = district.reading.counts()
    assert (counts.duplicated, counts.missing) == (0, 0)


async def test_live_events_arrive_at_once_and_are_acknowledged(district: District) -> None:
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with district.process("broker", "run"), district.ingesting():
        async with running(link.run()):
            await until(lambda: link.connected, "connected")
            for made in range(1, 21):
                outbox.make()
                await until(lambda: outbox.acked_upto == outbox.last_seq, f"event {made} acknowledged")
            await until(lambda: district.reading.gateways()[0].online, "online")
        await until(lambda: not district.reading.gateways()[0].online, "the goodbye is stored")
    assert_complete(district, outbox)
    assert district.reading.counts().refused_duplicates == 0
    (gateway,) = district.reading.gateways()
    assert (gateway.gateway, gateway.stored_upto, gateway.missing) == ("gw-1", 20, 0)


async def test_backlog_is_sent_and_a_live_event_passes_it(district: District) -> None:
    outbox = MemoryOutbox()
    outbox.make(5000)
    link = uplink(district, outbox, batch_events=50)
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        await until(lambda: outbox.acked_upto > 0, "the first of the backlog is acknowledged")
        assert outbox.acked_upto < 4000
        outbox.make()
        await until(lambda: outbox.acked_upto == 5001, "everything is acknowledged")
    assert_complete(district, outbox)
    order = [seq for _, _, seq in district.rows()]
    assert order.index(5001) < 4999, "the live event came after the backlog"


async def test_an_alarm_is_announced_apart_and_stored_once(district: District) -> None:
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        await until(lambda: link.connected, "connected")
        outbox.make()
        outbox.make(data=PortalForced("lobby"))
        await until(lambda: outbox.acked_upto == 2, "acknowledged")
        await until(lambda: district.reading.counts().refused_duplicates == 1, "the second copy is recognised")
    assert_complete(district, outbox)
    assert district.reading.counts().alarms == 1


async def test_killed_broker_and_killed_center(district: District) -> None:
    """kill -9 of either, while events are made all the time."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    dice = random.Random(20)
    broker, center = district.process("broker", "run"), district.process("center", "run")

    async def make() -> None:
        while outbox.last_seq < 3000:
            outbox.make(dice.randint(1, 9))
            await asyncio.sleep(dice.uniform(0, 0.01))  # the rhythm of the load, nothing is waited for

    async with broker, center, running(link.run()), running(make()) as making:
        for victim in (broker, center, center, broker):
            at = outbox.acked_upto
            await until(lambda at=at: outbox.acked_upto > at or making.done(), "something is acknowledged")
            await victim.kill()
            await victim.start_and_wait()
        await making
        await until(lambda: outbox.acked_upto == outbox.last_seq, "everything is acknowledged")
    assert outbox.last_seq >= 3000
    assert_complete(district, outbox)


@pytest.mark.parametrize("lost", ["broker", "data"])
async def test_lost_disk(district: District, lost: str) -> None:
    """The broker loses its sessions and messages, or the center its database: the gateway still has everything."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    broker, center = district.process("broker", "run"), district.process("center", "run")
    async with broker, center, running(link.run()):
        outbox.make(300)
        await until(lambda: outbox.acked_upto == 300, "the first part is acknowledged")
        victim = broker if lost == "broker" else center
        await victim.kill()
        shutil.rmtree(district.folder / lost)
        outbox.make(300)
        await victim.start_and_wait()
        await until(lambda: outbox.acked_upto == 600, "the second part is acknowledged")
        await until(lambda: district.stored() == 600, "what was lost is sent again")
    assert_complete(district, outbox)


async def test_events_made_while_nobody_listens(district: District) -> None:
    """A broker acknowledges what no session wants and drops it: only the center's own word counts."""
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with district.process("broker", "run"), running(link.run()):
        await until(lambda: link.connected, "connected")
        for _ in range(100):
            outbox.make()
            await asyncio.sleep(0)
        await until(lambda: len(outbox.reads) > 0, "sent into nothing")
        assert outbox.acked_upto == 0
        async with district.ingesting():
            await until(lambda: outbox.acked_upto == 100, "sent again")
    assert_complete(district, outbox)


async def test_two_gateways_and_two_epochs(district: District) -> None:
    first, second, restored = MemoryOutbox(), MemoryOutbox(), MemoryOutbox("ffffffffffffffff")
    async with district.process("broker", "run"), district.ingesting():
        for gateway, outbox in (("gw-1", first), ("gw-2", second), ("gw-1", restored)):
            outbox.make(30)
            async with running(uplink(district, outbox, gateway).run()):
                await until(lambda outbox=outbox: outbox.acked_upto == 30, "acknowledged")
    assert_complete(district, first)
    assert_complete(district, second, "gw-2")
    assert_complete(district, restored)
    assert district.stored() == 90
    assert [row.epoch for row in district.reading.gateways()] == [restored.epoch, second.epoch]


async def test_what_the_outbox_no_longer_has_is_reported_and_covered(district: District) -> None:
    outbox = MemoryOutbox()
    outbox.make(100)
    outbox.forget(41, 60)
    async with district.process("broker", "run"), district.ingesting(), running(uplink(district, outbox).run()):
        await until(lambda: outbox.acked_upto == outbox.last_seq > 100, "the report covers the hole")
    (lost,) = [event.data for event in outbox.all() if isinstance(event.data, OutboxLost)]
    assert lost.ranges == ((41, 60),)
    assert lost.epoch == outbox.epoch
    counts = district.reading.counts()
    assert (counts.stored, counts.missing, counts.duplicated) == (81, 0, 0)


async def test_a_site_that_joins_later_says_where_it_begins(district: District) -> None:
    """What was recorded before there was a center is neither missing nor lost."""
    outbox = MemoryOutbox(first_seq=501)
    outbox.make(500)
    outbox.forget(1, 500)
    async with district.process("broker", "run"), district.ingesting(), running(uplink(district, outbox).run()):
        await until(lambda: district.database.exists() and district.reading.gateways(), "the state is stored")
        outbox.make(20)
        await until(lambda: outbox.acked_upto == 520, "acknowledged")
    counts = district.reading.counts()
    assert (counts.stored, counts.missing, counts.alarms) == (20, 0, 0)
    assert [seq for _, _, seq in district.rows()] == list(range(501, 521))


async def test_alarms_of_a_backlog_arrive_before_it(district: District) -> None:
    outbox = MemoryOutbox()
    outbox.make(3000)
    outbox.make(data=PortalForced("lobby"))
    outbox.make(500)
    link = uplink(district, outbox, batch_events=50)
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        await until(lambda: outbox.acked_upto == 3501, "everything is acknowledged")
    assert_complete(district, outbox)
    # It is sent first, on a topic of its own. MQTT 3.1.1 (4.6) orders messages within a topic only, so frames that are
    # on their way together with it may be stored before it; the 3000 events it would have waited behind may not.
    place = [seq for _, _, seq in district.rows()].index(3001)
    assert place <= 500, f"the alarm came at place {place}"


async def test_a_disk_that_cannot_be_read_keeps_the_connection_and_its_alarms_leave(district: District) -> None:
    """Alarms that have no number yet go out under an epoch of their own, until the center has them."""
    outbox = MemoryOutbox()
    memory = "0123456789abcdef"
    link = uplink(district, outbox)
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        await until(lambda: link.connected, "connected")
        outbox.broken = True
        outbox.make(10)
        outbox.early_alarms = [
            (memory, [Event(1, 5, True, PortalForced("lobby")), Event(2, 6, True, PortalForced("b"))])
        ]
        await until(lambda: not outbox.early_alarms, "the early alarms are acknowledged")
        assert link.connected
        assert outbox.acked_upto == 0
        assert [seq for _, epoch, seq in district.rows() if epoch == memory] == [1, 2]
        outbox.broken = False
        await until(lambda: outbox.acked_upto == 10, "the rest follows once the disk is well")
    assert_complete(district, outbox)


async def test_a_store_that_begins_again_while_running(district: District) -> None:
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with district.process("broker", "run"), district.ingesting(), running(link.run()):
        outbox.make(30)
        await until(lambda: outbox.acked_upto == 30, "acknowledged")
        outbox.begin_again("aaaaaaaaaaaaaaaa")
        outbox.make(40)
        await until(lambda: outbox.acked_upto == 40, "the new epoch is acknowledged")
    assert district.stored() == 70


@pytest.mark.parametrize("victim", ["broker", "nothing"])
async def test_the_same_gateway_on_mosquitto(district: District, victim: str) -> None:
    outbox = MemoryOutbox()
    link = uplink(district, outbox)
    async with Mosquitto(district) as mosquitto, district.ingesting(), running(link.run()):
        outbox.make(500)
        await until(lambda: outbox.acked_upto > 0, "acknowledged")
        kill: Callable[[], Awaitable[None]] = mosquitto.kill
        if victim == "broker":
            await kill()
            outbox.make(500)
            await mosquitto.start()
        outbox.make(100)
        await until(lambda: outbox.acked_upto == outbox.last_seq, "everything is acknowledged")
    assert_complete(district, outbox)
