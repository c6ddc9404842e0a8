"""Faces in the simulator: heads of nobody before a door's camera, what a scenario may say of them, and skipping."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import pytest

from gateway.vision.faces import reader
from runtime.errors import ConfigError
from sim import run_table, scenario
from sim.camera import Camera
from sim.face_doorway import KINDS, FaceDoorway, drawn
from sim.report import html
from sim.timeline import ManualClock, Timeline, advance
from zhian import drawn_faces, scenario_runs
from zhian.scenario_runs import Planned

FILE = next(path for path in scenario.listed() if path.stem == "face-photo")


async def at_once(function, *arguments):
    return function(*arguments)


def test_the_same_numbers_draw_the_same_visit_and_another_visit_is_another() -> None:
    first, again, other = (drawn("live", 4, seed, (120, 120), 5, 0.4) for seed in (1, 1, 2))
    assert (first[0].image == again[0].image).all()
    assert (first[0].image != other[0].image).any()
    assert [frame.at_ms for frame in first] == [0, 200]


@pytest.mark.parametrize("do", KINDS)
async def test_what_is_before_the_camera_is_in_its_folder_and_in_the_facts(tmp_path: Path, do: str) -> None:
    clock = ManualClock()
    timeline = Timeline(clock)
    facts: list[tuple[str, str, dict[str, object]]] = []
    camera = Camera("lobby-face", tmp_path / "camera", timeline, fps=5, offload=at_once)
    camera.open()
    doorway = FaceDoorway(
        "lobby",
        camera,
        timeline,
        lambda kind, subject, **more: facts.append((kind, subject, more)),
        size=(160, 120),
        fps=5,
        place=1,
    )
    await doorway.show_empty()
    visit = asyncio.create_task(doorway.visit(do, "lin", 4, 1, 1.0))
    while not visit.done():
        await advance(timeline, clock, 200)
        await asyncio.sleep(0.01)  # frames are drawn in a thread
    await visit
    assert [(kind, subject) for kind, subject, _ in facts] == [(KINDS[do][1], "lobby"), (KINDS[do][2], "lobby")]
    pictures = sorted((tmp_path / "camera").glob("*.jpg"))
    assert len(pictures) == 5
    assert cv2.imread(str(pictures[0])).shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('face_camera = "lobby-face"', 'camera = "lobby-face"', "no camera for faces looks at 'lobby'"),
        ('face_camera = "lobby-face"', 'face_camera = "attic"', "expected one of \\['lobby-face'\\], got 'attic'"),
        ("face = 14\n", "", "'lin-lan' has no face"),
        ('do = "enrol_face"\nwho = "lin-lan"', 'do = "enrol_face"\nwho = "stranger"', "only holders are enrolled"),
    ],
)
def test_a_scenario_about_faces_that_cannot_be_is_one_sentence(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = FILE.read_text("utf-8")
    assert old in text
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError, match=said):
        scenario.load(wrong)


async def test_without_the_models_a_scenario_about_faces_is_skipped_with_one_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ZHIAN_MODELS", str(tmp_path))
    loaded = scenario.load(FILE)
    run = await scenario_runs.run(Planned(FILE, loaded, 1), lambda text: None)
    assert run.outcome["ok"]
    assert "run zhian models fetch" in run.outcome["skipped"]
    assert "1 runs, 0 failed, 1 skipped;" in run_table.text([run.outcome], 1.0)
    assert "skipped 已跳过" in html([run])
    other = next(path for path in scenario.listed() if path.stem == "daily-life")
    assert drawn_faces.missing(scenario.load(other)) == ""


def test_the_cast_of_the_scenarios_is_told_apart() -> None:
    """Otherwise they would show nothing: the same net that runs at the door, on other pictures than the desk took."""
    if why := drawn_faces.missing(scenario.load(FILE)):
        pytest.skip(why)
    faces = reader.load(must_be_accepted=False)
    told = {}
    for face, seed in ((14, 7), (14, 1), (1, 1)):
        picture = drawn("live", face, seed, (360, 360), 5, 0.4)[0].image
        assert picture is not None
        seen = faces.nearest(picture)
        assert seen is not None
        told[face, seed] = faces.embed(picture, seen.face)
    assert told[14, 7] @ told[14, 1] > 0.6
    assert told[14, 7] @ told[1, 1] < 0.3
