"""The pages /search and /coverage: the same questions as the API, for people, and without script."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from center.contract.catalogue import CATALOGUE
from center.contract.ranges import Range
from center.errors import SearchError, StoreError
from center.store.reading import SHOWN_RANGES, EpochRow
from center.web import api, showing
from center.web.asking import Asked, CursorText, asked
from center.web.sources import Reading
from center.web.texts import SEVERITIES
from pages.application import Pages

PAGE_ROWS = 50
MAX_EPOCHS = 500


def add(app: FastAPI, pages: Pages, reading: Reading, zone: ZoneInfo) -> None:
    """The routes."""

    @app.get("/search", include_in_schema=False)
    async def search(request: Request, filters: Annotated[Asked, Depends(asked)], cursor: CursorText = "") -> Response:
        t = pages.words(request)
        found, problem, status = api.Answered([], None), "", 200
        try:
            found = await api.find(reading, filters, order="newest", cursor=cursor, limit=PAGE_ROWS)
        except SearchError as e:
            problem, status = t("search.wrong", text=e), 422
        except StoreError:
            problem, status = t("events.broken"), 503
        given = {name: value for name, value in filters.fields.items() if value}
        return pages.page(
            request,
            "search.html",
            status,
            page="search",
            fields=filters.fields,
            some=filters.any,
            more=any(filters.fields[name] for name in ("site", "gateway", "subject", "grid", "from", "to")),
            types=[(one.type, t.pick(one.title_zh, one.title_en)) for one in CATALOGUE.values()],
            severities=list(SEVERITIES)[1:],
            zone=zone.key,
            problem=problem,
            rows=showing.rows(found.events, t),
            csv_url=f"/api/v1/events.csv?{urlencode(given)}",
            next_url=f"/search?{urlencode({**given, 'cursor': found.next})}" if found.next else None,
        )

    @app.get("/coverage", include_in_schema=False)
    async def coverage(request: Request) -> Response:
        t = pages.words(request)
        epochs: list[EpochRow] = []
        problem = ""
        try:
            epochs = list(await asyncio.to_thread(reading.coverage))[:MAX_EPOCHS]
        except StoreError:
            problem = t("events.broken")
        shown = [
            asdict(one)
            | {
                "missing_text": ranges_text(one.missing_ranges),
                "lost_text": ranges_text(one.lost_ranges),
            }
            for one in epochs
        ]
        return pages.page(
            request, "coverage.html", 503 if problem else 200, page="coverage", epochs=shown, problem=problem
        )


def ranges_text(ranges: tuple[Range, ...]) -> str:
    """`3, 7–9`; a full list may have been cut."""
    text = ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in ranges)
    return f"{text} …" if len(ranges) == SHOWN_RANGES else text
