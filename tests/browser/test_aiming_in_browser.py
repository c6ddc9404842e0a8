"""The page for aiming a camera, with rendered cars in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import pytest
import pytest_asyncio
from playwright.async_api import expect
from windows import Enter

from gateway.aiming.looking import Looking
from gateway.aiming.page import create
from gateway.vision.camera_folder import FolderCamera
from gateway.vision.reader import load_default
from sim.render.plate import PlateKind
from sim.render.scene import approach

pytestmark = pytest.mark.browser
ZONE = ZoneInfo("Asia/Shanghai")


async def film(folder: Path) -> None:
    """The same approach again and again, as a camera that turns never stops."""
    frames = [
        cv2.imencode(".jpg", f.image)[1].tobytes() for f in approach("京A12345", PlateKind.BLUE, seed=21, frames=24)
    ][-6:]
    number = 0
    while True:
        (folder / "next.part").write_bytes(frames[number % len(frames)])
        (folder / "next.part").rename(folder / f"{number:012}.jpg")
        (folder / f"{number - 20:012}.jpg").unlink(missing_ok=True)
        number += 1
        await asyncio.sleep(0.1)


@pytest_asyncio.fixture(loop_scope="session")
async def looking(tmp_path: Path) -> AsyncIterator[Looking]:
    with ThreadPoolExecutor(1) as inference:
        view = Looking(FolderCamera("gate-in", tmp_path), load_default(), inference)
        running = [asyncio.create_task(work) for work in (view.camera.watch(), view.run())]
        yield view
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("locale", ["zh", "en"])
@pytest.mark.parametrize("width", ["phone", "desk"])
async def test_a_car_is_shown_with_advice_and_nothing_is_kept(
    enter: Enter, looking: Looking, tmp_path: Path, width: str, locale: str
) -> None:
    visit = await enter(create({"gate-in": looking}, ZONE), width=width, locale=locale)
    waiting = {"zh": "还没有收到画面", "en": "No picture has arrived"}[locale]
    await expect(visit.page.locator("#now")).to_contain_text(waiting)
    filming = asyncio.create_task(film(tmp_path))
    try:
        await expect(visit.page.locator(".tile").first).to_contain_text("京A12345", timeout=20_000)
        shown = visit.page.locator("img.aim")
        assert (
            await shown.evaluate(
                "i => new Promise(done => i.complete ? done(i.naturalWidth) : i.onload = () => done(i.naturalWidth))"
            )
            > 300
        )
        assert not await visit.scrolls_sideways()
        await visit.shot(f"aiming-{width}-{locale}", whole=True)
    finally:
        filming.cancel()
    assert visit.complaints == []
    assert {p.suffix for p in tmp_path.iterdir()} <= {".jpg", ".part"}
