"""The desk's pages: who is enrolled, consent, pictures, receipt. Everything lasting goes through core's operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

import cv2
from fastapi import FastAPI, Form, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, RedirectResponse, Response

from gateway import config as configuration
from gateway.enrolment.capture import WANTED, Capture
from gateway.enrolment.texts import TEXTS, TITLE
from gateway.errors import OperationRefusedError, OperationsUnavailableError, VisionError
from gateway.operations.client import OperationsClient
from gateway.operations.messages import EnrolFace, EnrolledFace, FaceReceipt, FacesAnswer
from gateway.vision.camera_folder import FolderCamera
from gateway.vision.faces.reader import load
from pages import application, live, serving
from pages.application import Pages, visitor
from pages.language import Words

HERE = Path(__file__).parent
DEFAULT_DAYS, LONGEST_DAYS = 180, 366
EMPTY: dict[str, object] = {
    "holder": "", "portals": [], "until": "", "other_way": "", "asked_by": "", "guardian": "", "below_14": False,
    "replace": False,
}  # fmt: skip
TO_FILL_IN = ("necessary", "impact", "measures", "children", "conclusion")
Holder = Annotated[str, InPath(pattern=r"^[a-z0-9-]{1,32}$")]


class Desk(Protocol):
    """What of core's operations the desk needs."""

    async def faces(self) -> FacesAnswer: ...

    async def enrol_face(self, request: EnrolFace) -> EnrolledFace: ...

    async def withdraw_face(self, holder: str, operator: str) -> FaceReceipt: ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A consent that was given, whose pictures are being taken."""

    holder: str
    portals: tuple[str, ...]
    asked_by: str
    other_way: str
    until: datetime
    below_14: bool
    guardian: str
    replace: bool


async def serve(config_file: Path, camera: str | None, host: str, port: int) -> None:
    """The desk for one camera until cancelled. Raises ConfigError, PageError, VisionError."""
    config = configuration.read(config_file)
    named = {c.name: c for c in config.camera}
    chosen = camera or next((c.name for c in config.camera if c.purpose == "face"), None)
    if chosen is None or chosen not in named:
        wanted = f"one of {', '.join(named)}" if named else "a [[camera]] in gateway.toml"
        raise VisionError(
            f"camera for enrolment: expected {wanted}, got {camera or 'none for faces'}; name it with --camera"
        )
    cv2.setNumThreads(1)
    faces = load(threads=config.vision.threads, must_be_accepted=config.site.kind == "real")
    source = configuration.resolve(config_file, named[chosen].source.partition(":")[2])
    client = OperationsClient(configuration.operations_socket(config_file, config))
    with ThreadPoolExecutor(1, thread_name_prefix="infer") as inference:
        capture = Capture(FolderCamera(chosen, source), faces, inference)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in (capture.camera.watch(), capture.run())]
            try:
                zone = ZoneInfo(config.site.timezone)
                await serving.serve(create(client, capture, zone), host=host, port=port)
            finally:
                for task in running:
                    task.cancel()
                capture.end()


def create(
    desk: Desk,
    capture: Capture,
    zone: ZoneInfo,
    now: Callable[[ZoneInfo], datetime] = lambda zone: datetime.now(zone),
) -> FastAPI:
    """The application. One enrolment at a time, as there is one camera. Raises PageError for a bad ZHIAN_PAGE_TOKEN."""
    app = application.create(
        "enrolment", title=TITLE, templates=HERE / "templates", texts=TEXTS, zone=zone, assets=HERE / "static"
    )
    _Pages(app.state.pages, desk, capture, zone, now).add(app)
    return app


class _Pages:
    def __init__(
        self, pages: Pages, desk: Desk, capture: Capture, zone: ZoneInfo, now: Callable[[ZoneInfo], datetime]
    ) -> None:
        self.pages, self.desk, self.capture, self.zone, self.now = pages, desk, capture, zone, now
        self.draft: Draft | None = None

    def add(self, app: FastAPI) -> None:
        @app.get("/", include_in_schema=False)
        async def first(request: Request) -> Response:
            try:
                answer = await self.desk.faces()
            except OperationsUnavailableError:
                return self.pages.page(request, "desk.html", 503, answer=None)
            names = {one.id: one.zh if visitor(request).language.startswith("zh") else one.en for one in answer.holders}
            return self.pages.page(request, "desk.html", answer=answer, names=names)

        @app.get("/assessment", include_in_schema=False)
        async def assessment(request: Request) -> Response:
            try:
                answer = await self.desk.faces()
            except OperationsUnavailableError:
                return self.pages.page(request, "desk.html", 503, answer=None)
            facts = _assessed(answer, self.pages.words(request), self.now(self.zone))
            return self.pages.page(request, "assessment.html", facts=facts, blanks=TO_FILL_IN)

        @app.get("/new", include_in_schema=False)
        async def consent(request: Request, holder: Annotated[str, Query(max_length=32)] = "") -> Response:
            return await self.form(request, problem="", given=EMPTY | {"holder": holder})

        @app.post("/new", include_in_schema=False)
        async def consented(
            request: Request,
            holder: Annotated[str, Form(max_length=32)] = "",
            portals: Annotated[list[str], Form(max_length=16)] = [],  # noqa: B006  # FastAPI copies it
            until: Annotated[str, Form(max_length=10)] = "",
            other_way: Annotated[str, Form(max_length=120)] = "",
            asked_by: Annotated[str, Form(max_length=120)] = "",
            guardian: Annotated[str, Form(max_length=120)] = "",
            below_14: Annotated[bool, Form()] = False,
            replace: Annotated[bool, Form()] = False,
            agreed: Annotated[bool, Form()] = False,
        ) -> Response:
            given = {"holder": holder, "portals": portals, "until": until, "other_way": other_way, "asked_by": asked_by,
                     "guardian": guardian, "below_14": below_14, "replace": replace}  # fmt: skip
            t = self.pages.words(request)
            missing = _missing(given, t, agreed=agreed)
            ends = self.end_of(until)
            if missing or ends is None:
                text = t("new.refused", text=missing or t("new.until"))
                return await self.form(request, problem=text, given=given, status=422)
            self.draft = Draft(holder, tuple(portals), asked_by, other_way, ends, below_14, guardian, replace)
            self.capture.begin()
            return RedirectResponse("/take", status_code=303)

        @app.get("/take", include_in_schema=False)
        async def take(request: Request) -> Response:
            if self.draft is None or self.capture.collection is None:
                return RedirectResponse("/", status_code=303)
            return self.pages.page(
                request, "take.html", live_url="/live", problem="", **self.state(self.pages.words(request))
            )

        @app.get("/live", include_in_schema=False)
        async def stream(request: Request) -> Response:
            language, changed = visitor(request).language, live.Changed()

            async def update() -> live.Update:
                values = self.state(self.pages.renderer.words[language])
                return live.Update(changed.only({"now": self.pages.renderer.html("now.html", language, **values)}))

            return self.pages.stream(request, update)

        @app.get("/picture.jpg", include_in_schema=False)
        async def picture(request: Request) -> Response:
            look = self.capture.last
            if look is None:
                return self.pages.refuse(request, 404, "not-found")
            return Response(look.jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})

        self._add_ends(app)

    def _add_ends(self, app: FastAPI) -> None:
        @app.post("/take", include_in_schema=False)
        async def finish(request: Request, do: Annotated[str, Form(max_length=10)] = "") -> Response:
            if do == "again" and self.draft is not None:
                self.capture.begin()
                return RedirectResponse("/take", status_code=303)
            if do != "store" or self.draft is None or self.capture.collection is None:
                self.drop()
                return RedirectResponse("/", status_code=303)
            return await self.store(request, self.draft)

        @app.post("/api/withdraw/{holder}", summary="Erase everything of a holder's face")
        async def withdraw(request: Request, holder: Holder) -> Response:
            t = self.pages.words(request)
            try:
                receipt = await self.desk.withdraw_face(holder, self.operator(request))
            except OperationRefusedError as e:
                return self.pages.problem(request, 409, "refused", str(e))
            except OperationsUnavailableError:
                return self.pages.problem(request, 503, "unavailable", t("desk.away"))
            text = t("desk.withdraw.done", count=receipt.references, number=receipt.number)
            return JSONResponse({"text": text})

    async def store(self, request: Request, draft: Draft) -> Response:
        """Hand the references to core; forget them whatever becomes of it, once it was stored or cannot be."""
        collection = self.capture.collection
        if collection is None or not collection.complete:
            return RedirectResponse("/take", status_code=303)
        asked = EnrolFace(
            draft.holder,
            draft.portals,
            draft.asked_by,
            draft.other_way,
            draft.until,
            collection.packed(),
            self.capture.model_sha256,
            self.operator(request),
            draft.below_14,
            draft.guardian,
            draft.replace,
        )
        t = self.pages.words(request)
        try:
            made = await self.desk.enrol_face(asked)
        except (OperationRefusedError, OperationsUnavailableError) as e:
            text = str(e) if isinstance(e, OperationRefusedError) else t("desk.away")
            return self.pages.page(request, "take.html", 409, live_url="/live", problem=text, **self.state(t))
        self.drop()
        return self.pages.page(request, "done.html", made=made)

    async def form(self, request: Request, *, problem: str, given: dict[str, object], status: int = 200) -> Response:
        try:
            answer = await self.desk.faces()
        except OperationsUnavailableError:
            return self.pages.page(request, "desk.html", 503, answer=None)
        today = self.now(self.zone).date()
        return self.pages.page(
            request, "new.html", status, answer=answer, problem=problem, given=given,
            until=str(given.get("until") or today + timedelta(days=DEFAULT_DAYS)),
            latest=str(today + timedelta(days=LONGEST_DAYS - 1)), earliest=str(today + timedelta(days=1)),
        )  # fmt: skip

    def end_of(self, day: str) -> datetime | None:
        """The end of that day at the site, None for what is no day ahead within a year."""
        try:
            ends = datetime.combine(datetime.strptime(day, "%Y-%m-%d").date(), time(23, 59, 59), self.zone)  # noqa: DTZ007
        except ValueError:
            return None
        now = self.now(self.zone)
        return ends if now < ends < now + timedelta(days=LONGEST_DAYS) else None

    def state(self, t: Words) -> dict[str, object]:
        """What now.html shows; asking for it is looking."""
        self.capture.watched()
        look, collection, draft = self.capture.last, self.capture.collection, self.draft
        values: dict[str, object] = {
            "name": draft.holder if draft else "",
            "number": look.number if look else 0,
            "count": len(collection.references) if collection else 0,
            "wanted": WANTED,
            "complete": bool(collection and collection.complete),
        }
        if look is None:
            return values | {"tone": "amber", "icon": "alert", "said": t("take.waiting")}
        if collection is not None and collection.complete:
            return values | {"tone": "green", "icon": "check", "said": t("take.done")}
        if look.problems:
            return values | {"tone": "amber", "icon": "info", "said": t(f"problem.{look.problems[0]}")}
        if collection is not None and collection.stranger:
            return values | {"tone": "red", "icon": "alert", "said": t("take.stranger")}
        return values | {"tone": "blue", "icon": "eye", "said": t("take.good")}

    def drop(self) -> None:
        self.draft = None
        self.capture.end()

    def operator(self, request: Request) -> str:
        session = visitor(request).session
        return session.label if session is not None else "enrolment"


def _assessed(answer: FacesAnswer, t: Words, now: datetime) -> list[tuple[str, object]]:
    """The rows of the impact assessment that the site can fill in itself."""
    portals = sorted({portal for face in answer.faces for portal in face.portals} or set(answer.portals))
    others = sorted({face.other_way for face in answer.faces})
    return [
        ("date", f"{now:%Y-%m-%d}"),
        ("purpose", t("form.purpose.value")),
        ("data", t("form.data.value", most=8)),
        ("portals", ", ".join(portals) or "-"),
        ("people", len(answer.faces)),
        ("minors", sum(face.below_14 for face in answer.faces)),
        ("others", ", ".join(others) or "-"),
        ("retention", t("form.retention.value", days=LONGEST_DAYS)),
        ("erasures", answer.erased[0].number if answer.erased else 0),
        ("alone", t("desk.yes") if answer.alone else t("desk.no")),
        ("filing", answer.filing_threshold),
    ]


def _missing(given: dict[str, object], t: Words, *, agreed: bool) -> str:
    """The first field that was left out, in the visitor's language; "" where nothing was."""
    for field, key in (("holder", "new.holder"), ("portals", "new.portals"), ("other_way", "new.other"),
                       ("asked_by", "new.asked")):  # fmt: skip
        if not given[field]:
            return t(key)
    if given["below_14"] and not str(given["guardian"]).strip():
        return t("new.guardian")
    return "" if agreed else t("new.agreed")
