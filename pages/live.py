"""Live parts of a page: server-sent events that carry rendered fragments, so that there is one rendering of each part.

A stream is a loop over `Shared.get()`, the latest value that all open pages share: no queue, nothing to overflow, and
nothing is looked at while nobody looks. A slow reader skips values and never falls behind.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
BEAT_S = 10.0  # static/zhian.js gives a silent stream up after BEAT_LIMIT_MS
LOOK_EVERY_S = 0.5


class Shared(Generic[T]):
    """One look at a source, shared by everybody who asks within `fresh_s`. Errors of `look` propagate to each."""

    def __init__(self, look: Callable[[], Awaitable[T]], fresh_s: float = LOOK_EVERY_S * 0.9) -> None:
        self._look = look
        self._fresh_s = fresh_s
        self._lock = asyncio.Lock()
        self._taken_s = float("-inf")
        self._value: T | None = None

    async def get(self) -> T:
        """The latest value, at most `fresh_s` old."""
        async with self._lock:
            if self._value is None or time.monotonic() - self._taken_s >= self._fresh_s:
                self._value = await self._look()
                self._taken_s = time.monotonic()
            return self._value

    def stale(self) -> None:
        """The next `get` looks anew: something was just done."""
        self._taken_s = float("-inf")


@dataclass(frozen=True, slots=True)
class Rows:
    """Table rows for the top of the list with this element id; `keep` rows stay. `fresh` empties the list first."""

    target: str
    html: str
    keep: int
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """What changed: rendered fragments by element id, rows, and where to go on after a lost connection."""

    fragments: Mapping[str, str] = field(default_factory=dict)
    rows: Rows | None = None
    cursor: int | None = None

    def __bool__(self) -> bool:
        return bool(self.fragments) or self.rows is not None


def encode(update: Update) -> str:
    """One server-sent event (HTML standard, 9.2). JSON keeps it on one line whatever a device's text holds."""
    data: dict[str, object] = {"fragments": dict(update.fragments)}
    if update.rows is not None:
        rows = update.rows
        data["rows"] = {"target": rows.target, "html": rows.html, "keep": rows.keep, "fresh": rows.fresh}
    lines = ["event: update", f"data: {json.dumps(data, ensure_ascii=False)}"]
    if update.cursor is not None:
        lines.insert(0, f"id: {update.cursor}")
    return "\n".join(lines) + "\n\n"


class Changed:
    """Keeps what one stream has sent, so that only fragments that differ travel."""

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}

    def only(self, fragments: Mapping[str, str]) -> dict[str, str]:
        """The fragments that this stream has not sent in this form yet."""
        new = {name: html for name, html in fragments.items() if self._sent.get(name) != html}
        self._sent.update(new)
        return new


async def stream(
    updates: Callable[[], Awaitable[Update]], open_: Callable[[], bool], stopping: asyncio.Event
) -> AsyncIterator[str]:
    """The text of a stream: an update whenever there is one, a beat every BEAT_S, until the visitor may not look.

    open_: whether the visitor's session is still open. Ends within LOOK_EVERY_S of `stopping`.
    """
    yield "retry: 2000\n\n"
    beat_at = time.monotonic() + BEAT_S
    while open_() and not stopping.is_set():
        if update := await updates():
            yield encode(update)
        if time.monotonic() >= beat_at:
            yield "event: beat\ndata: {}\n\n"
            beat_at = time.monotonic() + BEAT_S
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await stopping.wait()
        except TimeoutError:
            continue
    yield "event: ended\ndata: {}\n\n"


def cursor(last_event_id: str | None, query: str | None) -> int:
    """Where a (re)connecting stream goes on: Last-Event-ID, else the query's own; 0 = from the start."""
    for text in (last_event_id, query):
        if text and text.isdigit() and len(text) <= 16:
            return int(text)
    return 0
