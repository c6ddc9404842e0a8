"""The shapes of the REST answers, which also make the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from center.store.reading import StoredEvent


class Label(BaseModel):
    """One text in both languages."""

    zh: str
    en: str


class Event(BaseModel):
    """One stored event. `row` rises in the order of storing; identity is (gateway, epoch, seq)."""

    row: int
    district: str
    site: str
    gateway: str
    epoch: str
    seq: int
    time_ms: int
    received_ms: int
    clock_certain: bool
    type: str
    severity: str
    subject: str
    title: Label
    data: dict[str, Any]
    simulated: bool


class Events(BaseModel):
    """Events, newest first; `older` is where the next ones are, None at the end."""

    events: list[Event]
    older: str | None


class ProblemDetail(BaseModel):
    """`code` is for programs, `text` is one sentence for people."""

    code: str
    text: str


class Problem(BaseModel):
    """Why a request was not carried out."""

    error: ProblemDetail


def event_of(event: StoredEvent) -> Event:
    """A stored row as REST tells it."""
    return Event(
        row=event.row,
        district=event.district,
        site=event.site,
        gateway=event.gateway,
        epoch=event.epoch,
        seq=event.seq,
        time_ms=event.time_ms,
        received_ms=event.received_ms,
        clock_certain=event.clock_certain,
        type=event.type,
        severity=event.severity,
        subject=event.subject,
        title=Label(zh=event.title_zh, en=event.title_en),
        data=event.data,
        simulated=event.simulated,
    )
