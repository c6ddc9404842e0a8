"""The simulator's page over a world: its snapshot is drawn, its actions are buttons; the same as REST."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pages import application, live, serving
from pages.application import Pages, visitor
from sim.errors import ActionError
from sim.web.texts import TEXTS, TITLE

HERE = Path(__file__).parent
LOG_ROWS = 40

Name = Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]
Text = Annotated[str, Field(min_length=1, max_length=40)]


class World(Protocol):
    """What the page asks of the simulated world."""

    def snapshot(self) -> dict[str, Any]:
        """Everything that can be seen now: time_s, scenario, doors, barriers, people, cars, log."""
        ...

    async def perform(self, action: dict[str, Any]) -> None:
        """Let somebody do something. Raises ActionError."""
        ...


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PresentCard(_Action):
    """Hold this person's card to the reader of a door."""

    do: Literal["present_card"]
    who: Text
    door: Name


class EnterPin(_Action):
    """Type this person's PIN on the keypad of a door."""

    do: Literal["enter_pin"]
    who: Text
    door: Name


class PressRex(_Action):
    """Press the request-to-exit button inside a door."""

    do: Literal["press_rex"]
    door: Name


class ForceDoor(_Action):
    """Push a door open whatever its lock says."""

    do: Literal["force_door"]
    door: Name


class DriveUp(_Action):
    """Let a car drive up to a barrier."""

    do: Literal["drive_up"]
    plate: Text
    barrier: Name


Action = Annotated[PresentCard | EnterPin | PressRex | ForceDoor | DriveUp, Field(discriminator="do")]
_plain = TypeAdapter(Action).dump_python


class Done(BaseModel):
    """It was done; `text` says so in the visitor's language."""

    text: str


def create(world: World) -> FastAPI:
    """The application over `world`. Raises pages.errors.PageError where ZHIAN_PAGE_TOKEN cannot be used."""
    app = application.create(
        "sim", title=TITLE, templates=HERE / "templates", texts=TEXTS, zone=UTC, assets=HERE / "static"
    )
    pages: Pages = app.state.pages

    async def look() -> dict[str, Any]:
        return world.snapshot()

    shared = live.Shared(look)

    def values(seen: dict[str, Any]) -> dict[str, Any]:
        return {"world": seen, "running": running(seen["time_s"]), "log": log_rows(seen["log"])}

    def parts(seen: dict[str, Any], language: str) -> dict[str, str]:
        html = pages.renderer.html
        return {name: html(f"{name}.html", language, **values(seen)) for name in ("head", "plan", "log")}

    @app.get("/", include_in_schema=False)
    async def first(request: Request) -> Response:
        seen = await shared.get()
        return pages.page(request, "world.html", live_url="/live", **values(seen))

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
        try:
            await world.perform(_plain(action))
        except ActionError as e:
            return pages.problem(request, 409, "refused", t("refused", text=e))
        shared.stale()
        return JSONResponse({"text": t(f"done.{action.do}")})

    return app


async def serve(world: World, host: str, port: int) -> None:
    """Serve the page inside the caller's loop until cancelled. Raises PageError."""
    await serving.serve(create(world), host=host, port=port, notify_systemd=False)


def running(time_s: float) -> str:
    """Seconds as `h:mm:ss`."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def log_rows(log: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The newest lines of the world's log, newest first."""
    newest = sorted(log, key=lambda line: line["t_s"], reverse=True)[:LOG_ROWS]
    return [{"at": running(line["t_s"]), "zh": line["zh"], "en": line["en"]} for line in newest]
