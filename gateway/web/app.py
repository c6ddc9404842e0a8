"""The property manager's first page: portals live, the latest events, and opening a portal; the same as REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response

from gateway import config as configuration
from gateway import refused_plates
from gateway.errors import OperationRefusedError, OperationsUnavailableError
from gateway.model import PortalMode, SiteStatus
from gateway.operations.client import OperationsClient
from gateway.store.capacity import JournalLimits
from gateway.store.reading import JournalReading
from gateway.web import metrics, showing, sources, unread
from gateway.web.answers import Done, Events, Problem, event_of
from gateway.web.sources import Look, Place, Reading, StatusClient
from gateway.web.texts import TEXTS, TITLE
from pages import application, live, serving
from pages.application import Pages, visitor
from pages.language import Words

PAGE_ROWS = 30
TEMPLATES = Path(__file__).parent / "templates"
Portal = Annotated[str, Query(pattern="^([a-z0-9-]{1,32})?$")]
InName = Annotated[str, InPath(pattern="^[a-z0-9-]{1,32}$")]
Before = Annotated[int | None, Query(ge=1, le=1 << 53)]
PROBLEMS: dict[int | str, dict[str, object]] = {
    401: {"model": Problem}, 403: {"model": Problem}, 409: {"model": Problem}, 503: {"model": Problem},
}  # fmt: skip


def create(
    client: StatusClient,
    reading: Reading,
    place: Place,
    room_hours: Callable[[], float | None] | None = None,
    kept: unread.UnreadList = unread.NONE_KEPT,
) -> FastAPI:
    """The application over its sources. Raises pages.errors.PageError where ZHIAN_PAGE_TOKEN cannot be used."""
    app = application.create(
        "gateway", title=TITLE, templates=TEMPLATES, texts=TEXTS, zone=place.zone, open_paths=metrics.PATHS
    )
    site = _Site(app.state.pages, client, reading, place)
    _add_pages(app, site)
    _add_rest(app, site)
    unread.add(app, app.state.pages, kept)
    metrics.add(app, client, reading, room_hours)
    return app


async def serve(config_file: Path) -> None:
    """Run the pages of this gateway until cancelled. Core need not run. Raises ConfigError, PageError."""
    config = configuration.read(config_file)
    reading = JournalReading(configuration.database_file(config_file, config))
    client = OperationsClient(configuration.operations_socket(config_file, config))
    limits = JournalLimits(config.journal.rows_max, config.journal.retain_days)

    def room_hours() -> float:
        return reading.room(limits, center=config.uplink.mode != "none").hours

    try:
        pages_of_site = create(client, reading, place_of(config), room_hours, unread_of(config_file, config))
        await serving.serve(pages_of_site, host=config.web.host, port=config.web.port)
    finally:
        reading.close()


def place_of(config: configuration.GatewayConfig) -> Place:
    """What gateway.toml says of the site, for showing it while core is away."""
    site = config.site
    portals = (*config.door, *config.turnstile, *config.lift, *config.barrier)
    return Place(
        district=site.district,
        site=site.site,
        gateway=site.gateway,
        label={"zh": site.label.zh, "en": site.label.en},
        simulated=site.kind == "simulated",
        zone=ZoneInfo(site.timezone),
        portals={p.name: {"zh": p.label.zh, "en": p.label.en} for p in portals},
    )


def unread_of(config_file: Path, config: configuration.GatewayConfig) -> unread.UnreadList:
    """Where the plates that were not read are listed."""
    file = configuration.refused_plates_file(config_file, config)
    cameras = tuple(camera.name for camera in config.camera if camera.purpose == "plates")
    vision = config.vision
    return unread.UnreadList(lambda: refused_plates.read(file), cameras, vision.refused_rows, vision.refused_days)


class _Site:
    """The sources, one shared look at them, and how they are rendered."""

    def __init__(self, pages: Pages, client: StatusClient, reading: Reading, place: Place) -> None:
        self.pages = pages
        self.client = client
        self.reading = reading
        self.place = place
        self.shared: live.Shared[Look] = live.Shared(lambda: sources.look(client, reading))

    def values(self, look: Look, t: Words) -> dict[str, object]:
        """What head.html, doors.html and broken.html show."""
        return {
            "place": self.place,
            "version": look.status.version if look.status else "",
            "chips": showing.chips(look.status, t),
            "away": look.status is None,
            "cards": showing.cards(look.portals, t),
            "fire": look.status is not None and look.status.fire,
            "lockdown": look.status is not None and look.status.lockdown,
            "broken": look.newest_seq is None,
        }

    def fragments(self, look: Look, language: str) -> dict[str, str]:
        """The live parts by element id."""
        values = self.values(look, self.pages.renderer.words[language])
        return {
            name: self.pages.renderer.html(f"{name}.html", language, **values) for name in ("head", "doors", "broken")
        }

    def zone_text(self) -> str:
        """`Asia/Shanghai, UTC+08:00`."""
        offset = datetime.now(self.place.zone).strftime("%z")
        return f"{self.place.zone.key}, UTC{offset[:3]}:{offset[3:]}"

    def updates(self, language: str, portal: str | None, after: int) -> _Updates:
        """A new stream's state."""
        return _Updates(self, language, portal, after)


class _Updates:
    """What one stream still has to send: fragments that changed, events after the last one it sent."""

    def __init__(self, site: _Site, language: str, portal: str | None, after: int) -> None:
        self._site = site
        self._language = language
        self._portal = portal
        self._after = after
        self._seen: int | None = None  # newest number that was looked at, whatever its portal
        self._changed = live.Changed()

    async def __call__(self) -> live.Update:
        look = await self._site.shared.get()
        fragments = self._changed.only(self._site.fragments(look, self._language))
        rows = None
        if look.newest_seq is not None and look.newest_seq != self._seen:
            rows = await self._rows(look.newest_seq)
        return live.Update(fragments, rows, self._after)

    async def _rows(self, newest_seq: int) -> live.Rows | None:
        # A restored or new database starts again below what this page has seen.
        again = newest_seq < self._after
        after = None if again else self._after
        found = await sources.events(self._site.reading, limit=PAGE_ROWS, after_seq=after, portal=self._portal)
        if found is None:
            return None
        self._seen = newest_seq
        self._after = max(newest_seq, found[0].seq if found else 0)
        if not found and not again:
            return None
        t = self._site.pages.renderer.words[self._language]
        html = self._site.pages.renderer.html(
            "rows.html", self._language, rows=showing.rows(found, self._site.place.portals, t)
        )
        return live.Rows("events", html, PAGE_ROWS, fresh=again or len(found) >= PAGE_ROWS)


def _url(path: str, **values: object) -> str:
    given = {key: value for key, value in values.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _add_pages(app: FastAPI, site: _Site) -> None:
    @app.get("/", include_in_schema=False)
    async def first(request: Request, portal: Portal = "", before: Before = None) -> Response:
        t = site.pages.words(request)
        look = await site.shared.get()
        found = await sources.events(site.reading, limit=PAGE_ROWS + 1, before_seq=before, portal=portal or None)
        events = (found or [])[:PAGE_ROWS]
        newest = events[0].seq if events else look.newest_seq
        live_url = None if before else _url("/live", portal=portal, after=newest)
        values: dict[str, Any] = {
            **site.values(look, t),
            "broken": found is None,
            "labels": site.place.portals,
            "portal": portal,
            "older": before is not None,
            "zone": site.zone_text(),
            "rows": showing.rows(events, site.place.portals, t),
            "live_url": live_url,
            "newest_url": _url("/", portal=portal),
            "older_url": _url("/", portal=portal, before=events[-1].seq if events else None),
            "more": len(found or []) > PAGE_ROWS,
        }
        return site.pages.page(request, "site.html", **values)

    @app.get("/live", include_in_schema=False)
    async def stream(request: Request, portal: Portal = "", after: str = "") -> Response:
        start = live.cursor(request.headers.get("last-event-id"), after)
        return site.pages.stream(request, site.updates(visitor(request).language, portal or None, start))


def _add_rest(app: FastAPI, site: _Site) -> None:
    @app.get("/api/status", response_model=SiteStatus, responses=PROBLEMS, summary="The site now")
    async def status(request: Request) -> Response | SiteStatus:
        try:
            return await sources.counted(await site.client.status(), site.reading)
        except OperationsUnavailableError as e:
            return site.pages.problem(request, 503, "unavailable", str(e))

    @app.get("/api/events", response_model=Events, responses=PROBLEMS, summary="Recorded events, newest first")
    async def events(
        request: Request, portal: Portal = "", before: Before = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> Response | Events:
        found = await sources.events(site.reading, limit=limit, before_seq=before, portal=portal or None)
        if found is None:
            return site.pages.problem(request, 503, "unavailable", site.pages.words(request)("events.broken"))
        older = _url("/api/events", portal=portal, before=found[-1].seq, limit=limit) if len(found) >= limit else None
        return Events(events=[event_of(event) for event in found], older=older)

    async def carry_out(request: Request, words: str, done: str, work: Callable[[str], Awaitable[None]]) -> Response:
        """`work(operator)`; `words` begins the keys of its refusals."""
        t = site.pages.words(request)
        session = visitor(request).session
        if session is None:  # the guard lets nobody here; deny all the same
            return site.pages.refuse(request, 401, "session")
        try:
            await work(session.label)
        except OperationRefusedError as e:
            text = f"{t(f'{words}.refused')}{t('open.detail', text=e)}"
            return site.pages.problem(request, 409, "refused", text)
        except OperationsUnavailableError as e:
            text = f"{t(f'{words}.unavailable')}{t('open.detail', text=e)}"
            return site.pages.problem(request, 503, "unavailable", text)
        finally:
            site.shared.stale()
        return JSONResponse({"text": done})

    def label_of(request: Request, name: str) -> str:
        return site.pages.words(request).label(site.place.portals.get(name, {})) or name

    @app.post(
        "/api/portals/{name}/open", response_model=Done, responses=PROBLEMS, summary="Open a portal; it is recorded"
    )
    async def open_portal(request: Request, name: InName) -> Response:
        done = site.pages.words(request)("open.done", name=label_of(request, name))
        return await carry_out(request, "open", done, lambda operator: site.client.open_portal(name, operator))

    @app.post(
        "/api/portals/{name}/mode/{mode}", response_model=Done, responses=PROBLEMS, summary="Tell a portal what to be"
    )
    async def set_mode(request: Request, name: InName, mode: PortalMode) -> Response:
        t = site.pages.words(request)
        done = t("act.mode.done", name=label_of(request, name), mode=t(f"mode.{mode}"))
        return await carry_out(request, "act", done, lambda operator: site.client.set_portal_mode(name, mode, operator))

    @app.post("/api/lockdown/begin", response_model=Done, responses=PROBLEMS, summary="Lock the whole site down")
    async def begin_lockdown(request: Request) -> Response:
        return await carry_out(
            request, "act", site.pages.words(request)("act.lockdown.done"), site.client.begin_lockdown
        )

    @app.post("/api/lockdown/end", response_model=Done, responses=PROBLEMS, summary="End the lockdown")
    async def end_lockdown(request: Request) -> Response:
        return await carry_out(
            request, "act", site.pages.words(request)("act.unlockdown.done"), site.client.end_lockdown
        )

    @app.post("/api/fire/reset", response_model=Done, responses=PROBLEMS, summary="End the fire release, on site")
    async def reset_fire(request: Request) -> Response:
        return await carry_out(request, "act", site.pages.words(request)("act.fire.done"), site.client.reset_fire)
