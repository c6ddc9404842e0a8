"""The visits whose plate was not read, for the property manager: when, at which camera, why, and what was seen.

Read from the site's own list (`gateway.refused_plates`); shown to whoever has entered, and sent nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from gateway.errors import VisionError
from gateway.refused_plates import Row
from gateway.web.answers import Problem
from pages.application import Pages
from pages.language import Words
from pages.rendering import shown

PAGE_ROWS = 100
PATH = "/unread-plates"
Camera = Annotated[str, Query(pattern="^([a-z0-9-]{1,32})?$")]
Limit = Annotated[int, Query(ge=1, le=500)]


@dataclass(frozen=True, slots=True)
class UnreadList:
    """Where the list is and what gateway.toml says of it. read: blocking, raises VisionError; oldest first."""

    read: Callable[[], Sequence[Row]]
    cameras: tuple[str, ...] = ()
    rows: int = 0  # vision.refused_rows; 0: none is kept
    days: int = 1


NONE_KEPT = UnreadList(lambda: ())


@dataclass(frozen=True, slots=True)
class Shown:
    """One visit in words."""

    time_ms: int
    camera: str
    why: str
    text: str
    kind: str
    sure: str
    frames: int


class UnreadPlate(BaseModel):
    """One visit as REST tells it; `text` is the best that was seen, right or wrong."""

    time_ms: int
    camera: str
    why: str
    text: str
    kind: str
    score: float
    frames: int


class UnreadPlates(BaseModel):
    """Visits that came to nothing, newest first."""

    plates: list[UnreadPlate]


def words(row: Row, t: Words) -> Shown:
    """A row for people; codes of a newer vision process are shown as they are."""
    return Shown(
        time_ms=row.at_ms,
        camera=shown(row.camera),
        why=_known(t, "refusal", row.why),
        text=shown(row.text),
        kind=_known(t, "kind", row.kind) if row.text else "",
        sure=f"{min(1.0, max(0.0, row.score)):.0%}",
        frames=row.frames,
    )


def add(app: FastAPI, pages: Pages, kept: UnreadList) -> None:
    """The page and its REST path."""

    @app.get(PATH, include_in_schema=False)
    async def page(request: Request, camera: Camera = "") -> Response:
        t = pages.words(request)
        rows = await _newest(kept, camera, PAGE_ROWS + 1)
        values: dict[str, object] = {
            "broken": rows is None,
            "rows": [words(row, t) for row in (rows or [])[:PAGE_ROWS]],
            "more": len(rows or []) > PAGE_ROWS,
            "page_rows": PAGE_ROWS,
            "camera": camera,
            "cameras": kept.cameras,
            "kept": kept,
        }
        return pages.page(request, "unread.html", **values)

    @app.get(
        "/api/unread-plates",
        response_model=UnreadPlates,
        responses={401: {"model": Problem}, 503: {"model": Problem}},
        summary="Visits whose plate was not read, newest first",
    )
    async def rest(request: Request, camera: Camera = "", limit: Limit = 50) -> Response | UnreadPlates:
        rows = await _newest(kept, camera, limit)
        if rows is None:
            return pages.problem(request, 503, "unavailable", pages.words(request)("unread.broken"))
        told = [
            UnreadPlate(
                time_ms=row.at_ms,
                camera=row.camera,
                why=row.why,
                text=row.text,
                kind=row.kind,
                score=row.score,
                frames=row.frames,
            )
            for row in rows
        ]
        return UnreadPlates(plates=told)


async def _newest(kept: UnreadList, camera: str, most: int) -> list[Row] | None:
    """At most `most`, newest first; None where the list cannot be read."""
    try:
        rows = await asyncio.to_thread(kept.read)
    except VisionError:
        return None
    wanted = [row for row in rows if camera in ("", row.camera)]
    return sorted(wanted, key=lambda row: -row.at_ms)[:most]


def _known(t: Words, area: str, word: str) -> str:
    key = f"{area}.{word}"
    return t(key) if key in t else shown(word)
