"""The one gate every request passes, as plain ASGI so that streams flow through it. Denies by default.

In this order: Host, method, size, Origin, session, CSRF; then the page. Every answer gets the security headers, also
the guard's own refusals and the answer to a fault in a page.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import checks, language
from pages.sessions import Session, Sessions
from runtime import log

MAX_BODY_BYTES = 16 * 1024  # every form and action of ours is far smaller
BODY_WITHIN_S = 10.0
PUBLIC_PATHS = frozenset({"/enter", "/language"})
PUBLIC_FOLDER = "/static/"
logger = log.get("pages")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: `request.state.visitor`. `csrf` is what this visitor's unsafe requests must carry."""

    session: Session | None
    csrf: str
    language: str


class _RefusedError(Exception):
    """The guard's own way out; never leaves this module."""

    def __init__(self, status: int, code: str, **values: object) -> None:
        super().__init__(code)
        self.status, self.code, self.values = status, code, values


def session_cookie(name: str, host: str) -> str:
    """Cookies do not know ports, so pages on one host need names of their own: `zhian-gateway-8080`."""
    split = checks.host_and_port(host)
    return f"zhian-{name}-{split[1] if split else 0}"


class Guard:
    """ASGI middleware around one page's application.

    now_s: a monotonic clock. refuse: builds the answer to a refusal in the visitor's language.
    open_paths: exact paths that may be read without a session, such as /health.
    large_paths: exact paths whose body may have more than MAX_BODY_BYTES, with how many; the CSRF token is in a header.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        name: str,
        sessions: Sessions,
        refuse: Callable[..., Response],
        now_s: Callable[[], float] = time.monotonic,
        open_paths: frozenset[str] = frozenset(),
        large_paths: Mapping[str, int] | None = None,
    ) -> None:
        self._open_paths = open_paths
        self._large_paths = large_paths or {}
        self._app = app
        self._name = name
        self._sessions = sessions
        self._refuse = refuse
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # no page of ours speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        visitor, fresh = self._visitor(request)
        scope.setdefault("state", {})["visitor"] = visitor
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._set_headers(MutableHeaders(scope=message), request, visitor if fresh else None)
            await send(message)

        try:
            try:
                body = await self._admit(request, visitor)
            except _RefusedError as e:
                answer = self._answer(request, e)
                await answer(scope, receive, send_guarded)
                return
            await self._app(scope, receive if body is None else _replay(body, receive), send_guarded)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception:  # the supervisor of requests: a fault in one is logged, answered, and ends there
            logger.exception("request failed", path=request.url.path)
            if started:
                raise
            await self._refuse(request, 500, "fault")(scope, receive, send_guarded)

    def _visitor(self, request: Request) -> tuple[Visitor, bool]:
        """Who asks, and whether a form cookie must be set (nobody has entered and there is none yet)."""
        sent = checks.cookies(request.headers.get("cookie", ""))
        cookie = session_cookie(self._name, request.headers.get("host", ""))
        spoken = language.choose(sent.get(language.COOKIE), request.headers.get("accept-language", ""))
        session = self._sessions.find(sent.get(cookie), self._now_s())
        if session is not None:
            return Visitor(session, session.csrf, spoken), False
        form = sent.get(f"{cookie}-form", "")
        usable = 20 <= len(form) <= 100
        return Visitor(None, form if usable else secrets.token_urlsafe(32), spoken), not usable

    async def _admit(self, request: Request, visitor: Visitor) -> bytes | None:
        """The body of an unsafe request, None for a safe one. Raises _RefusedError."""
        host = request.headers.get("host", "")
        if not checks.host_is_ours(host):
            raise _RefusedError(403, "host")
        path = request.url.path
        unsafe = request.method in checks.UNSAFE_METHODS
        if not unsafe and request.method not in checks.SAFE_METHODS:
            raise _RefusedError(405, "method")
        if unsafe and not checks.origin_is_ours(request.headers.get("origin"), host):
            raise _RefusedError(403, "origin")
        public = path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDER) or (path in self._open_paths and not unsafe)
        if visitor.session is None and not public:
            raise _RefusedError(401, "session")
        if not unsafe:
            return None
        headers = {k.lower(): v for k, v in request.headers.items()}
        limit = self._large_paths.get(path)
        if limit is not None and not checks.same_secret(checks.csrf_sent(headers, b""), visitor.csrf):
            raise _RefusedError(403, "csrf")  # before so much is read
        body = await _read(request, limit or MAX_BODY_BYTES)
        if not checks.same_secret(checks.csrf_sent(headers, body), visitor.csrf):
            raise _RefusedError(403, "csrf")
        return body

    def _answer(self, request: Request, refused: _RefusedError) -> Response:
        if refused.code == "session" and request.method in checks.SAFE_METHODS and wants_page(request):
            return RedirectResponse("/enter", status_code=303)
        if refused.code not in ("session", "csrf"):
            logger.info("refused", code=refused.code, method=request.method, path=request.url.path)
        return self._refuse(request, refused.status, refused.code, **refused.values)

    def _set_headers(self, headers: MutableHeaders, request: Request, unknown: Visitor | None) -> None:
        for name, value in checks.HEADERS.items():
            headers[name] = value
        headers.setdefault("cache-control", "no-store")
        path = request.url.path
        if unknown is not None and path not in self._open_paths and not path.startswith(PUBLIC_FOLDER):
            cookie = session_cookie(self._name, request.headers.get("host", ""))
            headers.append("set-cookie", f"{cookie}-form={unknown.csrf}; Path=/; HttpOnly; SameSite=Strict")


def wants_page(request: Request) -> bool:
    """Whether a person navigates (an error is a page), rather than a program asks (an error is JSON)."""
    return not request.url.path.startswith(("/api/", "/live", PUBLIC_FOLDER))


async def _read(request: Request, most_bytes: int) -> bytes:
    """The whole body, within limits of size and time."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > most_bytes:
        raise _RefusedError(413, "too-large", limit=most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise _RefusedError(413, "too-large", limit=most_bytes)
    except TimeoutError:
        raise _RefusedError(408, "slow") from None
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A receive channel that gives the body that was read already, then what the client does next."""
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return dict(await receive())
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
