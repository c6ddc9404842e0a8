"""Another system's webhook receiver: a real HTTP server that answers as a test tells it and keeps what came."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Arrived:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Says:
    """One answer. `hold` is waited for first: an endpoint that does not answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold: threading.Event | None = None


class Receiver:
    """`answer` is asked for each request; by default everything is taken."""

    def __init__(self, answer: Callable[[Arrived], Says] = lambda _: Says()) -> None:
        self.answer = answer
        self.arrived: list[Arrived] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if len(body) < int(self.headers["content-length"]):
                    self.close_connection = True  # the sender went away in the middle: that is no delivery
                    return
                came = Arrived(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                receiver.arrived.append(came)
                says = receiver.answer(came)
                if says.hold is not None:
                    says.hold.wait(20)
                try:
                    self.send_response(says.status)
                    for name, value in says.headers.items():
                        self.send_header(name, value)
                    if says.status not in (204, 304):
                        self.send_header("content-length", str(len(says.body)))
                    self.end_headers()
                    self.wfile.write(says.body)
                except OSError:  # the sender has gone
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
