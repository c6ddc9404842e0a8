"""What the templates are given: the store's values in words, tones and icons. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from center.store.reading import Counts, StoredEvent
from center.web.sources import Look
from center.web.texts import SEVERITIES, UNKNOWN_LOOK
from pages.language import Words
from pages.rendering import shown


@dataclass(frozen=True, slots=True)
class Chip:
    """A small coloured fact."""

    tone: str
    icon: str
    text: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One total."""

    tone: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    """One event."""

    row: int
    time_ms: int
    certain: bool
    tone: str
    icon: str
    severity: str
    title: str
    site: str
    gateway: str
    simulated: bool
    subject: str
    reason: str
    place: str  # standard address and grid cell


def chips(look: Look, t: Words) -> list[Chip]:
    """How the district is, in two facts."""
    if look.counts is None:
        return []
    online = sum(gateway.online for gateway in look.gateways)
    every = len(look.gateways)
    if not every:
        first = Chip("gray", "away", t("center.online.none"))
    else:
        tone = "green" if online == every else "amber"
        first = Chip(tone, "linked" if online else "away", t("center.online", online=online, all=every))
    missing = look.counts.missing
    if missing:
        return [first, Chip("amber", "clock", t("center.incomplete", count=missing))]
    return [first, Chip("green", "check", t("center.complete"))]


def tiles(counts: Counts | None, t: Words) -> list[Tile]:
    """The totals. Duplicates must be 0: any is a fault of ours and red."""
    if counts is None:
        return []
    return [
        Tile("", t("counts.stored"), f"{counts.stored:,}"),
        Tile("amber" if counts.missing else "green", t("counts.missing"), f"{counts.missing:,}"),
        Tile("red" if counts.duplicated else "green", t("counts.duplicated"), f"{counts.duplicated:,}"),
        Tile("red" if counts.alarms else "", t("counts.alarms"), f"{counts.alarms:,}"),
    ]


def rows(events: Iterable[StoredEvent], t: Words) -> list[Row]:
    """Events in words."""
    return [_row(event, t) for event in events]


def _row(event: StoredEvent, t: Words) -> Row:
    tone, icon = SEVERITIES.get(event.severity, UNKNOWN_LOOK)
    word = event.data.get("reason") or event.data.get("cause")
    return Row(
        row=event.row,
        time_ms=event.time_ms,
        certain=event.clock_certain,
        tone=tone,
        icon=icon,
        severity=_known(t, "severity", event.severity),
        title=shown(t.pick(event.title_zh, event.title_en)),
        site=shown(f"{event.district} / {event.site}"),
        gateway=shown(event.gateway),
        simulated=event.simulated,
        subject=shown(event.subject),
        reason=_known(t, "reason", word) if isinstance(word, str) else "",
        place=shown(" · ".join(part for part in (event.address, event.grid) if part)),
    )


def _known(t: Words, area: str, word: str) -> str:
    """A machine word in the visitor's language; a word of a newer gateway is shown as it is."""
    key = f"{area}.{word}"
    return t(key) if key in t else shown(word)
