"""Make the FastAPI application of a page process: the kit's own routes, error answers and the guard around all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from math import ceil
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Scope

from pages import checks, language, live
from pages.guard import Guard, Visitor, session_cookie, wants_page
from pages.language import Texts, Words
from pages.login import Answer, Login, new_token, token_from_environment
from pages.rendering import KIT, Renderer
from pages.sessions import Sessions
from pages.texts import TEXTS

MAX_STREAMS = 32
Clock = Callable[[], float]


@dataclass
class Pages:
    """What a page process asks of the kit: `app.state.pages`."""

    name: str
    renderer: Renderer
    login: Login
    sessions: Sessions
    now_s: Clock
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0

    def words(self, request: Request) -> Words:
        """The texts in the visitor's language."""
        return self.renderer.words[visitor(request).language]

    def page(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """A whole page."""
        who = visitor(request)
        here = checks.local_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        html = self.renderer.html(
            template, who.language, csrf=who.csrf, entered=who.session is not None, here=here, **values
        )
        return HTMLResponse(html, status_code=status, headers={"content-language": who.language})

    def stream(self, request: Request, updates: Callable[[], Awaitable[live.Update]]) -> Response:
        """A stream of updates for this visitor, until the session ends or the process stops."""
        who = visitor(request)
        key = who.session.key if who.session else None
        if self.streams >= MAX_STREAMS:
            return self.refuse(request, 503, "streams")

        async def text() -> AsyncIterator[str]:
            self.streams += 1
            try:
                async for part in live.stream(
                    updates, lambda: self.sessions.find(key, self.now_s()) is not None, self.stopping
                ):
                    yield part
            finally:
                self.streams -= 1

        return StreamingResponse(text(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    def refuse(self, request: Request, status: int, code: str, **values: object) -> Response:
        """The answer to a request that is not carried out: a page for a person, JSON for a program."""
        words = self.words(request)
        return self.problem(request, status, code, words(f"kit.error.{code}", **values))

    def problem(self, request: Request, status: int, code: str, text: str) -> Response:
        """Like `refuse`, with a sentence of the page's own."""
        if wants_page(request):
            return self.page(request, "error.html", status, text=text)
        return JSONResponse({"error": {"code": code, "text": text}}, status_code=status)


def visitor(request: Request) -> Visitor:
    """Who asks; the guard has put it there."""
    found: Visitor = request.state.visitor
    return found


def create(
    name: str,
    *,
    title: tuple[str, str],
    templates: Path,
    texts: Texts,
    zone: tzinfo,
    assets: Path | None = None,
    now_s: Clock = time.monotonic,
    open_paths: frozenset[str] = frozenset(),
    large_paths: Mapping[str, int] | None = None,
) -> FastAPI:
    """The application of a page process, with log-in and guard in place; add routes to it, then run serving.serve.

    name: in the printed line and the cookie's name. title: (Chinese, English), of every page.
    templates: the folder of the page's own templates; assets: of its own static files (`asset("name")` in templates).
    zone: the time zone in which times are shown.
    open_paths: exact paths that answer GET without a session (Host is still checked): they say nothing of people.
    large_paths: exact paths that take a larger body, with its most bytes; the CSRF token comes in the header.
    Raises PageError where ZHIAN_PAGE_TOKEN is too short.
    """
    texts = {**TEXTS, "page.title": title, **texts}
    pages = Pages(
        name=name,
        renderer=Renderer([templates], texts, zone, assets),
        login=Login(token_from_environment() or new_token()),
        sessions=Sessions(),
        now_s=now_s,
    )
    # FastAPI's own documentation pages load scripts from elsewhere; the OpenAPI document stays, behind the log-in.
    app = FastAPI(title=title[1], docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.pages = pages
    if assets is not None:
        app.mount("/static/page", _Assets(directory=assets))
    app.mount("/static", _Assets(directory=KIT / "static"))
    _add_entrance(app, pages)
    _add_errors(app, pages)
    app.add_middleware(
        Guard,
        name=name,
        sessions=pages.sessions,
        refuse=pages.refuse,
        now_s=now_s,
        open_paths=open_paths,
        large_paths=large_paths,
    )
    return app


def _add_entrance(app: FastAPI, pages: Pages) -> None:
    @app.get("/enter", include_in_schema=False)
    async def show(request: Request) -> Response:
        if visitor(request).session is not None:
            return RedirectResponse("/", status_code=303)
        sent = checks.cookies(request.headers.get("cookie", ""))
        ended = session_cookie(pages.name, request.headers["host"]) in sent
        return pages.page(request, "enter.html", problem=pages.words(request)("kit.enter.ended") if ended else None)

    @app.post("/enter", include_in_schema=False)
    async def enter(request: Request, token: Annotated[str, Form()] = "") -> Response:
        words = pages.words(request)
        answer = pages.login.enter(token, pages.now_s())
        if answer is Answer.WAIT:
            wait_s = ceil(pages.login.wait_s(pages.now_s()))
            refused = pages.page(request, "enter.html", 429, problem=words("kit.enter.wait", seconds=wait_s))
            refused.headers["retry-after"] = str(wait_s)
            return refused
        if answer is Answer.WRONG:
            return pages.page(request, "enter.html", 401, problem=words("kit.enter.wrong"))
        session = pages.sessions.begin(pages.now_s())
        entered = RedirectResponse("/", status_code=303)
        cookie = session_cookie(pages.name, request.headers["host"])
        entered.set_cookie(cookie, session.key, httponly=True, samesite="strict", path="/")
        entered.delete_cookie(f"{cookie}-form", path="/", httponly=True, samesite="strict")
        return entered

    @app.post("/leave", include_in_schema=False)
    async def leave(request: Request) -> Response:
        session = visitor(request).session
        if session is not None:
            pages.sessions.end(session.key)
        left = RedirectResponse("/enter", status_code=303)
        left.delete_cookie(session_cookie(pages.name, request.headers["host"]), path="/", httponly=True)
        return left

    @app.post("/language", include_in_schema=False)
    async def speak(to: Annotated[str, Form()] = "", back: Annotated[str, Form()] = "/") -> Response:
        chosen = RedirectResponse(checks.local_path(back), status_code=303)
        if to in language.LANGUAGES:
            chosen.set_cookie(language.COOKIE, to, max_age=365 * 86400, httponly=True, samesite="strict", path="/")
        return chosen


def _add_errors(app: FastAPI, pages: Pages) -> None:
    codes = {404: "not-found", 405: "method"}

    @app.exception_handler(HTTPException)
    async def refused(request: Request, e: HTTPException) -> Response:
        return pages.refuse(request, e.status_code, codes.get(e.status_code, "refused"))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, e: RequestValidationError) -> Response:
        where = e.errors()[0]["loc"] if e.errors() else ("request",)
        return pages.refuse(request, 422, "invalid", field=".".join(str(step) for step in where)[:80])


class _Assets(StaticFiles):
    """The kit's files. Their URLs carry their content's hash, so browsers keep them for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if answer.status_code in (200, 304) and b"v=" in scope.get("query_string", b""):
            answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer
