"""Run a page process: bind loopback, say where it listens, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from pages.application import Pages
from pages.checks import LOOPBACK_NAMES
from pages.errors import PageError
from runtime import log, systemd

MAX_CONNECTIONS = 100  # beyond these, 503
STOP_WITHIN_S = 5
logger = log.get("pages")


async def serve(app: FastAPI, *, host: str, port: int, notify_systemd: bool = True) -> None:
    """Serve `app` (made by application.create) until cancelled. port 0 = any free one (it is printed).

    Prints `PAGE <name> http://<host>:<port>/ token <TOKEN>` on stdout once it answers, and again with each new token.
    notify_systemd: False where the caller's process has more to start than this page.
    Raises PageError: a host that is not loopback, or a port that is taken.
    """
    pages: Pages = app.state.pages
    listener = bind(pages.name, host, port)
    where = _address(host, listener.getsockname()[1])

    def announce(token: str) -> None:
        sys.stdout.write(f"PAGE {pages.name} {where} token {token}\n")
        sys.stdout.flush()

    def started() -> None:
        pages.login.announce = announce
        announce(pages.login.token)
        if notify_systemd:
            systemd.ready(f"{pages.name} page at {where}")

    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOP_WITHIN_S,
            h11_max_incomplete_event_size=16 * 1024,
        ),
        started,
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(running)
    finally:
        if notify_systemd:
            systemd.stopping()
        pages.stopping.set()
        server.should_exit = True
        await running
        listener.close()


def bind(name: str, host: str, port: int) -> socket.socket:
    """A bound listening socket. Raises PageError with one sentence."""
    if host not in LOOPBACK_NAMES:
        raise PageError(
            f"{name} page: host {host!r} is not loopback; use 127.0.0.1, ::1 or localhost, "
            "and reach it from elsewhere through an SSH tunnel until accounts and TLS are set up"
        )
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1" if host == "localhost" else host, port))
        # Listen at once: two processes may bind a port with SO_REUSEADDR, only one may listen on it.
        listener.listen(128)
    except OSError as e:
        listener.close()
        if e.errno == errno.EADDRINUSE:
            text = f"port {port} on {host} is taken by another program; stop that one or set another [web] port"
        else:
            text = f"port {port} on {host} cannot be opened ({e.strerror}); set another [web] port"
        raise PageError(f"{name} page: {text}") from None
    listener.setblocking(False)
    return listener


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to our own process and says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to runtime.stop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()
