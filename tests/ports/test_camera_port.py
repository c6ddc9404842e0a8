"""The contract of a camera source, as vision uses it: whole JPEG files, newest kept, each of another moment.

On the simulator a sim.camera writes into the folder. For a real one, let its recorder write snapshots (renamed in,
with names that sort in time, one a second at least) into a folder that this user may read, and run

    ZHIAN_TEST_CAMERA=/srv/snapshots pytest tests/ports -m hardware
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.vision.camera_folder import MAX_FRAME_BYTES, FolderCamera, RawFrame
from sim.camera import Camera
from sim.timeline import RealClock, Timeline

VARIABLE = "ZHIAN_TEST_CAMERA"
FRAMES = 3


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.hardware)])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FolderCamera]:
    if request.param == "real":
        if VARIABLE not in os.environ:
            pytest.skip(f"{VARIABLE} names no folder")
        folder, tasks = Path(os.environ[VARIABLE]), []
    else:
        folder, timeline = tmp_path / "lane", Timeline(RealClock())
        camera = Camera("lane", folder, timeline, fps=5)
        camera.open()
        await camera.show(lambda: np.full((120, 160, 3), 90, np.uint8))
        tasks = [asyncio.create_task(timeline.run()), asyncio.create_task(camera.run())]
    taken = FolderCamera("lane", folder)
    tasks.append(asyncio.create_task(taken.watch()))
    yield taken
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def frames(source: FolderCamera) -> list[RawFrame]:
    async with asyncio.timeout(20):
        return [await source.next_frame() for _ in range(FRAMES)]


async def test_pictures_are_whole_and_of_one_size(source: FolderCamera) -> None:
    shapes = set()
    for frame in await frames(source):
        assert 0 < len(frame.data) <= MAX_FRAME_BYTES
        picture = cv2.imdecode(np.frombuffer(frame.data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None, frame.name
        shapes.add(picture.shape)
    assert len(shapes) == 1


async def test_pictures_come_in_the_order_of_time_and_are_never_the_same(source: FolderCamera) -> None:
    got = await frames(source)
    assert [frame.name for frame in got] == sorted(frame.name for frame in got)
    assert [frame.seen_ms for frame in got] == sorted(frame.seen_ms for frame in got)
    assert len({bytes(frame.data) for frame in got}) == FRAMES
