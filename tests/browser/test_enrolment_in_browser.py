"""Enrolment as the property office does it: consent, pictures of a drawn head, the list, withdrawal with a receipt."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect
from windows import ARGUMENTS, CHROMIUM, Enter, served

from gateway.enrolment.capture import Capture
from gateway.enrolment.page import create
from gateway.enrolment.showing import Named
from gateway.errors import OperationRefusedError, VisionError
from gateway.operations import faces as operations
from gateway.operations.messages import EnrolFace, ListFaces, WithdrawFace
from gateway.vision.camera_folder import FolderCamera
from gateway.vision.faces.reader import load
from runtime.errors import UserError
from sim.render.heads import show

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

pytestmark = pytest.mark.browser
SITE = Named(ZoneInfo("Asia/Shanghai"), ("花园小区", "Garden"), {"lobby": ("单元门", "Lobby door")})


class CoreOf:
    """A desk behind core's own operations, without the socket between."""

    def __init__(self, desk) -> None:
        self.desk = desk

    async def _ask(self, request):
        try:
            return await operations.perform(self.desk, request)
        except UserError as e:
            raise OperationRefusedError(str(e)) from e

    async def faces(self):
        return await self._ask(ListFaces())

    async def enrol_face(self, request: EnrolFace):
        return (await self._ask(request)).face

    async def withdraw_face(self, holder: str, operator: str):
        return (await self._ask(WithdrawFace(holder, operator))).receipt


async def film(folder: Path) -> None:
    """A drawn person before the camera, turning a little, for as long as the test runs."""
    times_ms = (0, 150, 300, 450, 600, 750)
    frames = [
        cv2.imencode(".jpg", np.ascontiguousarray(f.image.astype(np.uint8)))[1].tobytes()
        for f in show.play(show.LIVE, 4, show.Stage(times_ms=times_ms))
    ]
    number = 0
    while True:
        (folder / "next.part").write_bytes(frames[number % len(frames)])
        (folder / "next.part").rename(folder / f"{number:012}.jpg")
        (folder / f"{number - 20:012}.jpg").unlink(missing_ok=True)
        number += 1
        await asyncio.sleep(0.15)


@pytest_asyncio.fixture(loop_scope="session")
async def office(tmp_path: Path) -> AsyncIterator[tuple[CoreOf, Capture, Path]]:
    from test_face_desk import DAY, FACES_TOO, NOW_MS, FaceRig

    try:
        faces = load(must_be_accepted=False)
    except VisionError as e:
        pytest.skip(f"the face models are not here: {e}")
    rig = FaceRig(tmp_path)
    rig.policy.clock.days_later = (time.time_ns() // 1_000_000 - NOW_MS) // DAY  # the page asks for days to come
    await rig.policy.desk.replace(rig.policy.upload(FACES_TOO), None, "chen")
    camera = tmp_path / "camera"
    camera.mkdir()
    with ThreadPoolExecutor(1) as inference:
        capture = Capture(FolderCamera("desk", camera), faces, inference)
        work = [asyncio.create_task(w) for w in (capture.camera.watch(), capture.run(), film(camera))]
        yield CoreOf(rig.desk), capture, tmp_path
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    rig.desk.close()


async def check_print(page: Page, said: str) -> None:
    """On paper: nothing to press, the number and the site readable, black on white though the screen is dark."""
    await page.emulate_media(media="print", color_scheme="dark")
    for shown in await page.locator("button, a.button, .bar, form, .no-print").all():
        assert not await shown.is_visible(), await shown.inner_text()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    text = await page.locator("main").inner_text()
    assert said in text
    assert "花园小区" in text or "Garden" in text
    inks = await page.evaluate("[...document.querySelectorAll('main *')].map(e => getComputedStyle(e).color)")
    assert all(max(map(int, re.findall(r"\d+", ink))) < 64 for ink in inks), set(inks)
    await page.emulate_media(media="screen", color_scheme="light")


@pytest.mark.parametrize(("width", "locale"), [("phone", "zh"), ("desk", "en")])
async def test_from_consent_to_withdrawal(enter: Enter, office, width: str, locale: str) -> None:
    core, capture, folder = office
    visit = await enter(create(core, capture, SITE), width=width, locale=locale)
    page = visit.page
    await visit.shot(f"enrolment-empty-{width}-{locale}", whole=True)
    await page.locator("a[href='/new']").click()
    await page.locator("#holder").fill("lin")
    until = core.desk._clock.local() + timedelta(days=30)
    await page.locator("#until").fill(f"{until:%Y-%m-%d}")
    await page.locator("#asked_by").fill("chen")
    await page.locator("input[name=agreed]").check()
    await page.locator("button[value=camera]").click()
    assert page.url.endswith("/new")  # the other way in was left out: the browser itself does not let it through
    await page.locator("#other_way").fill("card")
    await visit.shot(f"enrolment-consent-{width}-{locale}", whole=True)
    await page.locator("button[value=camera]").click()
    store = page.locator("button[form=store]")
    await expect(page.locator("img.look")).to_be_visible(timeout=20_000)
    await visit.shot(f"enrolment-take-{width}-{locale}", whole=True)
    await expect(store).to_be_visible(timeout=45_000)
    assert not await visit.scrolls_sideways()
    await store.click()
    await expect(page.locator("#done-title")).to_be_visible(timeout=10_000)
    await visit.shot(f"enrolment-done-{width}-{locale}", whole=True)
    assert capture.collection is None  # nothing is left in the desk's memory
    assert len((await core.desk.gallery(capture.model_sha256)).references) == 5
    number = await page.locator(".big").inner_text()
    await check_print(page, number.split()[-1])
    await page.locator("main a.button").click()
    await expect(page.locator("table.list tbody tr")).to_have_count(1)
    await visit.shot(f"enrolment-list-{width}-{locale}", whole=True)
    await page.locator("[data-ask]").click()
    await page.locator("[data-confirm]").click()
    await expect(page.locator("[data-stage=done] [data-text]")).to_contain_text("5")
    await page.locator("dialog a.button").first.click()
    await expect(page.locator("table.list tbody tr")).to_have_count(1)  # the receipt
    await page.locator("#number").fill(number.split()[-1].lower())  # from the slip
    await page.keyboard.press("Enter")
    await expect(page.locator("#receipt-title")).to_be_visible()
    await visit.shot(f"enrolment-receipt-{width}-{locale}", whole=True)
    await check_print(page, number.split()[-1])
    await page.locator("main a.button").click()
    await visit.shot(f"enrolment-erased-{width}-{locale}", whole=True)
    assert not await visit.scrolls_sideways()
    assert core.desk.receipts[-1].references == 5
    assert list((folder / "faces" / "face-keys").iterdir()) == []
    # The page may ask for its next picture when the enrolment is just over: no error.
    await page.evaluate("() => new Promise((then) => Object.assign(new Image(), {onerror: then, src: '/picture.jpg'}))")
    assert visit.complaints == []


async def test_a_cancelled_enrolment_leaves_nothing(enter: Enter, office) -> None:
    core, capture, _ = office
    visit = await enter(create(core, capture, SITE), width="desk", locale="en")
    page = visit.page
    await page.goto(page.url.rstrip("/") + "/new")
    for field, value in (("#holder", "lin"), ("#other_way", "card"), ("#asked_by", "chen")):
        await page.locator(field).fill(value)
    await page.locator("input[name=agreed]").check()
    await page.locator("button[value=camera]").click()
    await expect(page.locator(".progress-line .number")).not_to_contain_text("0 of 5", timeout=30_000)
    await page.locator("button[value=cancel]").click()
    await expect(page.locator("#desk-title")).to_be_visible()
    assert capture.collection is None
    assert capture.last is None
    assert core.desk.receipts == ()
    with contextlib.suppress(FileNotFoundError):
        assert await core.desk.enrolments() == []


async def test_the_browser_keeps_no_picture(enter: Enter, office, tmp_path) -> None:
    """A whole profile, cache and history and all, searched for pieces of every picture it was shown."""
    core, capture, _ = office
    app, profile, shown = create(core, capture, SITE), tmp_path / "profile", []
    async with served(app) as address, async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=ARGUMENTS, locale="en-GB"
        )
        page = await context.new_page()

        async def keep(answer) -> None:
            if "/picture.jpg" in answer.url and answer.ok:
                with contextlib.suppress(Exception):  # the page has gone on to the next one
                    shown.append(await answer.body())

        page.on("response", keep)
        await page.goto(address)
        await page.fill("#token", app.state.pages.login.token)
        await page.click("main button")
        await page.goto(f"{address}/new")
        for field, value in (("#holder", "lin"), ("#other_way", "card"), ("#asked_by", "chen")):
            await page.locator(field).fill(value)
        await page.locator("input[name=agreed]").check()
        await page.locator("button[value=camera]").click()
        await expect(page.locator("button[form=store]")).to_be_visible(timeout=60_000)
        await page.locator("button[value=cancel]").click()
        await page.locator("form[action='/leave'] button").click()
        await context.close()
    assert len(shown) >= 3
    pieces = [picture[at : at + 64] for picture in shown for at in (1500, len(picture) // 2)]
    kept = [p for p in profile.rglob("*") if p.is_file() and any(one in p.read_bytes() for one in pieces)]
    assert kept == []
    assert sum(p.is_file() for p in profile.rglob("*")) > 20  # it is a profile that was used
