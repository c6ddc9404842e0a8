"""How far the last thing that somebody did has come, from the world's facts: what was seen, decided, moved, ended.

What the gateway decides shows here as anybody at the door sees it: the reader's light, or an arm that begins to move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEPT_MS = 60_000.0  # a chain that is older does not go on: the next thing there is something else

OBSERVED = {
    "card.presented": "seen.card",
    "keys.entered": "seen.keys",
    "rex.pressed": "seen.rex",
    "plate.shown": "seen.plate",
    "door.forced": "seen.forced",
}
DECIDED = {"green": "decided.green", "red": "decided.red", "amber": "decided.amber"}
MOVED = {"lock.released": "moved.released", "arm.left-down": "moved.arm"}
ENDED = {
    "door.opened": "ended.opened",
    "person.gave-up": "ended.left",
    "car.passed": "ended.passed",
    "car.gave-up": "ended.backed",
    "reader.dead": "ended.dead",
}
ORDER = ("observed", "decided", "moved", "ended")


@dataclass(slots=True)
class Chain:
    """One action at one place; `reached`: stage -> (text key, ms after it began)."""

    place: str
    begun_ms: float
    reached: dict[str, tuple[str, int]] = field(default_factory=dict)


class Stages:
    """Sees every fact, keeps the newest chain only."""

    def __init__(self) -> None:
        self.chain: Chain | None = None

    def see(self, fact: Mapping[str, Any]) -> None:
        """A fact of the world: kind, subject, t_ms."""
        kind, place, at_ms = str(fact["kind"]), str(fact["subject"]), float(fact["t_ms"])
        if kind == "door.opened" and fact.get("forced"):
            kind = "door.forced"
        if kind in OBSERVED:
            self.chain = Chain(place, at_ms, {"observed": (OBSERVED[kind], 0)})
            return
        chain = self.chain
        if chain is None or chain.place != place or at_ms - chain.begun_ms > KEPT_MS:
            return
        if kind == "led.changed" and fact.get("colour") in DECIDED:
            self._reach(chain, "decided", DECIDED[str(fact["colour"])], at_ms)
        elif kind in MOVED:
            if kind == "arm.left-down":
                self._reach(chain, "decided", "decided.arm", at_ms)
            self._reach(chain, "moved", MOVED[kind], at_ms)
        elif kind in ENDED:
            self._reach(chain, "ended", ENDED[kind], at_ms)

    def shown(self) -> dict[str, Any] | None:
        """{"place", "stages": [(stage, text key or None, ms or None), ...]} of the newest chain."""
        if self.chain is None:
            return None
        rows = [(stage, *self.chain.reached.get(stage, (None, None))) for stage in ORDER]
        return {"place": self.chain.place, "stages": rows}

    def _reach(self, chain: Chain, stage: str, text: str, at_ms: float) -> None:
        # Only the first of each stage belongs to the action: a light that goes red later says something else.
        chain.reached.setdefault(stage, (text, round(at_ms - chain.begun_ms)))
