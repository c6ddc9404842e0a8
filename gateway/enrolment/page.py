"""The desk's pages: who is enrolled, consent, pictures, receipt. Everything lasting goes through core's operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import FastAPI, Form, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, RedirectResponse, Response

from gateway.enrolment import listing, refusals, showing
from gateway.enrolment.capture import ABANDONED_AFTER_S, WANTED, WANTED_PHOTOS, Capture
from gateway.enrolment.given import EMPTY, Draft, end_of, problem_of
from gateway.enrolment.photo import MAX_PHOTO_BYTES
from gateway.enrolment.showing import LONGEST_DAYS, Named
from gateway.enrolment.texts import TEXTS, TITLE
from gateway.errors import OperationRefusedError, OperationsUnavailableError
from gateway.operations.messages import EnrolFace, EnrolledFace, FaceReceipt, FacesAnswer
from gateway.vision.pad.statement import statement
from pages import application, live
from pages.application import Pages, visitor
from pages.language import EN, ZH, Words

HERE = Path(__file__).parent
DEFAULT_DAYS = 180
BUSY_S = 15.0  # another window that looked within it is still enrolling
TO_FILL_IN = ("necessary", "impact", "measures", "children", "conclusion")
Number = Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]
Search = Annotated[str, Query(pattern=r"^([0-9a-f]{16})?$")]
Before = Annotated[str, Query(pattern=listing.BEFORE)]


class Desk(Protocol):
    """What of core's operations the desk needs."""

    async def faces(self) -> FacesAnswer: ...

    async def enrol_face(self, request: EnrolFace) -> EnrolledFace: ...

    async def withdraw_face(self, holder: str, operator: str) -> FaceReceipt: ...


def create(
    desk: Desk,
    capture: Capture,
    named: Named,
    now: Callable[[tzinfo], datetime] = lambda zone: datetime.now(zone),
) -> FastAPI:
    """The application. One enrolment at a time, as there is one camera. `app.state.forget_abandoned` is to be called
    now and then. Raises PageError for a bad ZHIAN_PAGE_TOKEN."""
    app = application.create(
        "enrolment",
        title=TITLE,
        templates=HERE / "templates",
        texts={**TEXTS, **refusals.TEXTS},
        zone=named.zone,
        assets=HERE / "static",
        large_paths={"/api/photo": MAX_PHOTO_BYTES},
    )
    made = _Pages(app.state.pages, desk, capture, named, lambda: now(named.zone))
    made.add(app)
    app.state.forget_abandoned = made.forget_abandoned
    return app


class _Pages:
    def __init__(self, pages: Pages, desk: Desk, capture: Capture, named: Named, now: Callable[[], datetime]) -> None:
        self.pages, self.desk, self.capture, self.named, self.now = pages, desk, capture, named, now
        self.draft: Draft | None = None
        self.abandoned = False  # and nobody was told so yet
        self.refused = False  # core refused these very references
        self.searches = listing.Searches()

    def add(self, app: FastAPI) -> None:
        @app.get("/", include_in_schema=False)
        async def first(request: Request, search: Search = "", before: Before = "") -> Response:
            return await self.list(request, search=search, before=before)

        @app.post("/find", include_in_schema=False)
        async def find(request: Request, typed: Annotated[str, Form(max_length=listing.MAX_TYPED)] = "") -> Response:
            number = self.searches.keep(self.session(request), typed.strip()) if typed.strip() else ""
            return RedirectResponse(f"/?search={number}" if number else "/", status_code=303)

        @app.get("/assessment", include_in_schema=False)
        async def assessment(request: Request) -> Response:
            if (answer := await self.answer()) is None:
                return self.away(request)
            t = self.pages.words(request)
            facts = showing.assessed(answer, t, self.named, self.now(), self.capture.model_sha256)
            return self.show(request, "assessment.html", facts=facts, blanks=TO_FILL_IN)

        @app.get("/statement", include_in_schema=False)
        async def said(request: Request) -> Response:
            text = statement().texts["zh" if visitor(request).language == ZH else "en"]
            return self.show(request, "statement.html", paragraphs=[p for p in text.splitlines() if p.strip()])

        @app.get("/receipt", include_in_schema=False)
        async def look_up(request: Request, number: Annotated[str, Query(max_length=60)] = "") -> Response:
            t = self.pages.words(request)
            if (answer := await self.answer()) is None:
                return self.away(request)
            one = showing.found(answer, showing.asked_number(number))
            if isinstance(one, FaceReceipt):
                return RedirectResponse(f"/receipt/{one.enrolment}", status_code=303)
            key = "find.none" if one is None else "find.enrolled"
            return await self.list(request, told=t(key), tone="amber" if one is None else "blue")

        @app.get("/receipt/{enrolment}", include_in_schema=False)
        async def receipt(request: Request, enrolment: Number) -> Response:
            if (answer := await self.answer()) is None:
                return self.away(request)
            one = next((r for r in answer.erased if r.enrolment == enrolment), None)
            if one is None:
                return self.pages.refuse(request, 404, "not-found")
            return self.show(request, "receipt.html", one=one)

        self._add_consent(app)
        self._add_pictures(app)
        self._add_ends(app)

    def _add_consent(self, app: FastAPI) -> None:
        @app.get("/new", include_in_schema=False)
        async def consent(request: Request) -> Response:
            return await self.form(request, problem="", given=EMPTY)

        @app.post("/new", include_in_schema=False)
        async def consented(
            request: Request,
            holder: Annotated[str, Form(max_length=120)] = "",
            portals: Annotated[list[str], Form(max_length=16)] = [],  # noqa: B006  # FastAPI copies it
            until: Annotated[str, Form(max_length=10)] = "",
            other_way: Annotated[str, Form(max_length=120)] = "",
            asked_by: Annotated[str, Form(max_length=120)] = "",
            guardian: Annotated[str, Form(max_length=120)] = "",
            below_14: Annotated[bool, Form()] = False,
            replace: Annotated[bool, Form()] = False,
            agreed: Annotated[bool, Form()] = False,
            by: Annotated[str, Form(max_length=10)] = "camera",
        ) -> Response:
            given: dict[str, object] = {
                "holder": holder, "portals": portals, "until": until, "other_way": other_way.strip(),
                "asked_by": asked_by.strip(), "guardian": guardian.strip(), "below_14": below_14, "replace": replace,
                "agreed": agreed,
            }  # fmt: skip
            t = self.pages.words(request)
            if (answer := await self.answer()) is None:
                return self.away(request)
            meant, ends = showing.chosen(holder, answer), end_of(until, self.now())
            problem = problem_of(given, t, answer, meant) or ("" if ends else t("new.until.bad"))
            if not problem and self.busy(request):
                problem = t("new.busy")
            if problem or ends is None:
                return await self.form(request, problem=problem, given=given, status=422)
            who = meant[0]
            called = (showing.names(answer, ZH)[who], showing.names(answer, EN)[who])
            self.draft = Draft(
                who, called, self.session(request), tuple(portals), asked_by.strip(), other_way.strip(), ends,
                below_14, guardian.strip(), replace,
            )  # fmt: skip
            self.abandoned = False
            self.begin(photos=by == "photos")
            return RedirectResponse("/take", status_code=303)

    def _add_pictures(self, app: FastAPI) -> None:
        @app.get("/take", include_in_schema=False)
        async def take(request: Request) -> Response:
            if not self.mine(request):
                return RedirectResponse("/", status_code=303)
            return self.taking(request, "")

        @app.get("/live", include_in_schema=False)
        async def stream(request: Request) -> Response:
            language, changed = visitor(request).language, live.Changed()

            async def update() -> live.Update:
                values = self.state(self.pages.renderer.words[language]) if self.mine(request) else {}
                html = self.pages.renderer.html("now.html" if values else "over.html", language, **values)
                return live.Update(changed.only({"now": html}))

            return self.pages.stream(request, update)

        @app.get("/picture.jpg", include_in_schema=False)
        async def picture(request: Request) -> Response:
            look = self.capture.now if self.mine(request) else None
            if look is None:  # no error: the enrolment may end while the page asks for its next picture
                return Response(status_code=204)
            return Response(look.jpeg, media_type="image/jpeg")  # the guard adds no-store

        @app.post("/api/photo", summary="Take a reference from the photo in the body, which is not kept")
        async def photo(request: Request) -> Response:
            t = self.pages.words(request)
            if not self.mine(request):
                return self.pages.problem(request, 409, "ended", t("photo.ended"))
            key = await self.capture.photo(await request.body())  # not a form: nothing is spooled into a file
            if key == "photo.taken":
                return JSONResponse({"text": t(key)})
            return self.pages.problem(request, 422, "unusable", t(key))

    def _add_ends(self, app: FastAPI) -> None:
        @app.post("/take", include_in_schema=False)
        async def finish(request: Request, do: Annotated[str, Form(max_length=10)] = "") -> Response:
            if not self.mine(request) or self.draft is None:
                return RedirectResponse("/", status_code=303)
            if do in ("camera", "photos", "again"):
                collection = self.capture.collection
                self.begin(photos=do == "photos" or (do == "again" and bool(collection and collection.photos)))
                return RedirectResponse("/take", status_code=303)
            if do != "store":
                self.drop()
                return RedirectResponse("/", status_code=303)
            return await self.store(request, self.draft)

        @app.post("/api/withdraw/{enrolment}", summary="Erase everything of this enrolment's face")
        async def withdraw(request: Request, enrolment: Number) -> Response:
            t = self.pages.words(request)
            try:
                answer = await self.desk.faces()
                holder = next((one.holder for one in answer.faces if one.enrolment == enrolment), None)
                if holder is None:
                    return self.pages.problem(request, 409, "refused", t("desk.withdraw.gone"))
                receipt = await self.desk.withdraw_face(holder, self.operator(request))
            except OperationRefusedError as e:
                return self.pages.problem(request, 409, "refused", await self.refusal(e, t, "desk.withdraw.failed"))
            except OperationsUnavailableError:
                return self.pages.problem(request, 503, "unavailable", t("desk.away"))
            text = t("desk.withdraw.done", count=receipt.references, number=receipt.number)
            return JSONResponse({"text": text, "goto": f"/receipt/{receipt.enrolment}"})

    async def store(self, request: Request, draft: Draft) -> Response:
        """Hand the references to core; forget them once they are stored."""
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
        except OperationRefusedError as e:
            self.refused = True
            return self.taking(request, await self.refusal(e, t), 409)
        except OperationsUnavailableError:
            return self.taking(request, t("desk.away"), 503)
        self.drop()
        return self.show(request, "done.html", made=made, name=showing.of(draft.called, visitor(request).language))

    async def refusal(self, refused: OperationRefusedError, t: Words, lead: str = "refusal.other") -> str:
        """What core said, in the visitor's language where it is known, else behind `lead` as it came."""
        answer = await self.answer()
        called = showing.names(answer, t.language) if answer else {}
        if f"refusal.{refused.code}" in t:
            return t(f"refusal.{refused.code}", name=called.get(refused.about, refused.about))
        return t(lead, text=self.reason(str(refused), t, called))

    def reason(self, sentence: str, t: Words, called: Mapping[str, str]) -> str:
        """Core's sentence in the visitor's language; called: holders' names by id."""
        return refusals.reason(
            sentence, t, lambda one: called.get(one, one), lambda one: self.named.portal(one, t.language)
        )

    async def answer(self) -> FacesAnswer | None:
        """What core knows; None where it does not answer."""
        try:
            return await self.desk.faces()
        except (OperationsUnavailableError, OperationRefusedError):
            return None

    async def list(
        self, request: Request, told: str = "", tone: str = "amber", search: str = "", before: str = ""
    ) -> Response:
        """The enrolled, newest first, a page at a time. search: a number of `searches`."""
        if (answer := await self.answer()) is None:
            return self.away(request)
        t = self.pages.words(request)
        if self.abandoned and not told:
            self.abandoned, told = False, t("desk.abandoned")
        typed = self.searches.find(self.session(request), search) if search else ""
        if typed is None:
            search, typed, told = "", "", told or t("search.over")
        part = listing.part(listing.matching(answer, typed) if typed else answer.faces, before)
        names = showing.names(answer, t.language)
        return self.show(
            request, "desk.html", answer=answer, names=names, told=told, tone=tone, part=part, typed=typed,
            older=before, searched=f"search={search}&" if search else "", broken=self.reason(answer.broken, t, names),
            soon_ms=int(self.now().timestamp() * 1000) + showing.SOON_MS,
        )  # fmt: skip

    def away(self, request: Request) -> Response:
        return self.show(request, "desk.html", 503, answer=None, told="")

    def show(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        """A page, with the ways in which this site names things."""
        language, named = visitor(request).language, self.named
        return self.pages.page(
            request, template, status, day=named.day, moment=named.moment, short=showing.short, whole=showing.whole,
            portal=lambda one: named.portal(one, language), all_portals=lambda some: named.all(some, language),
            site=showing.of(named.site, language), **values,
        )  # fmt: skip

    def taking(self, request: Request, problem: str, status: int = 200) -> Response:
        values = self.state(self.pages.words(request))
        return self.show(
            request, "take.html", status, live_url="/live", problem=problem, most_bytes=MAX_PHOTO_BYTES, **values
        )

    async def form(self, request: Request, *, problem: str, given: dict[str, object], status: int = 200) -> Response:
        if (answer := await self.answer()) is None:
            return self.away(request)
        today = self.now().date()
        return self.show(
            request, "new.html", status, answer=answer, problem=problem, given=given,
            names=showing.names(answer, visitor(request).language),
            until=str(given.get("until") or today + timedelta(days=DEFAULT_DAYS)),
            latest=str(today + timedelta(days=LONGEST_DAYS - 1)), earliest=str(today + timedelta(days=1)),
        )  # fmt: skip

    def state(self, t: Words) -> dict[str, object]:
        """What now.html shows; asking for it is looking."""
        self.capture.watched()
        look, collection, draft = self.capture.now, self.capture.collection, self.draft
        photos = bool(collection and collection.photos)
        values: dict[str, object] = {
            "name": showing.of(draft.called, t.language) if draft else "",
            "photos": photos,
            "refused": self.refused,
            "number": look.number if look else 0,
            "count": len(collection.references) if collection else 0,
            "wanted": WANTED,
            "complete": bool(collection and collection.complete) and not self.refused,
        }
        if self.refused:
            return values | {"tone": "amber", "icon": "info", "said": t("take.refused")}
        if collection is not None and collection.complete:
            return values | {"tone": "green", "icon": "check", "said": t("take.done.photos" if photos else "take.done")}
        if photos:
            return values | {"tone": "blue", "icon": "info", "said": t("take.photos", least=WANTED_PHOTOS, most=WANTED)}
        if look is None:
            unusable = self.capture.unusable
            return values | {
                "tone": "amber",
                "icon": "alert",
                "said": t("take.unusable" if unusable else "take.waiting"),
            }
        if look.problems:
            return values | {"tone": "amber", "icon": "info", "said": t(f"problem.{look.problems[0]}")}
        if collection is not None and collection.stranger:
            return values | {"tone": "red", "icon": "alert", "said": t("take.stranger")}
        return values | {"tone": "blue", "icon": "eye", "said": t("take.good")}

    def session(self, request: Request) -> str:
        session = visitor(request).session
        return session.key if session is not None else ""

    def mine(self, request: Request) -> bool:
        """Whether this window is the one that enrols; no other sees the camera's picture."""
        collecting = self.draft is not None and self.capture.collection is not None
        return collecting and self.draft is not None and self.draft.session == self.session(request)

    def busy(self, request: Request) -> bool:
        """Whether another window is enrolling somebody just now."""
        return self.draft is not None and not self.mine(request) and self.capture.unwatched_s < BUSY_S

    def forget_abandoned(self) -> None:
        """Drop an enrolment that no page has shown for long: nobody's face stays in memory because a tab was closed."""
        if self.draft is not None and self.capture.unwatched_s > ABANDONED_AFTER_S:
            self.drop()
            self.abandoned = True

    def begin(self, *, photos: bool) -> None:
        self.refused = False
        self.capture.begin(photos=photos)

    def drop(self) -> None:
        self.draft = None
        self.capture.end()

    def operator(self, request: Request) -> str:
        session = visitor(request).session
        return session.label if session is not None else "enrolment"
