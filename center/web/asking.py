"""What a search on the page and in the API may ask, as query parameters. Empty means any: forms send empty fields."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query

from center.errors import SearchError
from center.store.search import MAX_CURSOR_CHARACTERS, MAX_TEXT_CHARACTERS, Search
from center.web.zone import ZONE

Segment = Annotated[str, Query(pattern="^([a-z0-9-]{1,32})?$")]
Code = Annotated[str, Query(pattern="^([A-Za-z0-9-]{1,40})?$")]
Type = Annotated[str, Query(pattern=r"^([a-z-]+\.)*[a-z-]*$", max_length=80, description="a type, or `zhian.access.`")]
AtLeast = Annotated[Literal["", "info", "notice", "warning", "alarm", "life-safety"], Query()]
Moment = Annotated[str, Query(max_length=40, description="RFC 3339, or a date: its midnight in China")]
Text = Annotated[str, Query(max_length=MAX_TEXT_CHARACTERS, description="part of a title, in either language")]
CursorText = Annotated[str, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next` of the answer before")]
Order = Annotated[Literal["newest", "oldest"], Query(description="by the order of storing")]


def asked(
    type: Type = "",
    severity: AtLeast = "",
    district: Segment = "",
    site: Segment = "",
    gateway: Segment = "",
    subject: Segment = "",
    grid: Code = "",
    address: Code = "",
    text: Text = "",
    begin: Annotated[str, Query(alias="from", max_length=40, description="the event's time, included")] = "",
    end: Annotated[str, Query(alias="to", max_length=40, description="the event's time, excluded")] = "",
) -> Asked:
    """FastAPI's dependency: the fields as they came."""
    return Asked(
        {
            "type": type, "severity": severity, "district": district, "site": site, "gateway": gateway,
            "subject": subject, "grid": grid, "address": address, "text": text.strip(), "from": begin, "to": end,
        }
    )  # fmt: skip


class Asked:
    """`fields` by the URL's names, for links and forms; `search()` for the store."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields

    @property
    def any(self) -> bool:
        """Whether anything is left out."""
        return any(self.fields.values())

    def search(self) -> Search:
        """Raises SearchError where a time is none."""
        given = {name: value or None for name, value in self.fields.items()}
        return Search(
            type=given["type"],
            severity_at_least=given["severity"],
            district=given["district"],
            site=given["site"],
            gateway=given["gateway"],
            subject=given["subject"],
            from_ms=moment_ms(given["from"], "from"),
            to_ms=moment_ms(given["to"], "to"),
            grid=given["grid"],
            address=given["address"],
            text=given["text"],
        )


def moment_ms(text: str | None, name: str) -> int | None:
    """An RFC 3339 time or a date as milliseconds; without an offset it is China's. Raises SearchError."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a `+` of an offset arrives as a space if not escaped
        return int((moment if moment.tzinfo else moment.replace(tzinfo=ZONE)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise SearchError(
            f"{name}: expected a time such as 2026-01-31T08:00:00+08:00 or a date, got {text[:40]!r}"
        ) from None
