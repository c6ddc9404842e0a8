"""What Prometheus and a supervisor ask: /metrics and /health, without a session. No label names a person or vehicle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
INGEST_SILENT_MS = 60_000  # four of ingest's heartbeats (center.ingest.ingest.BEAT_S)
HEALTH_TIMEOUT_S = 10.0
MAX_GATEWAYS = 2000  # with series of their own; the sums are over all


@dataclass(frozen=True, slots=True)
class Figures:
    """The store at one moment."""

    counts: Counts
    refused: int
    messages_refused: int
    messages_overflowed: int
    ingest_ms: int
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
        messages_refused=reading.total("messages_refused"),
        messages_overflowed=reading.total("messages_overflowed"),
        ingest_ms=reading.total("ingest_ms"),
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
        ("events_redelivered", "Second copies that were recognised and not stored", counts.refused_duplicates),
        ("events_refused", "Events beyond the gaps or epochs one gateway may have, not stored", found.refused),
        ("messages_refused", "Messages of gateways that could not be read", found.messages_refused),
        ("messages_overflowed", "Messages not taken for want of room; they come again", found.messages_overflowed),
    ):
        yield CounterMetricFamily(f"zhian_center_{name}", help_, value=value)
    for name, help_, number in (
        ("events_missing", "Numbers known to exist and not here", counts.missing),
        ("events_lost", "Numbers that gateways reported lost", found.lost),
        ("events_duplicated", "Events stored twice; must be 0", counts.duplicated),
        ("store_size_bytes", "What the store takes on disk", found.size_bytes),
        ("ingest_heartbeat_timestamp_seconds", "When ingest last said that it is alive", found.ingest_ms / 1000),
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
    missing = GaugeMetricFamily("zhian_center_gateway_events_missing", "Missing numbers", labels=names)
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
    removed = CounterMetricFamily(
        "zhian_center_webhook_removed",
        "Events that retention took before the webhook came to them",
        labels=["endpoint"],
    )
    for one in webhooks:
        removed.add_metric([one.endpoint], one.removed)
        delivered.add_metric([one.endpoint], one.delivered)
        behind.add_metric([one.endpoint], one.behind)
        dead.add_metric([one.endpoint], one.dead_letters)
        failing.add_metric([one.endpoint], int(one.failing_since_ms > 0))
    yield from (delivered, behind, dead, failing, removed)


def health_of(reading: EventReading, now_ms: int) -> dict[str, object]:
    """`ok` where the store can be read, ingest has written to it within INGEST_SILENT_MS and sees the broker."""
    try:
        heard, connected = reading.total("ingest_ms"), reading.total("connected_ms")
    except StoreError:
        return {"ok": False, "store": "unreadable", "ingest": "unknown"}
    if abs(now_ms - heard) > INGEST_SILENT_MS:
        return {"ok": False, "store": "readable", "ingest": "silent"}
    if heard - connected > INGEST_SILENT_MS:
        return {"ok": False, "store": "readable", "ingest": "no broker"}
    return {"ok": True, "store": "readable", "ingest": "working"}


def add(
    app: FastAPI,
    reading: EventReading,
    token: str | None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> None:
    """The routes. token: what `Authorization: Bearer` must hold at /metrics; None = whoever reaches the port."""
    # Scrapes share one look at the store, so that asking often costs little.
    latest: list[tuple[float, bytes]] = []
    looking = asyncio.Lock()
    # A thread of its own: pages that wait for a slow store take all of the others.
    checking = ThreadPoolExecutor(1, "health")
    asked: list[asyncio.Future[dict[str, object]]] = []

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
        if not asked or asked[0].done():  # one question at a time, however many ask
            asked[:] = [asyncio.get_running_loop().run_in_executor(checking, health_of, reading, now_ms())]
        try:
            found = await asyncio.wait_for(asyncio.shield(asked[0]), HEALTH_TIMEOUT_S)
        except TimeoutError:
            found = {"ok": False, "store": "slow", "ingest": "unknown"}
        return JSONResponse(found, status_code=200 if found["ok"] else 503)
