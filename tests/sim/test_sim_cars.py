"""Cars, lanes and cameras on virtual time, with a renderer that draws nothing much."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sim.barrier import Barrier
from sim.camera import KEPT, Camera
from sim.car import PATIENCE_MS, Lane
from sim.errors import ActionError
from sim.pins.board import Board

PINS = {"raise": "17", "lower": "27", "raised": "22", "lowered": "23", "loop": "24"}


@dataclass
class Flat:
    """A frame of one grey."""

    image: Any


class FlatScenes:
    """The renderer's interface; each frame is one grey, so that files can be told apart."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    def approach(self, text: str, kind: str, *, seed: int, frames: int, width: int, height: int, **_: int) -> Iterator:
        self.asked.append((text, kind, seed))
        if text == "京N00000":
            raise ValueError("zero is not on this plate")
        for i in range(frames):
            yield Flat(np.full((height, width, 3), 10 * i + 50, np.uint8))

    def empty_scene(self, *, seed: int, width: int, height: int, **_: int) -> np.ndarray:
        return np.zeros((height, width, 3), np.uint8)


async def at_once(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


class Site:
    """A lane on virtual time, with tasks that end with the test."""

    def __init__(self, virtual: Any, folder: Path, group: Any) -> None:
        self.virtual = virtual
        self.folder = folder
        self.board = Board(
            "gateway", virtual.timeline, random.Random(1), inputs=("22", "23", "24"), outputs=("17", "27")
        )
        self.board.plug_in(lambda _: None)
        for pin in ("17", "27"):
            self.board.setup(pin, "out", "none", 0)
        self.barrier = Barrier("gate", self.board, PINS, virtual.timeline, virtual.record, travel_s=1.0)
        self.camera = Camera("eye", folder, virtual.timeline, fps=5, offload=at_once)
        self.camera.open()
        self.scenes = FlatScenes()
        self.lane = Lane(
            self.barrier, self.camera, self.scenes, virtual.timeline, virtual.record, size=(32, 24), fps=5, place=1
        )
        self.start = group

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
async def site(virtual, tmp_path: Path):
    tasks: list[asyncio.Task[Any]] = []

    def start(work: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.get_running_loop().create_task(work))
        return tasks[-1]

    yield Site(virtual, tmp_path / "eye", start)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_car_is_seen_waits_for_the_arm_and_drives_through(site: Site, virtual) -> None:
    visit = site.start(site.lane.visit("京N7K3Q2", 5))
    await virtual.pass_ms(2900)
    assert (site.lane.plate, site.barrier.occupied) == ("京N7K3Q2", False)
    assert len(site.files()) == 15  # 3 s at 5 frames a second
    await virtual.pass_ms(200)
    assert site.barrier.occupied
    site.board.write("17", 1)
    await virtual.pass_ms(1000 + 700)
    assert site.barrier.under_arm
    await virtual.pass_ms(2100)
    assert visit.result() is True
    assert (site.barrier.occupied, site.barrier.under_arm, site.lane.plate) == (False, False, None)
    assert virtual.kinds() == [
        "plate.shown",
        "loop.occupied",
        "car.waiting",
        "arm.left-down",
        "arm.raised",
        "car.passing",
        "car.passed",
        "loop.free",
    ]


async def test_a_car_that_is_not_let_in_reverses(site: Site, virtual) -> None:
    visit = site.start(site.lane.visit("沪AD61752", 5))
    await virtual.pass_ms(3000 + PATIENCE_MS + 2000)
    assert visit.result() is False
    assert "car.passing" not in virtual.kinds()
    assert virtual.kinds()[-1] == "loop.free"
    assert site.scenes.asked == [("沪AD61752", "green", 5)]


async def test_cars_take_turns(site: Site, virtual) -> None:
    site.start(site.lane.visit("京N7K3Q2", 5))
    site.start(site.lane.visit("苏E5H902", 6))
    await virtual.pass_ms(5000)
    assert [seen[0] for seen in site.scenes.asked] == ["京N7K3Q2"]
    await virtual.pass_ms(10_000)
    assert [seen[0] for seen in site.scenes.asked] == ["京N7K3Q2", "苏E5H902"]


async def test_a_plate_that_cannot_be_drawn_is_an_error_and_frees_the_lane(site: Site, virtual) -> None:
    visit = site.start(site.lane.visit("京N00000", 5))
    await virtual.pass_ms(100)
    with pytest.raises(ActionError, match=r"京N00000.*zero is not on this plate"):
        visit.result()
    assert site.lane.plate is None


async def test_a_camera_idles_at_one_picture_a_second_and_keeps_the_newest(site: Site, virtual) -> None:
    site.start(site.camera.run())
    await site.lane.show_empty()
    await virtual.pass_ms(10_500)
    assert 10 <= len(site.files()) <= 11
    assert all(len(name) == len("000000000123.jpg") for name in site.files())
    await virtual.pass_ms(100_000)
    names = site.files()
    assert len(names) == KEPT
    assert int(names[-1][:12]) - int(names[0][:12]) == (KEPT - 1) * 1000
    assert int(names[-1][:12]) > 100_000


async def test_pictures_of_what_stands_still_differ_by_noise_only(site: Site, virtual) -> None:
    site.start(site.camera.run())
    await site.lane.show_empty()
    await virtual.pass_ms(2500)
    pictures = [(site.folder / name).read_bytes() for name in site.files()]
    assert len(set(pictures)) == len(pictures) >= 2
    decoded = cv2.imdecode(np.frombuffer(pictures[-1], np.uint8), cv2.IMREAD_COLOR)
    assert int(decoded.max()) < 20  # the scene itself is black


async def test_a_camera_starts_with_an_empty_folder(site: Site, virtual) -> None:
    (site.folder / "000000000001.jpg").write_bytes(b"old")
    (site.folder / ".000000000002.jpg.part").write_bytes(b"old")
    site.camera.open()
    assert site.files() == []
