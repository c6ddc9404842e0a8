"""What the templates are given: core's and the journal's values in words, tones and icons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.model import PortalMode, PortalStatus, SiteStatus
from gateway.store.reading import RecordedEvent
from gateway.web.texts import LOOKS, MODE_TONES, SEVERITIES, UNKNOWN_LOOK
from pages.language import Words
from pages.rendering import shown


@dataclass(frozen=True, slots=True)
class Chip:
    """A small coloured fact."""

    tone: str
    icon: str
    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One portal."""

    name: str
    label: str
    tone: str
    icon: str
    state: str
    since_ms: int
    online: bool
    known: str  # the last state known of an offline portal, else ""
    last: str
    mode: str  # in words, "" for the ordinary one
    mode_tone: str
    fire: bool
    emergency: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One event."""

    seq: int
    time_ms: int
    certain: bool
    tone: str
    icon: str
    severity: str
    what: str
    where: str
    who: str
    reason: str
    plate: str


def chips(status: SiteStatus | None, t: Words) -> list[Chip]:
    """How the gateway is, most important first."""
    if status is None:
        return [Chip("red", "core", t("site.core.away"))]
    found = []
    if status.fire:
        found.append(Chip("red", "alert", t("site.fire")))
    if status.lockdown:
        found.append(Chip("amber", "locked", t("site.lockdown")))
    if not status.storage_ok:
        found.append(Chip("red", "disk", t("site.storage.broken")))
    if status.clock == "uncertain":
        found.append(Chip("amber", "clock", t("site.clock.uncertain"), t("site.clock.uncertain.why")))
    else:
        found.append(Chip("green", "clock", t("site.clock.certain")))
    found.append(_uplink(status, t))
    if status.vision_online:
        found.append(Chip("green", "eye", t("site.vision.online")))
    else:
        found.append(Chip("amber", "eye", t("site.vision.offline")))
    if status.storage_ok:
        found.append(Chip("green", "disk", t("site.storage.ok")))
    return found


def _uplink(status: SiteStatus, t: Words) -> Chip:
    uplink = status.uplink
    backlog = max(0, uplink.made - uplink.acked_upto)
    if uplink.mode == "none":
        return Chip("gray", "away", t("site.uplink.none"))
    if not uplink.connected:
        return Chip("amber", "away", t("site.uplink.lost", count=backlog), t("site.uplink.lost.why"))
    if backlog:
        return Chip("blue", "linked", t("site.uplink.behind", count=backlog))
    return Chip("green", "linked", t("site.uplink.all"))


def cards(portals: Iterable[PortalStatus], t: Words) -> list[Card]:
    """The portals in core's order."""
    return [_card(portal, t) for portal in portals]


def _card(portal: PortalStatus, t: Words) -> Card:
    # A forced door stays in sight even when its device goes away: the last thing known is the alarm.
    state = portal.state if portal.online or portal.state in ("forced", "held") else "offline"
    tone, icon = LOOKS.get(state, UNKNOWN_LOOK)
    return Card(
        name=portal.name,
        label=t.label(portal.label) or portal.name,
        tone=tone,
        icon=icon,
        state=_known(t, "state", state),
        since_ms=portal.state_since_ms,
        online=portal.online,
        known="" if state == portal.state else _known(t, "state", portal.state),
        last=t("doors.last.none") if portal.last_reason is None else _known(t, "reason", portal.last_reason),
        mode="" if portal.mode is PortalMode.LOCKED else _known(t, "mode", portal.mode),
        mode_tone=MODE_TONES.get(portal.mode, "blue"),
        fire=portal.fire,
        emergency=portal.mode is PortalMode.EMERGENCY_OPEN,
    )


def rows(events: Iterable[RecordedEvent], labels: Mapping[str, Mapping[str, str]], t: Words) -> list[Row]:
    """Events in words; `labels` are the portals' names for people."""
    return [_row(event, labels, t) for event in events]


def _row(event: RecordedEvent, labels: Mapping[str, Mapping[str, str]], t: Words) -> Row:
    tone, icon = SEVERITIES.get(event.severity, UNKNOWN_LOOK)
    where = event.portal or event.point or ""
    who = t.label(event.holder_name) if event.holder_name else ""
    credential = _known(t, "credential", event.credential) if event.credential else ""
    if credential:
        who = f"{who or t('events.nobody')} · {credential}"
    return Row(
        seq=event.seq,
        time_ms=event.time_ms,
        certain=event.clock_certain,
        tone=tone,
        icon=icon,
        severity=_known(t, "severity", event.severity),
        what=t.pick(event.title_zh, event.title_en),
        where=shown(t.label(labels[where]) if where in labels else where),
        who=shown(who),
        reason=shown(t.pick(event.reason_zh or "", event.reason_en or "") or event.reason or ""),
        plate=shown(event.plate or ""),
    )


def _known(t: Words, area: str, word: str) -> str:
    """A machine word in the visitor's language; a word of a newer core is shown as it is."""
    key = f"{area}.{word}"
    return t(key) if key in t else shown(word)
