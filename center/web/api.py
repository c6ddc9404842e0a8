"""The search API, /api/v1: for programs and for the search page. Documented by /api/openapi.json."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from center.contract.cloudevents import rfc3339
from center.egress.document import document
from center.egress.export import csv_lines
from center.errors import SearchError, StoreError
from center.store.reading import EpochRow, StoredEvent
from center.store.search import Cursor, decode_cursor, encode_cursor
from center.web.answers import Label, Problem
from center.web.asking import Asked, CursorText, Order, asked
from center.web.sources import Reading
from pages.application import Pages

MAX_LIMIT = 1000
MAX_EXPORT_EVENTS = 100_000  # of one file from the page; the command has no such limit
PROBLEMS: dict[int | str, dict[str, object]] = {
    401: {"model": Problem}, 422: {"model": Problem}, 503: {"model": Problem},
}  # fmt: skip
Filters = Annotated[Asked, Depends(asked)]


class CloudEvent(BaseModel):
    """An event with the attributes of CloudEvents 1.0, and its title and when the center received it."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: str
    subject: str
    datacontenttype: str
    severity: str
    clock: Literal["synced", "uncertain"]
    address: str | None = None
    grid: str | None = None
    simulated: bool = False
    data: dict[str, Any]
    title: Label
    received: str


class Found(BaseModel):
    """Events in the order asked for; `next` is the cursor with which to ask for more, None at the end."""

    events: list[CloudEvent]
    next: str | None


class Answered:
    """One page of an answer: the events, and the cursor of the next."""

    def __init__(self, events: list[StoredEvent], next_: str | None) -> None:
        self.events = events
        self.next = next_


async def find(reading: Reading, question: Asked, *, order: str, cursor: str, limit: int) -> Answered:
    """What the store answers. Raises SearchError for a wrong question, StoreError where it cannot be read."""
    search = question.search()
    oldest_first = order == "oldest"
    place: Cursor | None = None
    if cursor:
        place = decode_cursor(cursor, search)
        oldest_first = place.oldest_first

    def ask() -> Answered:
        if place is not None and reading.run_of(place.row) != place.run:
            raise SearchError(
                "cursor: the store was put back to an earlier state since that answer; begin without a cursor"
            )
        # One more than asked for tells whether there is a next page.
        edge = {"after_row" if oldest_first else "before_row": place.row if place else None}
        found = list(reading.search(search, limit=limit + 1, oldest_first=oldest_first, **edge))
        events = found[:limit]
        # Who reads from oldest to newest goes on where it ended, also when nothing more is there yet.
        if len(found) <= limit and not oldest_first:
            return Answered(events, None)
        at_end = events[-1].row if events else (place.row if place else 0)
        return Answered(events, encode_cursor(Cursor(at_end, reading.run_of(at_end), oldest_first), search))

    return await asyncio.to_thread(ask)


def add(app: FastAPI, pages: Pages, reading: Reading) -> None:
    """The routes."""

    def refused(request: Request, e: StoreError) -> Response:
        if isinstance(e, SearchError):
            return pages.problem(request, 422, "invalid", str(e))
        return pages.problem(request, 503, "unavailable", pages.words(request)("events.broken"))

    @app.get("/api/v1/events", response_model=Found, responses=PROBLEMS, summary="Search stored events")
    async def events(
        request: Request,
        filters: Filters,
        order: Order = "newest",
        cursor: CursorText = "",
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT - 1)] = 100,
    ) -> Response | Found:
        try:
            found = await find(reading, filters, order=order, cursor=cursor, limit=limit)
        except StoreError as e:
            return refused(request, e)
        return Found(events=[_cloud_event(event) for event in found.events], next=found.next)

    @app.get(
        "/api/v1/events.csv",
        responses={**PROBLEMS, 200: {"content": {"text/csv": {}}}},
        response_class=Response,
        summary="The same as a CSV file, oldest first",
    )
    async def file(request: Request, filters: Filters) -> Response:
        try:
            search = filters.search()
            await asyncio.to_thread(
                reading.search, search, limit=1
            )  # a store that is away is an answer, not half a file
        except StoreError as e:
            return refused(request, e)
        name = "attachment; filename=zhian-events.csv"
        return StreamingResponse(
            csv_lines(reading.every(search, MAX_EXPORT_EVENTS)),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": name},
        )

    @app.get(
        "/api/v1/coverage",
        response_model=list[EpochRow],
        responses=PROBLEMS,
        summary="What is here of each epoch of each gateway, and which numbers are missing or lost",
    )
    async def coverage(request: Request, incomplete: bool = False) -> Response | list[EpochRow]:
        try:
            return list(await asyncio.to_thread(reading.coverage, incomplete=incomplete))
        except StoreError as e:
            return refused(request, e)


def _cloud_event(event: StoredEvent) -> CloudEvent:
    title = Label(zh=event.title_zh, en=event.title_en)
    return CloudEvent(**document(event), title=title, received=rfc3339(event.received_ms))
