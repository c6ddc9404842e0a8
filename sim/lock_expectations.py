"""Sentences about locks as states, and about what an operator on site was answered. PURE.

`unlocked` (sim/expectations.py) means that the lock moves after the step; `released` that it is or gets released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sim.facts import Record, limit_ms, steps, times

_NEVER = float("inf")
_FACT_AFTER_STEP_MS = 1000.0  # a step's own fact is written within this time


def _released_at(facts: Sequence[Record], portal: str, at_ms: float) -> bool:
    moves = [f for f in facts if f.get("subject") == portal and f.get("kind") in ("lock.released", "lock.locked")]
    before = [f for f in moves if float(f["t_ms"]) <= at_ms]
    return bool(before) and before[-1]["kind"] == "lock.released"


def released(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    """The lock of one door, or of every door that the panel releases, is released in time after the step."""
    begun, limit = steps(facts, groups["step"]), limit_ms(groups)
    if not begun:
        return False, f"step {groups['step']} never happened"
    portals = _meant(groups, facts, begun[-1])
    if not portals:
        return False, "the fire panel releases no door"
    ok, seen = True, []
    for portal in portals:
        took = [0.0 if _released_at(facts, portal, b) else _first_after(facts, portal, b) for b in begun]
        worst = max(took)
        ok = ok and worst <= limit
        seen.append(f"{portal} {'never' if worst == _NEVER else f'{worst:.0f} ms'}")
    return ok, f"released after step {groups['step']}: {', '.join(seen)}"


def stayed_released(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    """It is released at the end, and was not locked between; how soon it was released is another sentence's matter."""
    begun, ended = steps(facts, groups["step"]), steps(facts, groups["step_until"])
    if not begun or not ended:
        return False, f"step {groups['step_until'] if begun else groups['step']} never happened"
    portals = _meant(groups, facts, ended[-1])
    if not portals:
        return False, "the fire panel releases no door"
    for portal in portals:
        for begun_ms in begun:
            until_ms = min((t for t in ended if t >= begun_ms), default=None)
            if until_ms is None:
                return False, f"step {groups['step_until']} never came after step {groups['step']}"
            for at_ms in times(facts, "lock.locked", portal):
                if begun_ms <= at_ms <= until_ms:
                    return False, f"{portal} locked {at_ms - begun_ms:.0f} ms after step {groups['step']}"
            if not _released_at(facts, portal, until_ms):
                return False, f"{portal} was not released at step {groups['step_until']}"
    return True, f"{', '.join(portals)} released without a break"


def _first_after(facts: Sequence[Record], portal: str, begun_ms: float) -> float:
    return min((t - begun_ms for t in times(facts, "lock.released", portal) if t >= begun_ms), default=_NEVER)


def _meant(groups: Mapping[str, Any], facts: Sequence[Record], at_ms: float) -> list[str]:
    """The one door, or those of the last alarm that began before or with the step (a fact may follow its step)."""
    if groups.get("portal"):
        return [groups["portal"]]
    alarms = [f for f in facts if f.get("kind") == "fire.lit" and float(f["t_ms"]) <= at_ms + _FACT_AFTER_STEP_MS]
    return [str(door) for door in alarms[-1]["doors"]] if alarms else []


def operated(groups: Mapping[str, Any], facts: Sequence[Record], _: Sequence[Record]) -> tuple[bool, str]:
    asked = [f for f in facts if f.get("kind") == "step" and f.get("subject") == groups["step"]]
    if not asked:
        return False, f"step {groups['step']} never happened"
    seen = []
    for step in asked:
        answers = ("operation.done", "operation.refused", "action.failed")
        found = [
            f
            for f in facts
            if f.get("kind") in answers
            and f.get("subject") == step.get("do")
            and float(f["t_ms"]) >= float(step["t_ms"])
        ]
        seen.append(str(found[0]["kind"]).partition(".")[2] if found else "not answered")
        if found and found[0].get("cause"):
            seen[-1] += f" ({found[0]['cause']})"
    return all(text.startswith(groups["answer"]) for text in seen), ", ".join(seen)
