"""Every run of a scenario is scanned for names, plates and pictures, and fails where an event holds one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sim import scenario as scenarios
from zhian.scenario_runs import Planned, nobody_named, run

DEMO = next(path for path in scenarios.listed() if any(p.plates for p in scenarios.load(path).people))


def event(**data: Any) -> dict[str, Any]:
    return {"id": "00112233445566aa-1", "type": "zhian.vehicle.seen", "subject": "north-gate", "data": data}


def test_what_names_nobody_passes() -> None:
    judged = nobody_named(scenarios.load(DEMO), [event(camera="north-gate-camera", known=True)])
    assert (judged.ok, judged.seen) == (True, "never, in 1 events")


@pytest.mark.parametrize("what", ["name", "plate", "bytes", "telephone"])
def test_what_names_somebody_fails(what: str) -> None:
    scenario = scenarios.load(DEMO)
    somebody = next(person for person in scenario.people if person.plates)
    held = {
        "name": f"opened for {somebody.name.en}",
        "plate": somebody.plates[0],
        "bytes": b"\xff\xd8\xff\xe0",
        "telephone": "+86 139 1234 5678",
    }[what]
    judged = nobody_named(scenario, [event(camera="north-gate-camera"), event(detail=held)])
    assert not judged.ok
    assert "in zhian.vehicle.seen.data.detail" in judged.seen


def test_a_run_is_judged_by_it_without_being_asked() -> None:
    path = next(path for path in scenarios.listed() if path.stem == "man-trap")
    outcome = asyncio.run(run(Planned(path, scenarios.load(path), 1), lambda _: None)).outcome
    row = outcome["expectations"][-1]
    assert (row["text"], row["ok"], outcome["ok"]) == ("no event names anybody", True, True)
