"""The search API, the search and completeness pages, /metrics and /health, over both stores."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from conftest import MakeDatabase
from prometheus_client.parser import text_string_to_metric_families
from test_store import EPOCH, GATE, LATER, NOW_MS, OTHER, frame, store

from center.contract.catalogue import AccessGranted, DeviceLost, OutboxLost, PortalForced, PortalHeld
from center.egress.ledger import DeadLetter, Ledger
from center.store import address_table
from center.store.addresses import Address
from center.store.reading import EventReading
from center.store.writing import EventWriter
from center.web.app import create

ADDRESS = "http://127.0.0.1:8090"
TOKEN = "abcdefghijklmnop"


@contextlib.asynccontextmanager
async def browser(reading: EventReading, *, enter: bool = True, **options: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create(reading, **options)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=ADDRESS, headers={"origin": ADDRESS, "accept-language": "en"}
    )
    async with client:
        if enter:
            form = (await client.get("/enter")).text.partition('name="csrf" content="')[2].partition('"')[0]
            answer = await client.post("/enter", data={"token": app.state.pages.login.token, "csrf": form})
            assert answer.status_code == 303
        yield client


@pytest.fixture
def filled(make_database: MakeDatabase, both_writer: EventWriter) -> EventReading:
    door = Address("east", "garden", "gw-1", "lobby", "320506-1", "grid-7", "")
    address_table.write(make_database(), [door], replace=False)
    store(both_writer, frame(1, 2), frame(3, data=PortalHeld("lobby", 31_000)), frame(4, data=PortalForced("lobby")))
    store(both_writer, frame(7, data=AccessGranted("yard", "east", "card", "permitted", TOKEN)))
    store(both_writer, frame(1, data=DeviceLost("reader", "timeout")), name=OTHER)
    store(both_writer, frame(1, epoch=LATER, data=OutboxLost(EPOCH, ((6, 6),), "disk")))
    return EventReading(make_database())


async def seqs(client: httpx.AsyncClient, query: str) -> list[int]:
    answer = await client.get(f"/api/v1/events?{query}")
    assert answer.status_code == 200, answer.text
    return [int(event["id"].split("-")[1]) for event in answer.json()["events"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 1, 7, 4, 3, 2, 1]),
        ("order=oldest&limit=3", [1, 2, 3]),
        ("type=zhian.portal.forced", [4]),
        ("type=zhian.portal.", [4, 3, 2, 1]),
        ("severity=alarm", [1, 4]),
        ("text=闯入", [4]),
        ("text=LOST", [1, 1]),
        ("gateway=gw-1&site=harbour", [1]),
        ("subject=yard", [7]),
        ("grid=grid-7&type=zhian.portal.held", [3]),
        ("address=320506-1&limit=2", [4, 3]),
        ("grid=nowhere", []),
        ("from=2026-09-21T14:13:20.003Z&to=2026-09-21T14:13:20.005Z", [4, 3]),
        ("from=2026-09-21T22:13:20.004&to=2026-09-22", [7, 4]),
        ("to=2026-09-21", []),
    ],
)
async def test_search(filled: EventReading, query: str, expected: list[int]) -> None:
    async with browser(filled) as client:
        assert await seqs(client, query) == expected


async def test_an_event_is_a_cloudevent_with_title_and_place(filled: EventReading) -> None:
    async with browser(filled) as client:
        (event,) = (await client.get("/api/v1/events?type=zhian.portal.held")).json()["events"]
    assert event == {
        "specversion": "1.0",
        "id": f"{EPOCH}-3",
        "source": "/east/garden/gw-1",
        "type": "zhian.portal.held",
        "time": "2026-09-21T14:13:20.003Z",
        "subject": "lobby",
        "datacontenttype": "application/json",
        "severity": "warning",
        "clock": "synced",
        "address": "320506-1",
        "grid": "grid-7",
        "simulated": False,
        "data": {"portal": "lobby", "open_ms": 31_000},
        "title": {"zh": "门长时间未关", "en": "Portal held open"},
        "received": "2026-09-21T14:13:20.000Z",
    }


async def test_cursors_go_through_everything_once_while_more_arrives(
    filled: EventReading, both_writer: EventWriter
) -> None:
    async with browser(filled) as client:
        seen: list[str] = []
        query = "limit=2"
        for _ in range(10):
            page = (await client.get(f"/api/v1/events?{query}")).json()
            seen += [f"{event['source']} {event['id']}" for event in page["events"]]
            store(both_writer, frame(100 + len(seen)))  # newer than where the search began
            if page["next"] is None:
                break
            query = f"limit=2&cursor={page['next']}"
        assert len(seen) == len(set(seen)) == 7


async def test_a_follower_goes_on_where_it_ended(filled: EventReading, both_writer: EventWriter) -> None:
    async with browser(filled) as client:
        first = (await client.get("/api/v1/events?order=oldest&limit=999")).json()
        assert len(first["events"]) == 7
        url = f"/api/v1/events?limit=999&cursor={first['next']}"
        nothing = (await client.get(url)).json()
        assert nothing["events"] == []
        store(both_writer, frame(8, 9))
        more = (await client.get(f"/api/v1/events?cursor={nothing['next']}")).json()
        assert [event["id"] for event in more["events"]] == [f"{EPOCH}-8", f"{EPOCH}-9"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("severity=loud", "severity"),
        ("gateway=A", "gateway"),
        ("limit=1000", "limit"),
        ("from=yesterday", "expected a time such as"),
        ("to=99999-01-01", "expected a time such as"),
        ("cursor=%21%21", "cursor: expected one"),
        ("cursor=W10", "cursor: expected one"),
        ("order=random", "order"),
        (f"text={'x' * 61}", "text"),
        ("grid=a%20b", "grid"),
    ],
)
async def test_wrong_questions(filled: EventReading, query: str, expected: str) -> None:
    async with browser(filled) as client:
        answer = await client.get(f"/api/v1/events?{query}")
    assert answer.status_code == 422
    assert expected in answer.json()["error"]["text"]


async def test_a_cursor_belongs_to_its_filters(filled: EventReading) -> None:
    async with browser(filled) as client:
        cursor = (await client.get("/api/v1/events?limit=2")).json()["next"]
        answer = await client.get(f"/api/v1/events?severity=alarm&cursor={cursor}")
    assert answer.status_code == 422
    assert "other filters" in answer.json()["error"]["text"]


async def test_csv_of_a_search(filled: EventReading) -> None:
    async with browser(filled) as client:
        answer = await client.get("/api/v1/events.csv?type=zhian.portal.")
        assert answer.headers["content-disposition"] == "attachment; filename=zhian-events.csv"
        assert (await client.get("/api/v1/events.csv?from=x")).status_code == 422
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["seq"] for row in rows] == ["1", "2", "3", "4"]
    assert (rows[3]["title_zh"], rows[3]["grid"], rows[3]["data"]) == ("强行闯入", "grid-7", '{"portal":"lobby"}')


async def test_coverage_names_missing_and_lost_numbers(filled: EventReading) -> None:
    async with browser(filled) as client:
        rows = (await client.get("/api/v1/coverage?incomplete=true")).json()
        page = (await client.get("/coverage")).text
    assert [(row["epoch"], row["missing_ranges"], row["lost_ranges"]) for row in rows] == [(EPOCH, [[5, 5]], [[6, 6]])]
    assert "Missing numbers" in page
    assert EPOCH in page
    assert LATER in page


async def test_the_search_page_shows_finds_and_leads_on(filled: EventReading, both_writer: EventWriter) -> None:
    store(both_writer, frame(*range(10, 80)))
    async with browser(filled) as client:
        page = (await client.get("/search?type=zhian.portal.&severity=")).text
        assert page.count("<tr data-row") == 50
        assert "/api/v1/events.csv?type=zhian.portal." in page
        next_url = page.partition('<a class="button" href="/search?type=')[2].partition('"')[0].replace("&amp;", "&")
        older = (await client.get(f"/search?type={next_url}")).text
        assert older.count("<tr data-row") == 24
        assert "320506-1 · grid-7" in older
        nothing = await client.get("/search?text=%3Cscript%3E")
        assert "No event matches" in nothing.text
        assert "<script>" not in nothing.text.partition("<main")[2]
        wrong = await client.get("/search?from=soon")
        assert wrong.status_code == 422
        assert "expected a time" in wrong.text


async def test_metrics_for_prometheus(make_database: MakeDatabase, filled: EventReading) -> None:
    ledger = Ledger(make_database())
    ledger.begin("police")
    ledger.bury(DeadLetter("police", 7, NOW_MS, 3, "refused", "{}", retry=False))
    async with browser(filled, enter=False) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "set-cookie" not in answer.headers
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["zhian_center_store_readable",] == 1
    assert found["zhian_center_events_stored_total", "zhian.portal.forced"] == 1
    assert found["zhian_center_events_missing",] == 1
    assert found["zhian_center_events_lost",] == 1
    assert found["zhian_center_events_duplicated",] == 0
    assert found["zhian_center_gateway_events_missing", "east", "garden", "gw-1"] == 1
    assert found["zhian_center_webhook_dead_letters", "police"] == 1
    assert found["zhian_center_store_size_bytes",] > 10_000
    assert TOKEN not in answer.text
    labels = {
        label for family in text_string_to_metric_families(answer.text) for s in family.samples for label in s.labels
    }
    assert labels == {"type", "state", "district", "site", "gateway", "endpoint"}


async def test_metrics_behind_a_token(filled: EventReading) -> None:
    async with browser(filled, enter=False, metrics_token="right-token-0123") as client:
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "right"}):
            assert (await client.get("/metrics", headers=header)).status_code == 401
        assert (await client.get("/metrics", headers={"authorization": "Bearer right-token-0123"})).status_code == 200
        assert (await client.get("/health")).status_code == 503, "no token is asked for, and ingest is not there"


async def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    reading = EventReading(tmp_path / "absent.sqlite")
    async with browser(reading, enter=False) as client:
        assert (await client.get("/health")).status_code == 503
        assert "zhian_center_store_readable 0.0" in (await client.get("/metrics")).text
    async with browser(reading) as client:
        for path in ("/api/v1/events", "/api/v1/events.csv", "/api/v1/coverage", "/search", "/coverage"):
            assert (await client.get(path)).status_code == 503, path


async def test_nothing_else_without_a_session(filled: EventReading) -> None:
    async with browser(filled, enter=False) as client:
        for path in ("/api/v1/events", "/api/v1/events.csv", "/api/v1/coverage", "/metrics/x", "/api/openapi.json"):
            assert (await client.get(path)).status_code in (303, 401), path
        assert (await client.post("/metrics")).status_code in (401, 403)
        refused = await client.get("/metrics", headers={"host": "evil.example"})
        assert refused.status_code == 403


async def test_openapi_describes_the_search(filled: EventReading) -> None:
    async with browser(filled) as client:
        document = (await client.get("/api/openapi.json")).json()
    names = {parameter["name"] for parameter in document["paths"]["/api/v1/events"]["get"]["parameters"]}
    assert names >= {"type", "severity", "gateway", "subject", "from", "to", "grid", "text", "cursor", "limit", "order"}
    assert GATE.gateway not in str(document)
