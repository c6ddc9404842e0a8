"""Faces in the simulator: heads of nobody before a door's camera, what a scenario may say of them, and skipping."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import pytest

from gateway.control.face_asks import TEXTS
from gateway.vision.faces import reader
from runtime.errors import ConfigError
from sim import run_table, scenario
from sim.camera import Camera
from sim.face_doorway import KINDS, READS_MS, FaceDoorway, Reader, drawn, followed
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


class Portal:
    """A reader with a display and a clock, as the world has them."""

    def __init__(self) -> None:
        self.text, self.led, self.now_ms = "", "off", 1000.0


def test_who_stands_there_does_what_the_display_says_once_and_after_a_moment() -> None:
    portal = Portal()
    reader = Reader(portal, portal, seed=3)
    assert (reader.now_ms(), list(reader.acts(0))) == (0, [])
    portal.text = "Nod / dian tou"
    (nod,) = reader.acts(100)
    assert (nod.what, READS_MS[0] <= nod.begins_ms - 100 <= READS_MS[1]) == ("nod", True)
    assert list(reader.acts(300)) == [nod]
    for text in ("", "Card / shua ka"):
        portal.text = text
        assert list(reader.acts(2000)) == [nod]
    portal.text = "<<< Left / zuo"
    assert [act.what for act in reader.acts(2100)] == ["nod", "turn_left"]


def test_every_text_that_a_door_shows_is_understood() -> None:
    portal = Portal()
    reader = Reader(portal, portal, seed=3)
    for step, text in TEXTS.items():
        portal.text = text
        assert reader.acts(0)[-1].what == step


def test_the_light_falls_on_a_face_and_hardly_on_a_screen() -> None:
    gains = {}
    for kind in ("live", "screen_video"):
        portal = Portal()
        frames = followed(kind, 4, 1, (120, 120), 5, 1.5, Reader(portal, portal, seed=1))
        seen = []
        for n in range(6):
            portal.led = "amber" if n % 2 else "off"
            frame = next(frames)
            seen.append(float(frame.image[40:80, 40:80].mean()))
            portal.now_ms += 200
        gains[kind] = sum(seen[1::2]) / sum(seen[::2]) - 1
    assert gains["live"] > 0.1
    assert abs(gains["screen_video"]) < 0.05


def test_a_replayed_video_does_not_read_the_display() -> None:
    portal, seen = Portal(), {}
    for text in ("", "<<< Left / zuo"):
        portal.text, portal.now_ms = text, 1000.0
        frames = followed("screen_video", 4, 1, (120, 120), 5, 1.0, Reader(portal, portal, seed=1))
        seen[text] = []
        for _ in range(5):
            seen[text].append(next(frames).image.copy())
            portal.now_ms += 200
    assert all((a == b).all() for a, b in zip(*seen.values(), strict=True))
