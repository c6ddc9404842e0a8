"""The center's first page: gateways, totals and events live; the same as REST."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from center import config as configuration
from center.store.choice import open_reading
from center.store.reading import Counts, EventReading, GatewayRow
from center.web import api, metrics, search_pages, showing, sources
from center.web.answers import Events, Problem, event_of
from center.web.sources import Filter, Look, Reading
from center.web.texts import SEVERITIES, TEXTS, TITLE
from center.web.zone import ZONE
from pages import application, live, serving
from pages.application import Pages, visitor
from pages.language import Words

PAGE_ROWS = 30
TEMPLATES = Path(__file__).parent / "templates"
Gateway = Annotated[str, Query(pattern="^([a-z0-9-]{1,32})?$")]
AtLeast = Annotated[Literal["", "info", "notice", "warning", "alarm", "life-safety"], Query()]
Before = Annotated[int | None, Query(ge=1, le=1 << 53)]
PROBLEMS: dict[int | str, dict[str, object]] = {401: {"model": Problem}, 503: {"model": Problem}}


def create(reading: EventReading, *, zone: ZoneInfo = ZONE, metrics_token: str | None = None) -> FastAPI:
    """The application over its source. Raises pages.errors.PageError where ZHIAN_PAGE_TOKEN cannot be used."""
    app = application.create(
        "center", title=TITLE, templates=TEMPLATES, texts=TEXTS, zone=zone, open_paths=metrics.PATHS
    )
    district = _District(app.state.pages, reading, zone)
    _add_pages(app, district)
    _add_rest(app, district)
    search_pages.add(app, district.pages, reading, zone)
    api.add(app, district.pages, reading)
    metrics.add(app, reading, metrics_token)
    return app


async def serve(config_file: Path) -> None:
    """Run the center's page until cancelled. Ingest need not run. Raises ConfigError, PageError."""
    config = configuration.read(config_file)
    reading = open_reading(config_file, config)
    token = None
    if config.metrics.token_file:
        token_file = configuration.resolve(config_file, config.metrics.token_file)
        token = configuration.read_secret(token_file, "token of the metrics")
    await serving.serve(create(reading, metrics_token=token), host=config.web.host, port=config.web.port)


class _District:
    """The source, one shared look at it, and how it is rendered."""

    def __init__(self, pages: Pages, reading: Reading, zone: ZoneInfo) -> None:
        self.pages = pages
        self.reading = reading
        self.zone = zone
        self.shared: live.Shared[Look] = live.Shared(lambda: sources.look(reading))

    def values(self, look: Look, t: Words) -> dict[str, object]:
        """What head.html, totals.html, gateways.html and broken.html show."""
        return {
            "page": "live",
            "chips": showing.chips(look, t),
            "tiles": showing.tiles(look.counts, t),
            "gateways": look.gateways,
            "broken": not look.readable,
        }

    def fragments(self, look: Look, language: str) -> dict[str, str]:
        """The live parts by element id."""
        values = self.values(look, self.pages.renderer.words[language])
        html = self.pages.renderer.html
        return {name: html(f"{name}.html", language, **values) for name in ("head", "totals", "gateways", "broken")}


class _Updates:
    """What one stream still has to send: fragments that changed, events after the last one it sent."""

    def __init__(self, district: _District, language: str, asked: Filter, after: int) -> None:
        self._district = district
        self._language = language
        self._asked = asked
        self._after = after
        self._seen: int | None = None  # newest row that was looked at, whatever the filter
        self._changed = live.Changed()

    async def __call__(self) -> live.Update:
        look = await self._district.shared.get()
        fragments = self._changed.only(self._district.fragments(look, self._language))
        rows = await self._rows(look.newest_row) if look.readable and look.newest_row != self._seen else None
        return live.Update(fragments, rows, self._after)

    async def _rows(self, newest_row: int) -> live.Rows | None:
        again = newest_row < self._after  # another database took the place of the one this page has seen
        after = None if again else self._after
        found = await sources.events(self._district.reading, self._asked, limit=PAGE_ROWS, after_row=after)
        if found is None:
            return None
        self._seen = newest_row
        self._after = max(newest_row, found[0].row if found else 0)
        if not found and not again:
            return None
        renderer = self._district.pages.renderer
        html = renderer.html("rows.html", self._language, rows=showing.rows(found, renderer.words[self._language]))
        return live.Rows("events", html, PAGE_ROWS, fresh=again or len(found) >= PAGE_ROWS)


def _url(path: str, **values: object) -> str:
    given = {key: value for key, value in values.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _filter(gateway: str, severity: str) -> Filter:
    return Filter(gateway or None, severity or None)


def _add_pages(app: FastAPI, district: _District) -> None:
    @app.get("/", include_in_schema=False)
    async def first(request: Request, gateway: Gateway = "", severity: AtLeast = "", before: Before = None) -> Response:
        t = district.pages.words(request)
        look = await district.shared.get()
        asked = _filter(gateway, severity)
        found = await sources.events(district.reading, asked, limit=PAGE_ROWS + 1, before_row=before)
        events = (found or [])[:PAGE_ROWS]
        newest = events[0].row if events else look.newest_row
        chosen = {"gateway": gateway, "severity": severity}
        values: dict[str, Any] = {
            **district.values(look, t),
            "broken": found is None,
            "names": sorted({row.gateway for row in look.gateways} | ({gateway} if gateway else set())),
            "severities": list(SEVERITIES)[1:],
            "gateway": gateway,
            "severity": severity,
            "older": before is not None,
            "zone": district.zone.key,
            "rows": showing.rows(events, t),
            "live_url": None if before else _url("/live", **chosen, after=newest),
            "newest_url": _url("/", **chosen),
            "older_url": _url("/", **chosen, before=events[-1].row if events else None),
            "more": len(found or []) > PAGE_ROWS,
        }
        return district.pages.page(request, "district.html", **values)

    @app.get("/live", include_in_schema=False)
    async def stream(request: Request, gateway: Gateway = "", severity: AtLeast = "", after: str = "") -> Response:
        start = live.cursor(request.headers.get("last-event-id"), after)
        updates = _Updates(district, visitor(request).language, _filter(gateway, severity), start)
        return district.pages.stream(request, updates)


def _add_rest(app: FastAPI, district: _District) -> None:
    def unreadable(request: Request) -> Response:
        return district.pages.problem(request, 503, "unavailable", district.pages.words(request)("events.broken"))

    @app.get("/api/events", response_model=Events, responses=PROBLEMS, summary="Stored events, newest first")
    async def events(
        request: Request,
        gateway: Gateway = "",
        severity: AtLeast = "",
        before: Before = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> Response | Events:
        found = await sources.events(district.reading, _filter(gateway, severity), limit=limit, before_row=before)
        if found is None:
            return unreadable(request)
        more = {"gateway": gateway, "severity": severity, "limit": limit}
        older = _url("/api/events", **more, before=found[-1].row) if len(found) == limit else None
        return Events(events=[event_of(event) for event in found], older=older)

    @app.get("/api/gateways", response_model=list[GatewayRow], responses=PROBLEMS, summary="Every gateway ever seen")
    async def gateways(request: Request) -> Response | list[GatewayRow]:
        look = await district.shared.get()
        return list(look.gateways) if look.readable else unreadable(request)

    @app.get("/api/counts", response_model=Counts, responses=PROBLEMS, summary="Totals")
    async def counts(request: Request) -> Response | Counts:
        look = await district.shared.get()
        return look.counts if look.counts is not None else unreadable(request)
