"""One run as a picture over time: what was seen, decided, moved, stored and acknowledged at each portal. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from sim.chronicle import FAULTS

Record = Mapping[str, Any]

OBSERVED = ("card.presented", "keys.entered", "rex.pressed", "plate.shown", "reader.dead", "door.forced")
MOVED = (
    "lock.released", "lock.locked", "door.opened", "door.closed", "arm.left-down", "arm.raised", "arm.lowered",
    "arm.stopped", "arm.struck",
)  # fmt: skip
LANES = (
    ("seen", "Observation 观察"),
    ("decided", "Decision 决定"),
    ("moved", "Actuation 动作"),
    ("stored", "Event stored 入库"),
    ("acked", "Acknowledged 确认"),
)
WIDTH, LEFT, RIGHT = 1000, 150, 14
LANE, HEAD, GAP, FOOT = 22, 26, 12, 46
MAX_MARKS = 4000  # of one portal; of a longer run the first ones
MAX_TICKS = 12
WRONG_CLOCK_MS = 60_000  # ahead of its storing; ten times that behind it is no mere outage
MAX_CHARS = 300  # of one value


@dataclass(frozen=True, slots=True)
class Place:
    """A portal, with the names of the devices whose events belong to it."""

    name: str
    zh: str
    en: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing in a lane, at unix milliseconds."""

    lane: str
    at_ms: int
    text: str
    tone: str = ""


def cut(value: object) -> str:
    """Text from outside made fit to show: unprintable characters become a visible mark, long text is cut."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in str(value))
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"


def begun_ms(facts: Sequence[Record]) -> int:
    """When the timeline began, as unix milliseconds; the first fact where it never did."""
    return next((int(f["unix_ms"]) for f in facts if f["kind"] == "round.begun"), int(facts[0]["unix_ms"]))


def acknowledged_ms(acked: Sequence[tuple[int, int]], event: Record) -> int | None:
    """When the gateway was first seen to have forgotten this event; None where it was not. acked: (unix ms, up to)."""
    number = str(event.get("id", "")).rpartition("-")[2]
    if not number.isdigit():
        return None
    return next((at for at, upto in acked if upto >= int(number)), None)


def decided_ms(event: Record) -> int:
    """The gateway's own time of an event; the center's where the two differ so much that a clock must be wrong."""
    own_ms, received_ms = int(event["time_ms"]), event.get("received_ms")
    if received_ms is not None and own_ms > int(received_ms) + WRONG_CLOCK_MS:
        return int(received_ms)
    if received_ms is not None and own_ms < int(received_ms) - 10 * WRONG_CLOCK_MS:
        return int(received_ms)
    return own_ms


def is_fault(fact: Record) -> bool:
    """Whether something broke here, or is well again."""
    return fact["kind"] in FAULTS


def draw(
    facts: Sequence[Record], events: Sequence[Record], acked: Sequence[tuple[int, int]], places: Sequence[Place]
) -> str:
    """An inline SVG element. Facts have unix_ms; events time_ms and, where known, received_ms."""
    if not facts:
        return ""
    start = begun_ms(facts)
    end = max([start + 1000, *(int(f["unix_ms"]) for f in facts)])
    scale = _Scale(start, end)
    site = Place("", "小区", "Site")
    owner = {name: place for place in places for name in (place.name, *place.devices)}
    rows = [*places, site]
    height = HEAD + sum(HEAD + LANE * len(LANES) + GAP for _ in rows) + FOOT
    parts = [
        f'<svg class="picture" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape("Timeline 时间线")}" preserveAspectRatio="xMinYMin meet">'
    ]
    parts += _ticks(scale, height)
    y = HEAD
    for place in rows:
        own = [e for e in events if owner.get(str(e.get("subject")), site) is place]
        seen = [f for f in facts if owner.get(str(f["subject"]), site) is place]
        parts += _place(place, y, scale, seen, own, acked)
        y += HEAD + LANE * len(LANES) + GAP
    parts += _faults(facts, scale, height)
    return "".join([*parts, "</svg>"])


class _Scale:
    def __init__(self, start_ms: int, end_ms: int) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms

    def x(self, at_ms: float) -> float:
        share = (at_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return round(LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT), 1)


def _ticks(scale: _Scale, height: int) -> list[str]:
    span_s = (scale.end_ms - scale.start_ms) / 1000
    step_s = next((s for s in (1, 2, 5, 10, 30, 60, 120, 300, 600, 3600) if span_s / s <= MAX_TICKS), 86_400)
    parts = []
    for n in range(int(span_s // step_s) + 1):
        x = scale.x(scale.start_ms + n * step_s * 1000)
        parts.append(
            f'<path class="tick" d="M{x} 18V{height - 4}"/><text class="time" x="{x}" y="13">{n * step_s} s</text>'
        )
    return parts


def _place(
    place: Place,
    y: int,
    scale: _Scale,
    facts: Sequence[Record],
    events: Sequence[Record],
    acked: Sequence[tuple[int, int]],
) -> list[str]:
    title = f"{place.en} {place.zh}" + (f" ({place.name})" if place.name else "")
    parts = [f'<text class="place" x="4" y="{y + 16}">{escape(cut(title))}</text>']
    rows = {}
    for n, (lane, label) in enumerate(LANES):
        rows[lane] = middle = y + HEAD + n * LANE + LANE // 2
        parts.append(f'<path class="lane" d="M{LEFT} {middle}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="label" x="12" y="{middle + 4}">{escape(label)}</text>')
    marks = [mark for fact in facts if (mark := _of_fact(fact))]
    for event in events:
        own = _of_event(event, acked)
        marks += own
        points = " ".join(f"{scale.x(m.at_ms)},{rows[m.lane]}" for m in own)
        parts.append(f'<polyline class="path" points="{points}"/>')
    for mark in marks[:MAX_MARKS]:
        at_s = (mark.at_ms - scale.start_ms) / 1000
        parts.append(
            f'<circle class="mark {mark.lane} {mark.tone}" cx="{scale.x(mark.at_ms)}" cy="{rows[mark.lane]}" r="5">'
            f"<title>{escape(cut(f'{at_s:.2f} s  {mark.text}'))}</title></circle>"
        )
    return parts


def _of_fact(fact: Record) -> Mark | None:
    kind, at_ms = str(fact["kind"]), int(fact["unix_ms"])
    if kind == "door.opened" and fact.get("forced"):
        return Mark("seen", at_ms, "door.forced", "bad")
    if kind == "led.changed" and fact.get("colour") in ("green", "red", "amber"):
        return Mark("decided", at_ms, f"LED {fact['colour']}", f"led-{fact['colour']}")
    if kind in OBSERVED:
        who = fact.get("who") or fact.get("plate") or ""
        return Mark("seen", at_ms, f"{kind} {who}".strip())
    if kind in MOVED:
        return Mark("moved", at_ms, kind, "bad" if kind == "arm.struck" else "")
    return None


def _of_event(event: Record, acked: Sequence[tuple[int, int]]) -> list[Mark]:
    kind = str(event.get("type", "")).removeprefix("zhian.")
    tone = "bad" if event.get("severity") in ("alarm", "life-safety", "warning") else ""
    marks = []
    if kind.startswith("access."):
        marks.append(Mark("decided", decided_ms(event), kind, "bad" if kind == "access.denied" else "good"))
    if event.get("received_ms") is not None:
        marks.append(Mark("stored", int(event["received_ms"]), kind, tone))
    if (at_ms := acknowledged_ms(acked, event)) is not None:
        marks.append(Mark("acked", max(at_ms, int(event.get("received_ms") or at_ms)), f"{kind} {event.get('id')}"))
    return marks


def _faults(facts: Iterable[Record], scale: _Scale, height: int) -> list[str]:
    parts = []
    for n, fact in enumerate(fact for fact in facts if is_fault(fact)):
        x, y = scale.x(int(fact["unix_ms"])), height - 5 - 13 * (n % 3)  # neighbours in time would lie on one another
        parts.append(
            f'<path class="fault" d="M{x} 18V{height - FOOT}"/>'
            f'<text class="fault-text" x="{x}" y="{y}">{escape(str(fact["kind"]))}</text>'
        )
    return parts
