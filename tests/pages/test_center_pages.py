"""The center's page and REST over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from browsers import Entered, client_of, enter
from virtual_district import EPOCH, GATEWAYS, VirtualDistrict

from center.contract.catalogue import DeviceLost, PortalForced
from center.store.reading import EventReading
from center.web.app import create


@pytest.fixture
async def district(tmp_path: Path) -> AsyncIterator[VirtualDistrict]:
    district = VirtualDistrict(tmp_path)
    district.live_a_while(2)
    yield district
    district.close()


@pytest.fixture
async def inside(district: VirtualDistrict) -> AsyncIterator[Entered]:
    entered = await enter(create(district.reading), **{"accept-language": "en"})
    yield entered
    await entered.client.aclose()


async def test_gateways_and_counts_as_rest(inside: Entered) -> None:
    gateways = (await inside.client.get("/api/gateways")).json()
    assert {row["gateway"] for row in gateways} == {name.gateway for name in GATEWAYS}
    assert {row["gateway"]: row["online"] for row in gateways}["gw-lake"] is False
    counts = (await inside.client.get("/api/counts")).json()
    assert (counts["stored"], counts["missing"], counts["duplicated"]) == (25, 0, 0)


async def test_events_as_rest_with_filters_and_paging(inside: Entered) -> None:
    alarms = (await inside.client.get("/api/events?severity=alarm")).json()["events"]
    assert {event["severity"] for event in alarms} == {"alarm"}
    lake = (await inside.client.get("/api/events?gateway=gw-lake")).json()["events"]
    assert {(event["site"], event["epoch"]) for event in lake} == {("lakeside", EPOCH)}
    seen: list[int] = []
    path: str | None = "/api/events?limit=4"
    while path:
        page = (await inside.client.get(path)).json()
        seen += [event["row"] for event in page["events"]]
        path = page["older"]
    assert seen == list(range(25, 0, -1))


@pytest.mark.parametrize("query", ["severity=loud", "gateway=A", "limit=1001", "before=x"])
async def test_bad_queries_are_refused(inside: Entered, query: str) -> None:
    assert (await inside.client.get(f"/api/events?{query}")).status_code == 422


async def test_page_tells_missing_numbers_and_unknown_causes(district: VirtualDistrict) -> None:
    district.happen(DeviceLost("east-reader", "solar-flare"), skip=3)
    district.happen(PortalForced("lobby"))
    inside = await enter(create(district.reading), **{"accept-language": "en"})
    async with aclosing(inside.client) as client:
        page = (await client.get("/")).text
    assert "3 missing, asked for again" in page
    assert "solar-flare" in page


async def test_a_store_that_is_not_there_yet_is_said(tmp_path: Path) -> None:
    entered = await enter(create(EventReading(tmp_path / "center.sqlite")), **{"accept-language": "en"})
    async with aclosing(entered.client) as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "cannot be read now" in page.text
        for path in ("/api/events", "/api/gateways", "/api/counts"):
            assert (await client.get(path)).status_code == 503


async def test_nothing_without_a_session(district: VirtualDistrict) -> None:
    async with client_of(create(district.reading)) as client:
        for path in ("/api/events", "/api/gateways", "/api/counts", "/live"):
            assert (await client.get(path)).status_code == 401
