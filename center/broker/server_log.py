"""nats-server's own log lines, passed on without client ids, and no faster than a person could read them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from time import monotonic

from structlog.typing import FilteringBoundLogger

# "[pid] 2026/11/22 01:27:13.436057 [INF] text"
_LINE = re.compile(r"^\[\d+\] \S+ \S+ \[(?P<level>[A-Z]{3})\] ?(?P<text>.*)$")
# Client ids are secrets (who has one can displace its owner), and the server prints them in quotes.
_QUOTED_ID = re.compile(r'- \\?"(?:[^"\\]|\\.)*\\?"|client ID "[^"]*"')
# The generated file is readable by its owner only, and a hash would need a dependency of its own.
_LISTENING = "Listening for MQTT clients"
_OWN_LISTENER = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)$")
_EXPECTED = "Plaintext passwords detected"
_PASSED_ON = {"WRN": "warning", "ERR": "error", "FTL": "error"}
MAX_LINES = 30
WINDOW_S = 10.0


def redacted(text: str) -> str:
    """The line without client ids."""
    return _QUOTED_ID.sub("- (client id)", text)


class ServerLog:
    """Reads the server's stderr to its end. At most MAX_LINES warnings per WINDOW_S are logged; the rest is counted."""

    def __init__(self, logger: FilteringBoundLogger, clock: Callable[[], float] = monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._window_end = 0.0
        self._lines = 0
        self._last = ""
        self.listening = False  # MQTT clients may connect
        self.own_port = 0  # of the plain NATS listener; 0: not yet known

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Until end of file. A line longer than the reader's limit is dropped whole: a piece of it could be shown
        without what tells `redacted` that it is a client id."""
        too_long = False
        while True:
            try:
                raw = await stream.readuntil(b"\n")
            except asyncio.LimitOverrunError as e:
                await stream.readexactly(e.consumed)
                too_long = True
                continue
            except asyncio.IncompleteReadError as e:
                raw = e.partial
            if raw and not too_long:
                self.line(raw.decode("utf-8", "replace").rstrip())
            if not raw.endswith(b"\n"):
                return
            too_long = False

    def line(self, text: str) -> None:
        """One line of the server."""
        parsed = _LINE.match(text)
        if parsed and parsed["text"].startswith(_LISTENING):
            self.listening = True
        if parsed and not self.own_port and (own := _OWN_LISTENER.match(parsed["text"])):
            self.own_port = int(own[1])
        level, said = (parsed["level"], redacted(parsed["text"])) if parsed else ("ERR", redacted(text))
        if level not in _PASSED_ON or not said or said.startswith(_EXPECTED):
            return
        self._last = said
        now = self._clock()
        if now >= self._window_end:
            if self._lines > MAX_LINES:
                self._logger.warning("nats-server said more than is shown", not_shown=self._lines - MAX_LINES)
            self._window_end, self._lines = now + WINDOW_S, 0
        self._lines += 1
        if self._lines <= MAX_LINES:
            getattr(self._logger, _PASSED_ON[level])("nats-server", said=said)

    def last_words(self) -> str:
        """`: "the last warning or error"` for an error's text, or nothing."""
        return f': "{self._last[:200]}"' if self._last else ""
