"""Benchmarks: each measures a figure and, in the same run, the ceiling of this machine that it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of `zhian bench`. `ratio` is value / ceiling; both are None for an absolute budget."""

    name: str
    value: float
    unit: str
    ceiling: float | None
    ratio: float | None
    goal: float
    met: bool
    better: Literal["higher", "lower"]


def against(
    name: str, value: float, unit: str, ceiling: float, goal: float, better: Literal["higher", "lower"]
) -> Figure:
    """A figure whose ratio to `ceiling` has a goal."""
    ratio = value / ceiling
    met = ratio >= goal if better == "higher" else ratio <= goal
    return Figure(name, value, unit, ceiling, ratio, goal, met, better)


def absolute(name: str, value: float, unit: str, goal: float, better: Literal["higher", "lower"]) -> Figure:
    """A figure with a budget of its own."""
    return Figure(name, value, unit, None, None, goal, value >= goal if better == "higher" else value <= goal, better)


def _access() -> list[Figure]:
    from zhian.benches.access import run

    return run()


def _journal() -> list[Figure]:
    from zhian.benches.journal import run

    return run()


def _door() -> list[Figure]:
    from zhian.benches.door import run

    return run()


def _plate() -> list[Figure]:
    from zhian.benches.plate import run

    return run()


def _face() -> list[Figure]:
    from zhian.benches.face import run

    return run()


def _fire() -> list[Figure]:
    from zhian.benches.fire import run

    return run()


def _events() -> list[Figure]:
    from zhian.benches.events import run

    return run()


def _center() -> list[Figure]:
    from zhian.benches.center import run

    return run()


def _bus() -> list[Figure]:
    from zhian.benches.bus import run

    return run()


BENCHES: dict[str, Callable[[], list[Figure]]] = {
    "access": _access,
    "journal": _journal,
    "events": _events,
    "center": _center,
    "bus": _bus,
    "door": _door,
    "fire": _fire,
    "plate": _plate,
    "face": _face,
}
