"""Between connection and store: in order, bounded, and woken when something is there. Refusals stay small."""

from __future__ import annotations

import asyncio

import structlog

from center.ingest.inbox import Inbox, Message
from center.ingest.refusals import MAX_SOURCES, Refusals
from runtime.mqtt import Arrived


def message(number: int, size: int = 10) -> Message:
    return Message(Arrived(f"zhian/v1/east/garden/gw-{number % 9}/up/event", bytes(size), number, 1, False), 1)


async def test_everything_arrives_in_order_and_wakes_who_waits() -> None:
    inbox = Inbox()
    for n in range(1000):
        asyncio.get_running_loop().call_later(n / 1e5, inbox.put, message(n))
    taken: list[Message] = []
    while len(taken) < 1000:
        batch = await asyncio.wait_for(inbox.take(70, 1 << 20), 10)
        assert 1 <= len(batch) <= 70
        taken += batch
    assert [one.arrived.packet_id for one in taken] == list(range(1000))


async def test_full_means_not_taken_and_room_comes_back() -> None:
    inbox = Inbox(max_messages=3, max_bytes=100)
    assert [inbox.put(message(n)) for n in range(4)] == [True, True, True, False]
    assert len(await inbox.take(10, 1000)) == 3
    assert inbox.put(message(4, size=100))
    assert not inbox.put(message(5, size=1))
    assert [one.arrived.packet_id for one in await inbox.take(10, 1000)] == [4]
    assert inbox.put(message(6))


async def test_a_batch_ends_at_its_bytes_and_always_holds_one() -> None:
    inbox = Inbox()
    for n in range(3):
        inbox.put(message(n, size=500))
    assert len(await inbox.take(10, 600)) == 2
    assert len(await inbox.take(10, 1)) == 1


def test_refusals_are_logged_once_a_source_and_the_list_is_bounded() -> None:
    with structlog.testing.capture_logs() as shown:
        refusals = Refusals(structlog.get_logger())
        for n in range(MAX_SOURCES + 500):
            refusals.add(f"source-{n}", "why")
            refusals.add("source-0", "why")
    assert refusals.count == 2 * (MAX_SOURCES + 500)
    assert len(shown) == MAX_SOURCES + 1
