"""What Prometheus and a supervisor ask: /metrics and /health, without a session. No label names a person or vehicle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from center.egress.ledger import Ledger, Progress
from center.errors import StoreError
from center.store.reading import Counts, EventReading, GatewayRow
from pages.checks import same_secret

PATHS = frozenset({"/metrics", "/health"})
MAX_GATEWAYS = 2000  # with series of their own; the sums are over all


@dataclass(frozen=True, slots=True)
class Figures:
    """The store at one moment."""

    counts: Counts
    refused: int
    gateways: list[GatewayRow]
    lost: int
    webhooks: list[Progress]
    size_bytes: int
    newest_received_ms: int
    newest_lag_ms: int


def figures(reading: EventReading) -> Figures:
    """Ask the store. Raises StoreError."""
    newest = reading.newest(limit=1)
    return Figures(
        counts=reading.counts(),
        refused=reading.total("refused"),
        gateways=reading.gateways(),
        lost=sum(row.lost for row in reading.coverage(incomplete=True, limit=1 << 31)),
        webhooks=Ledger(reading.database).progress(),
        size_bytes=reading.database.size_bytes(),
        newest_received_ms=newest[0].received_ms if newest else 0,
        newest_lag_ms=max(0, newest[0].received_ms - newest[0].time_ms) if newest else 0,
    )


def text(found: Figures | None) -> bytes:
    """In Prometheus' text format; None = the store cannot be read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_readable(found is not None), *(_families(found) if found else ())]))
    return generate_latest(registry)


class _Collected:
    """prometheus_client's Collector over figures that were read already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """What is shown."""
        return self._families


def _readable(yes: bool) -> Iterator[Metric]:
    yield GaugeMetricFamily("zhian_center_store_readable", "1 where the store can be read", value=int(yes))


def _families(found: Figures) -> Iterator[Metric]:
    counts = found.counts
    stored = CounterMetricFamily("zhian_center_events_stored", "Events stored, by type", labels=["type"])
    for type_, count in counts.by_type.items():
        stored.add_metric([type_], count)
    yield stored
    for name, help_, value in (
        ("redelivered", "Second copies that were recognised and not stored", counts.refused_duplicates),
        ("refused", "Events beyond the gaps one epoch may have, not stored and asked for again", found.refused),
    ):
        yield CounterMetricFamily(f"zhian_center_events_{name}", help_, value=value)
    for name, help_, number in (
        ("events_missing", "Numbers known to exist and not here", counts.missing),
        ("events_lost", "Numbers that gateways reported lost", found.lost),
        ("events_duplicated", "Events stored twice; must be 0", counts.duplicated),
        ("store_size_bytes", "What the store takes on disk", found.size_bytes),
        ("newest_event_received_timestamp_seconds", "When the newest event came", found.newest_received_ms / 1000),
        ("newest_event_lag_seconds", "From the newest event's own time to its receipt", found.newest_lag_ms / 1000),
    ):
        yield GaugeMetricFamily(f"zhian_center_{name}", help_, value=number)
    yield from _of_gateways(found.gateways)
    yield from _of_webhooks(found.webhooks)


def _of_gateways(gateways: list[GatewayRow]) -> Iterator[Metric]:
    states = GaugeMetricFamily("zhian_center_gateways", "Gateways ever seen, by state", labels=["state"])
    online = sum(row.online for row in gateways)
    states.add_metric(["online"], online)
    states.add_metric(["offline"], len(gateways) - online)
    yield states
    names = ["district", "site", "gateway"]
    missing = GaugeMetricFamily("zhian_center_gateway_events_missing", "Missing numbers, newest epoch", labels=names)
    seen = GaugeMetricFamily("zhian_center_gateway_last_seen_timestamp_seconds", "Last heard of", labels=names)
    for row in gateways[:MAX_GATEWAYS]:
        place = [row.district, row.site, row.gateway]
        missing.add_metric(place, row.missing)
        seen.add_metric(place, row.last_seen_ms / 1000)
    yield missing
    yield seen


def _of_webhooks(webhooks: list[Progress]) -> Iterator[Metric]:
    delivered = CounterMetricFamily("zhian_center_webhook_delivered", "Events delivered", labels=["endpoint"])
    behind = GaugeMetricFamily("zhian_center_webhook_behind", "Stored events not looked at yet", labels=["endpoint"])
    dead = GaugeMetricFamily("zhian_center_webhook_dead_letters", "Dead letters", labels=["endpoint"])
    failing = GaugeMetricFamily("zhian_center_webhook_failing", "1 where the last attempt failed", labels=["endpoint"])
    for one in webhooks:
        delivered.add_metric([one.endpoint], one.delivered)
        behind.add_metric([one.endpoint], one.behind)
        dead.add_metric([one.endpoint], one.dead_letters)
        failing.add_metric([one.endpoint], int(one.failing_since_ms > 0))
    yield from (delivered, behind, dead, failing)


def add(app: FastAPI, reading: EventReading, token: str | None) -> None:
    """The routes. token: what `Authorization: Bearer` must hold at /metrics; None = whoever reaches the port."""
    # Scrapes share one look at the store, so that asking often costs little.
    latest: list[tuple[float, bytes]] = []
    looking = asyncio.Lock()

    def look() -> bytes:
        try:
            return text(figures(reading))
        except StoreError:
            return text(None)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        sent = request.headers.get("authorization", "")
        if token is not None and not same_secret(sent.removeprefix("Bearer "), token):
            return PlainTextResponse("a token is needed: Authorization: Bearer\n", status_code=401)
        async with looking:
            if not latest or latest[0][0] < time.monotonic() - 1.0:
                latest[:] = [(time.monotonic(), await asyncio.to_thread(look))]
            return Response(latest[0][1], media_type=CONTENT_TYPE_LATEST)

    @app.get("/health", include_in_schema=False)
    async def health() -> Response:
        try:
            await asyncio.to_thread(reading.newest_row)
        except StoreError:
            return JSONResponse({"ok": False, "store": "unreadable"}, status_code=503)
        return JSONResponse({"ok": True, "store": "readable"})
