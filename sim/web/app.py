"""The simulator's page over a world: its snapshot is drawn, its actions are drags and buttons; the same as REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from pages import application, live, serving
from pages.application import Pages, visitor
from sim.errors import ActionError
from sim.recording import Recording
from sim.scenario import Scenario
from sim.web import actions
from sim.web.actions import Action
from sim.web.broken import broken
from sim.web.stages import Stages
from sim.web.texts import TEXTS, TITLE

HERE = Path(__file__).parent
LOG_ROWS = 40
PARTS = ("head", "broken", "plan", "stages", "recorder", "log")  # live: templates sent again on a change


class World(Protocol):
    """What the page asks of the simulated world."""

    @property
    def scenario(self) -> Scenario:
        """Cast and layout."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Everything that can be seen now: time_s, scenario, doors, barriers, people, cars, log."""
        ...

    async def perform(self, action: dict[str, Any]) -> None:
        """Let somebody do something. Raises ActionError."""
        ...


class Done(BaseModel):
    """It was done; `text` says so in the visitor's language."""

    text: str


class Record(BaseModel):
    """Begin a recording anew, or end it."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["start", "stop"]


def create(world: World, stages: Stages | None = None) -> FastAPI:
    """The application over `world`; `stages` is shown every fact by the caller.

    Raises pages.errors.PageError where ZHIAN_PAGE_TOKEN cannot be used.
    """
    app = application.create(
        "sim", title=TITLE, templates=HERE / "templates", texts=TEXTS, zone=UTC, assets=HERE / "static"
    )
    pages: Pages = app.state.pages

    async def look() -> dict[str, Any]:
        return world.snapshot()

    shared = live.Shared(look)
    recording = Recording(world.scenario)
    faults = actions.offered(world.scenario)
    watched = stages or Stages()

    def values(seen: dict[str, Any]) -> dict[str, Any]:
        recording.look(seen["time_s"])
        return {
            "world": seen,
            "running": running(seen["time_s"]),
            "log": log_rows(seen["log"]),
            "last": last(watched, seen),
            "recording": recording,
            "broken": broken(seen),
        }

    def parts(seen: dict[str, Any], language: str) -> dict[str, str]:
        html = pages.renderer.html
        return {name: html(f"{name}.html", language, **values(seen)) for name in PARTS}

    @app.get("/", include_in_schema=False)
    async def first(request: Request) -> Response:
        seen = await shared.get()
        return pages.page(request, "world.html", live_url="/live", faults=faults, **values(seen))

    @app.get("/live", include_in_schema=False)
    async def stream(request: Request) -> Response:
        changed, language = live.Changed(), visitor(request).language

        async def updates() -> live.Update:
            return live.Update(changed.only(parts(await shared.get(), language)))

        return pages.stream(request, updates)

    @app.get("/api/world", summary="The simulated site now")
    async def snapshot() -> dict[str, Any]:
        return await shared.get()

    @app.post("/api/actions", response_model=Done, summary="Let somebody do something")
    async def act(request: Request, action: Annotated[Action, Body()]) -> Response:
        t = pages.words(request)
        asked = actions.plain(action)
        try:
            await world.perform(asked)
        except ActionError as e:
            return pages.problem(request, 409, "refused", t("refused", text=e))
        recording.note(asked, world.snapshot()["time_s"])
        shared.stale()
        return JSONResponse({"text": t(f"done.{action.do}")})

    _add_recording(app, pages, world, recording, shared.stale)
    return app


def _add_recording(app: FastAPI, pages: Pages, world: World, recording: Recording, changed: Callable[[], None]) -> None:
    @app.post("/api/recording", response_model=Done, summary="Begin a recording anew, or end it")
    async def record(request: Request, wanted: Annotated[Record, Body()]) -> Response:
        if wanted.do == "start":
            recording.start(world.snapshot()["time_s"])
        else:
            recording.stop()
        changed()
        return JSONResponse({"text": pages.words(request)(f"done.record.{wanted.do}")})

    @app.get("/api/recording", summary="What was recorded, as a scenario file")
    async def recorded(request: Request) -> Response:
        try:
            text = recording.text()
        except ActionError:
            return pages.problem(request, 404, "empty", pages.words(request)("record.empty"))
        name = recording.document()["name"]
        return Response(
            text,
            media_type="application/toml; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}.toml"'},
        )


async def serve(world: Any, host: str, port: int) -> None:
    """Serve the page of a sim.world.World inside the caller's loop until cancelled. Raises PageError."""
    stages, earlier = Stages(), world.chronicle.watch

    def see(fact: Mapping[str, Any]) -> None:
        earlier(fact)
        stages.see(fact)

    world.chronicle.watch = see
    await serving.serve(create(world, stages), host=host, port=port, notify_systemd=False)


def last(stages: Stages, seen: dict[str, Any]) -> dict[str, Any] | None:
    """The stages of the last action, with what people call its place."""
    shown = stages.shown()
    if shown is None:
        return None
    labels = {portal["name"]: portal["label"] for portal in (*seen["doors"], *seen["barriers"])}
    return shown | {"label": labels.get(shown["place"], {"en": shown["place"]})}


def running(time_s: float) -> str:
    """Seconds as `h:mm:ss`."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def log_rows(log: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The newest lines of the world's log, newest first."""
    newest = sorted(log, key=lambda line: line["t_s"], reverse=True)[:LOG_ROWS]
    return [{"at": running(line["t_s"]), "zh": line["zh"], "en": line["en"]} for line in newest]
