"""/metrics and /health of the gateway's page: figures of the site, nobody's name, no session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from browsers import client_of
from prometheus_client.parser import text_string_to_metric_families
from virtual_site import PLACE, VirtualSite

from gateway.errors import OperationsUnavailableError
from gateway.model import SiteStatus
from gateway.store.reading import JournalReading
from gateway.web.app import create


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[VirtualSite]:
    site = VirtualSite(tmp_path)
    await site.live_a_while(3)
    yield site
    await site.close()


def figures(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_site_in_figures(site: VirtualSite) -> None:
    async with client_of(create(site, site.reading, PLACE, lambda: 480.0)) as client:
        answer = await client.get("/metrics")
        health = await client.get("/health")
    assert (answer.status_code, health.status_code) == (200, 200)
    found = figures(answer.text)
    counts = site.reading.counts()
    assert found["zhian_gateway_core_up",] == 1
    assert found["zhian_gateway_clock_synced",] == 1
    assert found["zhian_gateway_journal_room_hours",] == 480
    assert found["zhian_gateway_events_made_total",] == counts.made > 0
    assert found["zhian_gateway_backlog_events",] == counts.made - counts.acked_upto
    assert found["zhian_gateway_decisions", "granted"] == counts.by_type["zhian.access.granted"] > 0
    assert found["zhian_gateway_decisions", "denied"] > 0
    families = list(text_string_to_metric_families(answer.text))
    assert {label for family in families for sample in family.samples for label in sample.labels} <= {
        "device", "result", "type",
    }  # fmt: skip
    for event in site.reading.newest(limit=500):
        for secret in (event.plate, *(event.holder_name or {}).values()):
            assert not secret or secret not in answer.text


class Away:
    """A core that is not there."""

    async def status(self) -> SiteStatus:
        raise OperationsUnavailableError("core is away")

    async def open_portal(self, portal: str, operator: str) -> None:
        raise OperationsUnavailableError("core is away")


async def test_core_and_journal_away(tmp_path: Path) -> None:
    async with aclosing(client_of(create(Away(), JournalReading(tmp_path / "absent"), PLACE))) as client:
        found = figures((await client.get("/metrics")).text)
        health = await client.get("/health")
    assert found == {("zhian_gateway_core_up",): 0, ("zhian_gateway_journal_readable",): 0}
    assert (health.status_code, health.json()["core"]) == (503, "away")


async def test_broken_storage_is_not_healthy(site: VirtualSite) -> None:
    class Broken(Away):
        async def status(self) -> SiteStatus:
            return replace(await site.status(), storage_ok=False)

    async with client_of(create(Broken(), site.reading, PLACE)) as client:
        assert (await client.get("/health")).status_code == 503
        assert figures((await client.get("/metrics")).text)["zhian_gateway_storage_ok",] == 0
        assert (await client.get("/api/status")).status_code == 401
