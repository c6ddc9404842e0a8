"""The shapes of the REST answers, which also make the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel

from gateway.store.reading import RecordedEvent


class Label(BaseModel):
    """One text in both languages."""

    zh: str
    en: str


class Event(BaseModel):
    """One recorded event as a person on the site may see it."""

    seq: int
    time_ms: int
    clock_certain: bool
    type: str
    severity: str
    portal: str | None
    point: str | None
    title: Label
    credential: str | None
    reason: str | None
    reason_text: Label | None
    holder_name: dict[str, str] | None
    plate: str | None
    delivered: bool


class Events(BaseModel):
    """Events, newest first; `older` is where the next ones are, None at the end."""

    events: list[Event]
    older: str | None


class Done(BaseModel):
    """The operation happened; `text` says so in the visitor's language."""

    text: str


class ProblemDetail(BaseModel):
    """`code` is for programs, `text` is one sentence for people."""

    code: str
    text: str


class Problem(BaseModel):
    """Why a request was not carried out."""

    error: ProblemDetail


def event_of(event: RecordedEvent) -> Event:
    """A journal row as REST tells it."""
    told = event.reason_zh is not None and event.reason_en is not None
    return Event(
        seq=event.seq,
        time_ms=event.time_ms,
        clock_certain=event.clock_certain,
        type=event.type,
        severity=event.severity,
        portal=event.portal,
        point=event.point,
        title=Label(zh=event.title_zh, en=event.title_en),
        credential=event.credential,
        reason=event.reason,
        reason_text=Label(zh=event.reason_zh or "", en=event.reason_en or "") if told else None,
        holder_name=event.holder_name,
        plate=event.plate,
        delivered=event.acked,
    )
