"""Questions to the facts of a world: when did what happen. PURE; times are the world's own (`t_ms`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def limit_ms(groups: Mapping[str, Any]) -> float:
    """The time that a sentence names, `time` in `unit` s or ms."""
    return float(groups["time"]) * (1000 if groups["unit"] == "s" else 1)


def steps(facts: Sequence[Record], step: str) -> list[float]:
    """When the step of this name was done, once per round."""
    return times(facts, "step", step)


def times(facts: Sequence[Record], kind: str, subject: str) -> list[float]:
    """When facts of this kind and subject happened, in order."""
    return sorted(float(f["t_ms"]) for f in facts if f.get("kind") == kind and f.get("subject") == subject)
