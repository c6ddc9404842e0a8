"""People and cars carried over the plan: with a mouse, with a finger, with keys; faults, stages and recording."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect
from virtual_world import VirtualWorld
from windows import Enter

from sim.web import create
from sim.web.stages import Stages

pytestmark = pytest.mark.browser
LOBBY = "article[data-name=lobby]"


async def middle(page: Page, what: str) -> tuple[float, float]:
    box = await page.locator(what).first.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def test_a_resident_is_dragged_to_a_reader_and_a_car_to_the_barrier(enter: Enter) -> None:
    world, stages = VirtualWorld(), Stages()
    visit = await enter(create(world, stages))
    page = visit.page
    await page.mouse.move(*await middle(page, ".token:has-text('Li Na')"))
    await page.mouse.down()
    await page.mouse.move(*await middle(page, "article[data-name=main-gate] svg"), steps=4)
    await expect(page.locator(".over")).to_have_count(0)  # a person is not for a barrier
    await page.mouse.move(*await middle(page, f"{LOBBY} svg"), steps=4)
    await expect(page.locator(f"{LOBBY}.over")).to_have_count(1)
    await visit.shot("sim-desk-drag")
    await page.mouse.up()
    await expect(page.locator("#told")).to_contain_text("held to the reader")
    await expect(page.locator(".ghost")).to_have_count(0)
    await page.drag_and_drop(".token:has-text('京AD12345')", "article[data-name=main-gate]")
    await expect(page.locator("#told")).to_contain_text("driving up")
    assert world.done == [
        {"do": "present_card", "who": "li", "door": "lobby"},
        {"do": "drive_up", "plate": "京AD12345", "barrier": "main-gate"},
    ]
    assert visit.complaints == []


async def test_a_drag_that_ends_nowhere_does_nothing(enter: Enter) -> None:
    world = VirtualWorld()
    visit = await enter(create(world))
    await visit.page.drag_and_drop(".token:has-text('Li Na')", "h1")
    await expect(visit.page.locator("body[data-carrying]")).to_have_count(0)
    await visit.page.drag_and_drop(".token:has-text('Li Na')", "article[data-name=main-gate]")
    await expect(visit.page.locator("body[data-carrying]")).to_have_count(0)
    assert world.done == []


async def test_a_finger_drags_up_from_the_strip(enter: Enter) -> None:
    world = VirtualWorld()
    visit = await enter(create(world), width="phone", locale="zh")
    page = visit.page
    x, y = await middle(page, ".token:has-text('张伟')")
    to_x, to_y = await middle(page, f"{LOBBY} svg")
    touch = await page.context.new_cdp_session(page)
    await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for part in (0.1, 0.3, 0.6, 1.0):
        point = {"x": x + (to_x - x) * part, "y": y + (to_y - y) * part}
        await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    await expect(page.locator(f"{LOBBY}.over")).to_have_count(1)
    await visit.shot("sim-phone-drag")
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await expect(page.locator("#told")).to_contain_text("卡已靠近读卡器")
    assert world.done == [{"do": "present_card", "who": "zhang", "door": "lobby"}]


async def test_a_tap_on_who_and_a_tap_on_where(enter: Enter) -> None:
    world = VirtualWorld()
    visit = await enter(create(world), width="phone", locale="zh")
    await visit.page.tap(".token:has-text('张伟')")
    await expect(visit.page.locator(f"{LOBBY} .drop")).to_be_visible()
    await visit.shot("sim-phone-chosen")
    await visit.page.tap(f"{LOBBY} .drop")
    await expect(visit.page.locator("#told")).to_contain_text("卡已靠近读卡器")
    assert world.done == [{"do": "present_card", "who": "zhang", "door": "lobby"}]


async def test_keys_choose_and_place_and_escape_puts_down(enter: Enter) -> None:
    world = VirtualWorld()
    visit = await enter(create(world))
    page = visit.page
    await page.focus(".token:has-text('Zhang Wei')")
    await page.keyboard.press("Enter")
    await expect(page.locator(f"{LOBBY} .drop")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator(".token:has-text('Zhang Wei')")).to_be_focused()
    await expect(page.locator(f"{LOBBY} .drop")).to_be_hidden()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator("#told")).to_be_visible()
    assert world.done == [{"do": "present_card", "who": "zhang", "door": "lobby"}]


@pytest.mark.parametrize(("width", "locale"), [("phone", "zh"), ("desk", "en")])
async def test_stages_faults_and_the_recording(enter: Enter, width: str, locale: str) -> None:
    world, stages = VirtualWorld(), Stages()
    visit = await enter(create(world, stages), width=width, locale=locale)
    page = visit.page
    if width == "phone":  # there all but the plan is folded
        for fold in await page.locator("details.fold > summary").all():
            await fold.tap()
    await page.click("[data-body*=start]")
    await expect(page.locator("#recorder [data-body*=stop]")).to_be_visible()
    for t_ms, fact in enumerate(
        ({"kind": "card.presented"}, {"kind": "lock.released"}, {"kind": "led.changed", "colour": "green"})
    ):
        stages.see({"t_ms": 1000.0 + 80 * t_ms, "subject": "lobby", **fact})
    await expect(page.locator("#stages .reached")).to_have_count(3)
    await page.select_option("#slow-delay_ms", "1000")
    await page.click("[data-body*=network_slow]")
    await page.select_option("#noise-probability", "0.01")
    await page.click("[data-body*='\"noise\"']")
    await page.click("[data-body*=stop][data-post='/api/recording']")
    await expect(page.locator("#recorder a[download]")).to_contain_text("2")
    assert world.done == [
        {"do": "network_slow", "delay_ms": 1000},
        {"do": "noise", "bus": "rs485-a", "probability": 0.01},
    ]
    await page.locator("#stages").scroll_into_view_if_needed()
    await visit.shot(f"sim-{width}-{locale}-stages", whole=True)
    async with page.expect_download() as download:
        await page.click("#recorder a[download]")
    assert (await download.value).suggested_filename == "demo-recorded.toml"
    assert visit.complaints == []
