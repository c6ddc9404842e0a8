"""What a person did to the world, kept as a scenario that can be played again. Knows no page and no process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import tomli_w

from sim.errors import ActionError
from sim.scenario import Scenario

MAX_STEPS = 500  # a person at a page; more is a program
MAX_S = 570.0  # what a scenario's timeline may last, less LEAD_S and SETTLE_S
LEAD_S = 1.0  # before the first step of the replay
SETTLE_S = 20.0  # after the last one: doors close, cars drive away, what was cut off catches up
SUFFIX = "-recorded"
HEADER = (
    "# What somebody did on the simulator's page, with the cast and the layout of the scenario {name}.\n"
    "# The world stood as it was when the recording began; the replay begins with everything whole.\n"
    "# Add what must follow as [[expect]]; docs/simulator.md has the sentences.\n"
)


class Recording:
    """Off until `start`. Times are the world's seconds; `note` keeps what was done and drops nothing silently."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._steps: list[dict[str, Any]] = []
        self._begun_s = 0.0
        self.running = False
        self.full = False  # it ended by itself, at MAX_STEPS or MAX_S

    @property
    def count(self) -> int:
        """How many things are in it."""
        return len(self._steps)

    def start(self, now_s: float) -> None:
        """Begin anew; what was recorded before is forgotten."""
        self._steps.clear()
        self._begun_s = now_s
        self.running, self.full = True, False

    def stop(self) -> None:
        """Keep what there is."""
        self.running = False

    def look(self, now_s: float) -> None:
        """End by itself when it has lasted as long as a scenario may."""
        if self.running and now_s - self._begun_s > MAX_S:
            self.running, self.full = False, True

    def note(self, action: Mapping[str, Any], now_s: float) -> None:
        """Somebody did this, and the world took it."""
        self.look(now_s)
        if not self.running:
            return
        if len(self._steps) >= MAX_STEPS:
            self.running, self.full = False, True
            return
        number = len(self._steps) + 1
        at_s = round(LEAD_S + max(0.0, now_s - self._begun_s), 2)
        self._steps.append({"id": f"{number}-{action['do'].replace('_', '-')}"[:32], "at_s": at_s, **action})

    def document(self) -> dict[str, Any]:
        """The scenario as plain tables. Raises ActionError while there is nothing in it."""
        if not self._steps:
            raise ActionError("nothing is recorded yet; press Record, do something, then stop")
        plain: dict[str, Any] = _without_none(msgspec.to_builtins(self._scenario))
        last_s = self._steps[-1]["at_s"]
        plain |= {
            "name": self._scenario.name[: 32 - len(SUFFIX)] + SUFFIX,
            "title": {"zh": "录制的操作", "en": "A recorded session"},
            "duration_s": round(last_s + SETTLE_S, 1),
            "step": list(self._steps),
            "expect": [{"text": text} for text in self._expected()],
        }
        return plain

    def text(self) -> str:
        """The scenario as a file. Raises ActionError while there is nothing in it."""
        return HEADER.format(name=self._scenario.name) + tomli_w.dumps(self.document())

    def _expected(self) -> list[str]:
        """What must hold whatever was done."""
        never = [f"arm {barrier.name} never struck a car" for barrier in self._scenario.barrier]
        return [*never, "no event was lost or stored twice"]


def _without_none(value: Any) -> Any:
    """TOML has no null: a key that is None is one that is not there."""
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value
