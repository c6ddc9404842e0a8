"""What a person did becomes a scenario that loads; it is bounded and says when it is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_rig import make_site

from sim import recording as recordings
from sim.errors import ActionError
from sim.recording import LEAD_S, MAX_S, MAX_STEPS, SETTLE_S, Recording
from sim.scenario import Scenario, listed, load
from sim.timeline import ManualClock
from sim.world import World


def shipped(name: str) -> Scenario:
    return load(next(path for path in listed() if path.stem == name))


@pytest.mark.parametrize("name", [path.stem for path in listed() if not load(path).is_virtual])
def test_every_scenario_can_be_recorded_over_and_loads_again(name: str, tmp_path: Path) -> None:
    scenario = shipped(name)
    recording = Recording(scenario)
    recording.start(5.0)
    recording.note({"do": "network_stop"}, 7.25)
    file = tmp_path / "recorded.toml"
    file.write_text(recording.text(), "utf-8")
    again = load(file)
    assert (again.door, again.holder, again.barrier) == (scenario.door, scenario.holder, scenario.barrier)
    assert again.duration_s == round(LEAD_S + 2.25 + SETTLE_S, 1)
    (step,) = again.step
    assert (step.do, step.at_s) == ("network_stop", LEAD_S + 2.25)


async def test_what_a_world_took_is_recorded(tmp_path: Path) -> None:
    scenario = shipped("daily-life")
    world = World(scenario, make_site(tmp_path / "site", scenario), ManualClock(), scenes=lambda *_, **__: [])
    recording = Recording(scenario)
    recording.start(0.0)
    for at_s, action in (
        (1.0, {"do": "force_door", "door": "lobby"}),
        (2.0, {"do": "present_card", "who": "lin-lan", "door": "lobby"}),
        (4.5, {"do": "noise", "bus": "rs485-a", "probability": 0.01}),
    ):
        await world.perform(action)
        recording.note(action, at_s)
    file = tmp_path / "recorded.toml"
    file.write_text(recording.text(), "utf-8")
    again = load(file)
    assert [(s.do, s.at_s) for s in again.step] == [("force_door", 2.0), ("present_card", 3.0), ("noise", 5.5)]
    assert again.step[2].probability == 0.01
    assert {e.text for e in again.expect} == {
        "arm north-gate never struck a car",
        "no event was lost or stored twice",
    }


def test_nothing_is_kept_before_start_or_after_stop() -> None:
    recording = Recording(shipped("cut-node"))
    act = {"do": "press_rex", "door": "lobby"}
    recording.note(act, 1.0)
    with pytest.raises(ActionError, match="press Record"):
        recording.text()
    recording.start(2.0)
    recording.note(act, 3.0)
    recording.stop()
    recording.note(act, 4.0)
    assert recording.count == 1
    recording.start(5.0)
    assert recording.count == 0


def test_it_ends_by_itself_when_it_is_full(tmp_path: Path) -> None:
    recording = Recording(shipped("cut-node"))
    act = {"do": "press_rex", "door": "lobby"}
    recording.start(0.0)
    for n in range(MAX_STEPS + 5):
        recording.note(act, n / 100)
    assert (recording.count, recording.running, recording.full) == (MAX_STEPS, False, True)
    recording.start(0.0)
    recording.note(act, MAX_S)
    recording.note(act, MAX_S + 1)
    assert (recording.count, recording.running, recording.full) == (1, False, True)
    file = tmp_path / "long.toml"
    file.write_text(recording.text(), "utf-8")
    assert load(file).duration_s <= 600
    assert recordings.MAX_S + LEAD_S + SETTLE_S <= 600
