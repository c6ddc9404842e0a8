"""The page: picture, advice and measures of one camera, live."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import cv2
from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from gateway import config as configuration
from gateway.aiming import hints
from gateway.aiming.hints import Advice, Sight
from gateway.aiming.looking import Look, Looking
from gateway.aiming.texts import TEXTS, TITLE
from gateway.errors import VisionError
from gateway.vision.camera_folder import FolderCamera
from gateway.vision.reader import load_default
from pages import application, live, serving
from pages.application import Pages, visitor
from pages.language import Words

HERE = Path(__file__).parent
STALLED_AFTER_S = 3
NAME = Query(max_length=64)


@dataclass(frozen=True, slots=True)
class Shown:
    """One advice with its colour and icon, or one measure with its limits."""

    name: str
    tone: str
    icon: str = ""
    value: str = ""
    of: str = ""


async def serve(config_file: Path, camera: str | None, host: str, port: int) -> None:
    """The page for the cameras of gateway.toml (or the one named) until cancelled; neither core nor vision need run.

    Raises ConfigError, PageError, VisionError: no such camera, or none at all.
    """
    config = configuration.read(config_file)
    named = {c.name: c for c in config.camera}
    if not named:
        raise VisionError(f"{config_file}: no [[camera]] is configured, so there is nothing to aim; add one")
    if camera is not None and camera not in named:
        raise VisionError(f"camera {camera}: expected one of {', '.join(named)}; correct --camera")
    chosen = [named[camera]] if camera else list(named.values())
    cv2.setNumThreads(1)
    plates = load_default(threads=config.vision.threads)
    with ThreadPoolExecutor(1, thread_name_prefix="infer") as inference:
        views: dict[str, Looking] = {}
        for one in chosen:
            folder = configuration.resolve(config_file, one.source.partition(":")[2])
            views[one.name] = Looking(FolderCamera(one.name, folder), plates, inference)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for v in views.values() for work in (v.camera.watch(), v.run())]
            try:
                await serving.serve(create(views, ZoneInfo(config.site.timezone)), host=host, port=port)
            finally:
                for task in running:
                    task.cancel()


def create(views: dict[str, Looking], zone: ZoneInfo) -> FastAPI:
    """The application over cameras that are being looked at. Raises PageError where ZHIAN_PAGE_TOKEN cannot be used."""
    app = application.create(
        "aiming", title=TITLE, templates=HERE / "templates", texts=TEXTS, zone=zone, assets=HERE / "static"
    )
    pages: Pages = app.state.pages

    @app.get("/", include_in_schema=False)
    async def page(request: Request, camera: Annotated[str, NAME] = "") -> Response:
        name = camera if camera in views else next(iter(views))
        values = _values(name, views[name], pages.words(request))
        return pages.page(request, "aim.html", cameras=list(views), live_url=f"/live?camera={name}", **values)

    @app.get("/live", include_in_schema=False)
    async def stream(request: Request, camera: Annotated[str, NAME] = "") -> Response:
        if camera not in views:
            return pages.refuse(request, 404, "not-found")
        language, changed = visitor(request).language, live.Changed()

        async def update() -> live.Update:
            values = _values(camera, views[camera], pages.renderer.words[language])
            return live.Update(changed.only({"now": pages.renderer.html("now.html", language, **values)}))

        return pages.stream(request, update)

    @app.get("/picture.jpg", include_in_schema=False)
    async def picture(request: Request, camera: Annotated[str, NAME] = "", n: int = 0) -> Response:  # noqa: ARG001
        if camera not in views:
            return pages.refuse(request, 404, "not-found")
        look = views[camera].last
        if look is None:  # no error: nothing was seen yet, or the camera has just gone
            return Response(status_code=204)
        return Response(look.jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})

    return app


def _values(name: str, view: Looking, t: Words) -> dict[str, object]:
    """What now.html shows; asking for it is looking."""
    view.watched()
    look = view.last
    if look is None:
        return {"camera": name, "number": 0, "stalled_s": 0, "advices": [], "facts": []}
    age_s = int(time.monotonic() - look.at_s)
    return {
        "camera": name,
        "number": look.number,
        "stalled_s": age_s if age_s >= STALLED_AFTER_S else 0,
        "advices": [_advice(a) for a in hints.advise(look.seen)],
        "facts": _facts(look, look.seen, t) if look.seen else [],
    }


def _advice(advice: Advice) -> Shown:
    if advice is Advice.GOOD:
        return Shown(advice, "green", "check")
    if advice is Advice.NO_PLATE:
        return Shown(advice, "blue", "info")
    return Shown(advice, "red" if advice in hints.SERIOUS else "amber", "alert")


def _facts(look: Look, seen: Sight, t: Words) -> list[Shown]:
    advised = hints.advise(seen)

    def tone(*advices: Advice) -> str:
        of = [a for a in advices if a in advised]
        return "green" if not of else ("red" if any(a in hints.SERIOUS for a in of) else "amber")

    score = t("aim.score", score=f"{look.score:.2f}") if look.text else ""
    width = t("aim.px", good=f"{hints.GOOD_WIDTH_PX:.0f}", least=f"{hints.LEAST_WIDTH_PX:.0f}")
    light = t("aim.lit", low=f"{hints.DARK:.0f}", high=f"{hints.BRIGHT:.0f}")
    return [
        Shown("read", "green" if look.text else "amber", value=look.text or t("aim.nothing"), of=score),
        Shown("width", tone(Advice.TOO_SMALL, Advice.SMALL), value=f"{seen.width_px:.0f}", of=width),
        Shown("sharp", tone(Advice.BLURRED, Advice.SOFT), value=f"{seen.sharpness:.2f}",
              of=t("aim.of", good=f"{hints.SHARP:.2f}")),
        Shown("light", tone(Advice.DARK, Advice.BRIGHT, Advice.GLARE), value=f"{seen.light:.0f}", of=light),
        Shown("tilt", tone(Advice.TILTED), value=f"{seen.tilt_degrees:+.0f}°",
              of=t("aim.degrees", most=f"{hints.MOST_TILT_DEGREES:.0f}")),
    ]  # fmt: skip
