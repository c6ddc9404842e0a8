"""The property manager's pages and REST over a real journal."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from browsers import Entered, enter
from fastapi import FastAPI
from virtual_site import LABELS, PLACE, BrokenReading, VirtualSite

from gateway.access.reasons import SENTENCES
from gateway.model import PortalStatus, Reason
from gateway.portal.barrier import BarrierState
from gateway.portal.door import DoorState
from gateway.portal.lift import LiftState
from gateway.portal.turnstile import TurnstileState
from gateway.store.reading import RecordedEvent
from gateway.web import showing, sources
from gateway.web.app import create
from gateway.web.texts import LOOKS, TEXTS
from pages.language import EN, ZH, Words
from pages.texts import TEXTS as KIT

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[2J" + "A" * 500


async def test_status_and_events_as_rest(entered: Entered) -> None:
    status = (await entered.client.get("/api/status")).json()
    assert status["site"] == "sunny-garden"
    assert {portal["name"] for portal in status["portals"]} == set(LABELS)
    found = (await entered.client.get("/api/events?limit=10")).json()
    sequence = [event["seq"] for event in found["events"]]
    assert sequence == sorted(sequence, reverse=True)
    assert len(sequence) == 10
    older = (await entered.client.get(found["older"])).json()
    assert older["events"][0]["seq"] == sequence[-1] - 1


async def test_paging_reaches_every_event_once(entered: Entered) -> None:
    seen: list[int] = []
    path: str | None = "/api/events?limit=7"
    while path:
        page = (await entered.client.get(path)).json()
        seen += [event["seq"] for event in page["events"]]
        path = page["older"]
    assert seen == list(range(len(seen), 0, -1))


async def test_filter_by_portal(entered: Entered) -> None:
    events = (await entered.client.get("/api/events?portal=east-gate")).json()["events"]
    assert events
    assert {event["portal"] for event in events} == {"east-gate"}


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=0", "before=-1", "portal=A%20B"])
async def test_bad_queries_are_refused(entered: Entered, query: str) -> None:
    assert (await entered.client.get(f"/api/events?{query}")).status_code == 422
    if not query.startswith("limit"):
        assert (await entered.client.get(f"/?{query}")).status_code == 422


async def test_opening_tells_who_and_what_happened(entered: Entered, site: VirtualSite) -> None:
    done = await entered.act("/api/portals/lobby/open")
    assert done.status_code == 200
    portal, operator = site.opened[0]
    assert portal == "lobby"
    assert operator.startswith("page-")
    assert operator not in str(dict(entered.client.cookies))
    refused = await entered.act("/api/portals/garage-lift/open")
    assert refused.status_code == 409
    assert "reported a fault" in refused.json()["error"]["text"]
    assert (await entered.act("/api/portals/Bad_Name/open")).status_code == 422
    site.away = True
    assert (await entered.act("/api/portals/lobby/open")).status_code == 503


async def test_core_and_journal_may_be_away(site: VirtualSite) -> None:
    site.away = True
    inside = await enter(create(site, BrokenReading(), PLACE), **{"accept-language": "en"})
    async with aclosing(inside.client) as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "core does not answer" in page.text
        assert "cannot be read now" in page.text
        assert (await client.get("/api/status")).status_code == 503
        assert (await client.get("/api/events")).status_code == 503


async def test_hostile_text_is_shown_and_not_obeyed(site: VirtualSite) -> None:
    portal = PortalStatus("lobby", HOSTILE, {"zh": HOSTILE, "en": HOSTILE}, HOSTILE, 1, True, HOSTILE)
    site.status_now = replace(site.status_now, portals=(portal,), version=HOSTILE)
    event = RecordedEvent(
        1, 1, True, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, None, None,
        {"zh": HOSTILE, "en": HOSTILE}, HOSTILE, False,
    )  # fmt: skip

    class HostileReading:
        def shown(self, seq: int) -> int:
            return seq

        def newest(self, **_: object) -> list[RecordedEvent]:
            return [event]

    place = replace(PLACE, label={"zh": HOSTILE, "en": HOSTILE}, portals={"lobby": {"zh": HOSTILE, "en": HOSTILE}})
    app = create(site, HostileReading(), place)
    inside = await enter(app)
    async with aclosing(inside.client) as client:
        page = (await client.get("/")).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
        stream = await first_update(app)
    assert "<script>alert" not in stream
    assert stream.count("\ndata: ") == 1


async def first_update(app: FastAPI) -> str:
    """The first update that a new stream would send."""
    pages = app.state.pages
    key = pages.sessions.begin(pages.now_s()).key
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live",
        "raw_path": b"/live",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 5),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8080"), (b"cookie", f"zhian-gateway-8080={key}".encode())],
    }
    sent: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    task = asyncio.create_task(app(scope, receive, sent.put))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(5):
            while True:
                text = bytes((await sent.get()).get("body", b"")).decode()
                if "event: update" in text:
                    return text
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_stream_ends_with_its_session(app: FastAPI) -> None:
    assert "data: " in await first_update(app)
    async with asyncio.timeout(5):
        while app.state.pages.streams:
            await asyncio.sleep(0)


def test_reasons_have_the_wording_of_the_room_that_decides() -> None:
    assert {f"reason.{reason}" for reason in Reason} == {key for key in TEXTS if key.startswith("reason.")}
    for reason, sentences in SENTENCES.items():
        assert TEXTS[f"reason.{reason}"] == sentences


def test_every_state_of_a_portal_has_words_and_a_look() -> None:
    for state in (*DoorState, *BarrierState, *TurnstileState, *LiftState):
        assert f"state.{state}" in TEXTS
        assert state in LOOKS


async def test_backlog_is_told(site: VirtualSite) -> None:
    t = Words({**KIT, **TEXTS}, EN)
    uplink = replace(site.status_now.uplink, connected=False, made=25, acked_upto=20)
    chips = showing.chips(replace(site.status_now, uplink=uplink, clock="uncertain", vision_online=False), t)
    assert [chip.text for chip in chips] == [
        "Clock uncertain", "Center away, 5 to deliver", "Plate reading offline", "Storage is well",
    ]  # fmt: skip
    assert showing.chips(replace(site.status_now, storage_ok=False), t)[0].tone == "red"


async def test_offline_door_says_what_was_known(site: VirtualSite) -> None:
    t = Words({**KIT, **TEXTS}, ZH)
    card = next(card for card in showing.cards(site.status_now.portals, t) if card.name == "pump-room")
    assert (card.state, card.known, card.online) == ("离线，状态未知", "已锁闭", False)


async def test_one_look_serves_everybody_who_asks_at_once(site: VirtualSite) -> None:
    looks = 0

    class Counting(VirtualSite):
        async def status(self):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += 1
            return site.status_now

    client = object.__new__(Counting)
    app = create(client, site.reading, PLACE)
    inside = await enter(app)
    async with aclosing(inside.client) as browser:
        await asyncio.gather(*(browser.get("/") for _ in range(20)))
    assert looks <= 3
    assert (await sources.look(client, site.reading)).newest_seq
