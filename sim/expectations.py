"""What a scenario expects, as readable sentences. PURE: facts of the world and events in, results out.

Facts are the lines of world.jsonl; events are CloudEvents-shaped dicts. Times compared are the world's own (`t_ms`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sim import lock_expectations
from sim.errors import ExpectationError
from sim.facts import limit_ms as _limit_ms
from sim.facts import steps as _steps
from sim.facts import times as _times

Record = Mapping[str, Any]

EXACT_MS = 0.01  # virtual time counts microseconds
_NAME = r"[a-z0-9-]{1,32}"
_TIME = r"(?P<time>\d+(?:\.\d+)?) ?(?P<unit>ms|s)"
_STEP = rf"step (?P<step>{_NAME})"


@dataclass(frozen=True, slots=True)
class Result:
    """One expectation: its text, whether it held, and what was seen."""

    text: str
    ok: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A parsed expectation; `steps` and `portals` are what it refers to."""

    text: str
    steps: tuple[str, ...]
    portals: tuple[str, ...]
    judge: Callable[[Sequence[Record], Sequence[Record]], tuple[bool, str]]


def check(texts: Iterable[str], facts: Sequence[Record], events: Sequence[Record]) -> list[Result]:
    """Judge each sentence. Raises ExpectationError for one that is not known."""
    results = []
    for text in texts:
        ok, seen = parse(text).judge(facts, events)
        results.append(Result(text, ok, seen))
    return results


def parse(text: str) -> Sentence:
    """Understand one sentence. Raises ExpectationError naming the sentences that are known."""
    plain = " ".join(text.split()).rstrip(".")
    for form in FORMS:
        if match := form.pattern.fullmatch(plain):
            groups = {"clock": None} | match.groupdict()
            return Sentence(
                text,
                tuple(v for k, v in groups.items() if k in ("step", "step_until") and v),
                tuple(v for k, v in groups.items() if k == "portal" and v),
                partial(form.judge, groups),
            )
    known = "; ".join(form.example for form in FORMS)
    raise ExpectationError(f"{text!r} is not a sentence that can be checked; known sentences: {known}")


# --- counting events ----------------------------------------------------------------------------------------------


def _count(groups: Mapping[str, Any], _: Sequence[Record], events: Sequence[Record]) -> tuple[bool, str]:
    type_ = f"zhian.{groups['type']}"
    near = [e for e in events if e.get("type") == type_]
    found = [e for e in near if _matches(e, groups)]
    limit = 0 if groups["how"] == "no" else int(groups["count"])
    ok = {
        "exactly": len(found) == limit,
        "at least": len(found) >= limit,
        "at most": len(found) <= limit,
        "no": not found,
    }[groups["how"]]
    return ok, _counted(len(found), near, type_, events)


def _matches(event: Record, groups: Mapping[str, Any]) -> bool:
    if groups["subject"] is not None and event.get("subject") != groups["subject"]:
        return False
    if groups["clock"] is not None and event.get("clock") != groups["clock"]:
        return False
    if groups["decided"] is not None and not _decided(event, groups["decided"], doubted=groups["doubt"] is not None):
        return False
    return groups["reason"] is None or _reason(event) == groups["reason"]


def _decided(event: Record, where: str, *, doubted: bool) -> bool:
    """Whether a node decided alone ("offline"), with a clock that it did not trust, or the gateway did."""
    data = event.get("data")
    alone = isinstance(data, Mapping) and data.get("offline") is True
    if alone is not (where == "offline"):
        return False
    return not doubted or (isinstance(data, Mapping) and data.get("decided_certain") is False)


def _reason(event: Record) -> object:
    data = event.get("data")
    if not isinstance(data, Mapping):
        return None
    return data.get("reason") or data.get("cause") or data.get("path")


def _counted(found: int, near: Sequence[Record], type_: str, events: Sequence[Record]) -> str:
    if near:
        places = Counter(_place(e) for e in near)
        return f"{found} matching; {type_}: " + ", ".join(f"{n} at {place}" for place, n in places.most_common(6))
    types = Counter(str(e.get("type")) for e in events).most_common(6)
    other = ", ".join(f"{n} {name}" for name, n in types) or "no event at all"
    return f"no {type_}; there was {other}"


def _place(event: Record) -> str:
    about = [str(about) for about in (_reason(event), event.get("clock")) if about and about != "synced"]
    return f"{event.get('subject')}" + (f" ({', '.join(about)})" if about else "")


# --- times between facts of the world -----------------------------------------------------------------------------

_DONE: dict[str, str] = {  # word of the sentence -> kind of fact
    "unlocked": "lock.released",
    "locked": "lock.locked",
    "opened": "door.opened",
    "closed": "door.closed",
    "raised": "arm.raised",
    "lowered": "arm.lowered",
}


_LEFT: dict[str, str] = {  # word of the sentence -> kind of fact that ends it
    "locked": "lock.released",
    "closed": "door.opened",
    "lowered": "arm.left-down",
}


def _within(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    kind, portal, limit_ms = _DONE[groups["done"]], groups["portal"], _limit_ms(groups)
    steps = _steps(facts, groups["step"])
    if not steps:
        return False, f"step {groups['step']} never happened"
    end_ms = max(float(f["t_ms"]) for f in facts)
    seen, ok = [], True
    for begun_ms in steps:
        after = [t - begun_ms for t in _times(facts, kind, portal) if t >= begun_ms]
        if after and after[0] <= limit_ms:
            seen.append(f"{after[0]:.0f} ms")
        elif end_ms < begun_ms + limit_ms and not after and len(steps) > 1:
            seen.append("cut short")  # the last round of a loop that was stopped
        else:
            ok = False
            seen.append(f"{after[0]:.0f} ms" if after else "never" + _around(facts, portal, begun_ms))
    return ok, f"{kind} of {portal} after step {groups['step']}: {', '.join(seen)}"


def _exactly(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    kind, portal, wanted_ms = _DONE[groups["done"]], groups["portal"], _limit_ms(groups)
    steps = _steps(facts, groups["step"])
    if not steps:
        return False, f"step {groups['step']} never happened"
    first = [next((t - begun_ms for t in _times(facts, kind, portal) if t >= begun_ms), None) for begun_ms in steps]
    seen = ", ".join("never" if t is None else f"{t:g} ms" for t in first)
    ok = all(t is not None and abs(t - wanted_ms) < EXACT_MS for t in first)
    return ok, f"{kind} of {portal} after step {groups['step']}: {seen}"


def _stayed(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    portal, limit_ms = groups["portal"], _limit_ms(groups)
    kind = _LEFT[groups["state"]]
    steps = _steps(facts, groups["step"])
    if not steps:
        return False, f"step {groups['step']} never happened"
    broken = [t - b for b in steps for t in _times(facts, kind, portal) if b <= t <= b + limit_ms]
    if broken:
        return False, f"{kind} of {portal} {broken[0]:.0f} ms after step {groups['step']}"
    return True, f"no {kind} of {portal} in {len(steps)} times"


def _between(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    portal, kind = groups["portal"], _LEFT[groups["state"]]
    begun, ended = _steps(facts, groups["step"]), _steps(facts, groups["step_until"])
    if not begun:
        return False, f"step {groups['step']} never happened"
    seen = 0
    for begun_ms in begun:
        until_ms = min((t for t in ended if t >= begun_ms), default=None)
        if until_ms is None:
            if len(begun) > 1 and begun_ms == begun[-1]:
                continue  # the last round of a loop that was stopped
            return False, f"step {groups['step_until']} never came after step {groups['step']}"
        seen += 1
        broken = [t - begun_ms for t in _times(facts, kind, portal) if begun_ms <= t <= until_ms]
        if broken:
            return False, f"{kind} of {portal} {broken[0]:.0f} ms after step {groups['step']}"
    return True, f"no {kind} of {portal} in {seen} times"


def _never(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    times = _times(facts, "arm.struck", groups["portal"])
    return not times, f"struck {len(times)} times" if times else "never"


def _around(facts: Sequence[Record], portal: str, begun_ms: float) -> str:
    """The last things the portal did after a step that did not have its effect."""
    after = [f for f in facts if f.get("subject") == portal and float(f["t_ms"]) >= begun_ms][:4]
    return f" (there was {', '.join(str(f['kind']) for f in after)})" if after else " (nothing happened there)"


# --- completeness -------------------------------------------------------------------------------------------------


def _complete(_: Mapping[str, Any], __: Sequence[Record], events: Sequence[Record]) -> tuple[bool, str]:
    numbers: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for event in events:
        epoch, _dash, seq = str(event.get("id", "")).rpartition("-")
        if not seq.isdigit():
            return False, f"an event has the id {str(event.get('id'))[:40]!r}, which is not <epoch>-<seq>"
        numbers[str(event.get("source")), epoch][int(seq)] += 1
    if not numbers:
        return False, "there is no event at all"
    faults, stored = [], 0
    for (source, epoch), seen in numbers.items():
        stored += sum(seen.values())
        twice = [seq for seq, count in seen.items() if count > 1]
        missing = [seq for seq in range(1, max(seen) + 1) if seq not in seen]
        if twice:
            faults.append(f"{source} {epoch}: {len(twice)} stored twice, first {min(twice)}")
        if missing:
            faults.append(f"{source} {epoch}: {len(missing)} missing, first {missing[0]}")
    return not faults, "; ".join(faults) or f"{stored} events, complete and once each"


def _everything(_: Mapping[str, Any], facts: Sequence[Record], events: Sequence[Record]) -> tuple[bool, str]:
    counted = [f for f in facts if f.get("kind") == "site.counted"]
    if not counted:
        return False, "nobody counted what the gateway made (no fact site.counted)"
    made, stored = int(counted[-1]["made"]), len({(e.get("source"), e.get("id")) for e in events})
    lost, unknown = (int(counted[-1].get(what, 0)) for what in ("lost", "unknown"))
    seen = f"{made} made, {stored} at the center"
    if lost or unknown:
        seen += f"; {lost} of those made are not there, {unknown} of those there were not made here"
    return stored == made > 0 and not lost and not unknown, seen


def _repeated(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    found = max((int(f.get("repeated", 0)) for f in facts if f.get("kind") == "network.restored"), default=0)
    return found >= int(groups["count"]), f"{found} repeated"


_DISTURBED = {"tore": "network.torn", "reordered": "network.reordered"}


def _disturbed(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    found = sum(f.get("kind") == _DISTURBED[groups["did"]] for f in facts)
    return found >= int(groups["count"]), f"{found} {groups['did']}"


def _done(_: Mapping[str, Any], facts: Sequence[Record], __: Sequence[Record]) -> tuple[bool, str]:
    failed = [f for f in facts if f.get("kind") in ("step.failed", "action.failed")]
    if failed:
        return False, f"{len(failed)} failed, first {failed[0].get('subject')}: {failed[0].get('cause')}"
    return True, f"{sum(f.get('kind') == 'step' for f in facts)} steps"


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of sentence."""

    example: str
    pattern: re.Pattern[str]
    judge: Callable[[Mapping[str, Any], Sequence[Record], Sequence[Record]], tuple[bool, str]]


_REASON = r"(?: with (?:reason|cause|path) (?P<reason>[a-z0-9-]{1,48}))?"
_CLOCK = r"(?: with clock (?P<clock>synced|uncertain))?"
_DECIDED = r"(?: decided (?P<decided>offline|online)(?P<doubt> by an uncertain clock)?)?"
_EVENT = rf"events? (?P<type>[a-z]+\.[a-z-]+)(?: (?:at|of) (?P<subject>{_NAME}))?{_REASON}{_CLOCK}{_DECIDED}"

FORMS: tuple[Form, ...] = (
    Form(
        "'exactly 1 event access.granted at lobby' (or 'at least', 'at most', and 'with reason revoked', "
        "'with cause crash', 'with path node-input', 'with clock uncertain', 'decided offline')",
        re.compile(rf"(?P<how>exactly|at least|at most) (?P<count>\d{{1,6}}) {_EVENT}"),
        _count,
    ),
    Form("'no event access.granted at lobby'", re.compile(rf"(?P<how>no) {_EVENT}"), _count),
    Form(
        "'lobby unlocked within 1000 ms of step lin-card' (or locked, opened, closed)",
        re.compile(rf"(?P<portal>{_NAME}) (?P<done>unlocked|locked|opened|closed) within {_TIME} of {_STEP}"),
        _within,
    ),
    Form(
        "'lobby locked exactly 5 s after step lin-card' (on virtual time)",
        re.compile(rf"(?P<portal>{_NAME}) (?P<done>unlocked|locked|opened|closed) exactly {_TIME} after {_STEP}"),
        _exactly,
    ),
    Form(
        "'arm north-gate raised within 8 s of step wang-car' (or lowered)",
        re.compile(rf"arm (?P<portal>{_NAME}) (?P<done>raised|lowered) within {_TIME} of {_STEP}"),
        _within,
    ),
    Form(
        "'lobby stayed locked for 5 s after step stranger-card' (or closed)",
        re.compile(rf"(?P<portal>{_NAME}) stayed (?P<state>locked|closed) for {_TIME} after {_STEP}"),
        _stayed,
    ),
    Form(
        "'arm north-gate stayed lowered for 8 s after step stranger-car'",
        re.compile(rf"arm (?P<portal>{_NAME}) stayed (?P<state>lowered) for {_TIME} after {_STEP}"),
        _stayed,
    ),
    Form(
        "'lobby stayed locked from step full to step free' (or closed)",
        re.compile(
            rf"(?P<portal>{_NAME}) stayed (?P<state>locked|closed) from {_STEP} to step (?P<step_until>{_NAME})"
        ),
        _between,
    ),
    Form(
        "'lobby released within 200 ms of step fire' (it is or gets so; or 'every fire door')",
        re.compile(rf"(?:every fire door|(?P<portal>{_NAME})) released within {_TIME} of {_STEP}"),
        lock_expectations.released,
    ),
    Form(
        "'lobby stayed released from step fire to step reset' (or 'every fire door')",
        re.compile(
            rf"(?:every fire door|(?P<portal>{_NAME})) stayed released from {_STEP} to step (?P<step_until>{_NAME})"
        ),
        lock_expectations.stayed_released,
    ),
    Form(
        "'step reset was done' (or refused): what an operator on site asked of the gateway",
        re.compile(rf"{_STEP} was (?P<answer>done|refused)"),
        lock_expectations.operated,
    ),
    Form("'arm north-gate never struck a car'", re.compile(rf"arm (?P<portal>{_NAME}) never struck a car"), _never),
    Form("'no event was lost or stored twice'", re.compile("no event was lost or stored twice"), _complete),
    Form("'the center has everything made'", re.compile("the center has everything made"), _everything),
    Form(
        "'the network repeated at least 2 messages'",
        re.compile(r"the network repeated at least (?P<count>\d{1,6}) messages?"),
        _repeated,
    ),
    Form(
        "'the network tore at least 1 message' (or reordered)",
        re.compile(r"the network (?P<did>tore|reordered) at least (?P<count>\d{1,6}) messages?"),
        _disturbed,
    ),
    Form("'every action was done'", re.compile("every action was done"), _done),
)
