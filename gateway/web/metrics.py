"""What Prometheus and a supervisor ask of this gateway: /metrics and /health, without a session.

Labels name portals, devices and kinds of events; never a person, a credential or a plate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.errors import OperationsUnavailableError, StoreError
from gateway.model import SiteStatus
from gateway.store.reading import JournalCounts
from gateway.web.sources import Reading, StatusClient

PATHS = frozenset({"/metrics", "/health"})


_GRANTED, _DENIED = "zhian.access.granted", "zhian.access.denied"


def text(status: SiteStatus | None, counts: JournalCounts | None, room_hours: float | None) -> bytes:
    """In Prometheus' text format. None: core is away, or the journal cannot be read."""
    families = [
        _gauge("core_up", "1 where core answers", int(status is not None)),
        _gauge("journal_readable", "1 where the journal can be read", int(counts is not None)),
        *(_of_core(status) if status else ()),
        *(_of_journal(counts, room_hours) if counts else ()),
    ]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return generate_latest(registry)


class _Collected:
    """prometheus_client's Collector over figures that were read already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """What is shown."""
        return self._families


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"zhian_gateway_{name}", help_, value=value)


def _of_core(status: SiteStatus) -> Iterator[Metric]:
    yield _gauge("uplink_connected", "1 while connected to the center's broker", int(status.uplink.connected))
    yield _gauge("storage_ok", "0 while records wait in memory", int(status.storage_ok))
    yield _gauge("vision_online", "1 while the vision process answers", int(status.vision_online))
    yield _gauge("clock_synced", "0 while the clock is not to be believed", int(status.clock == "certain"))
    yield _gauge("fire", "1 while a fire release is latched", int(status.fire))
    yield _gauge("lockdown", "1 while the site is locked down", int(status.lockdown))
    yield _gauge("started_timestamp_seconds", "When core started", status.started_ms / 1000)
    devices = GaugeMetricFamily("zhian_gateway_device_online", "1 while it answers", labels=["device"])
    for name, online in sorted(status.devices.items()):
        devices.add_metric([name], int(online))
    yield devices


def _of_journal(counts: JournalCounts, room_hours: float | None) -> Iterator[Metric]:
    yield CounterMetricFamily("zhian_gateway_events_made", "Numbers given in this epoch", value=counts.made)
    yield _gauge("backlog_events", "Made and not yet stored at the center", max(0, counts.made - counts.acked_upto))
    if room_hours is not None:
        yield _gauge("journal_room_hours", "Until events are lost, should the center fall silent now", room_hours)
    decisions = GaugeMetricFamily("zhian_gateway_decisions", "Decisions in the journal", labels=["result"])
    decisions.add_metric(["granted"], counts.by_type.get(_GRANTED, 0))
    decisions.add_metric(["denied"], counts.by_type.get(_DENIED, 0))
    yield decisions
    events = GaugeMetricFamily("zhian_gateway_journal_events", "Events in the journal, by type", labels=["type"])
    for type_, count in sorted(counts.by_type.items()):
        events.add_metric([type_], count)
    yield events


def add(
    app: FastAPI, client: StatusClient, reading: Reading, room_hours: Callable[[], float | None] | None = None
) -> None:
    """The routes. `room_hours`: until events are lost, should the center fall silent now."""
    # Scrapes share one look, so that asking often costs little.
    latest: list[tuple[float, bytes]] = []
    looking = asyncio.Lock()

    async def status() -> SiteStatus | None:
        try:
            return await client.status()
        except OperationsUnavailableError:
            return None

    def journal() -> tuple[JournalCounts | None, float | None]:
        try:
            return reading.counts(), room_hours() if room_hours is not None else None
        except StoreError:
            return None, None

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        async with looking:
            if not latest or latest[0][0] < time.monotonic() - 1.0:
                made = text(await status(), *await asyncio.to_thread(journal))
                latest[:] = [(time.monotonic(), made)]
            return Response(latest[0][1], media_type=CONTENT_TYPE_LATEST)

    @app.get("/health", include_in_schema=False)
    async def health() -> Response:
        now = await status()
        well = now is not None and now.storage_ok
        body = {"ok": well, "core": "away" if now is None else "up", "storage_ok": now.storage_ok if now else None}
        return JSONResponse(body, status_code=200 if well else 503)
