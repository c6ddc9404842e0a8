"""The simulator's page as a visitor of the demo meets it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect
from virtual_world import VirtualWorld
from windows import Enter

from sim.web import create

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("locale", ["zh", "en"])
@pytest.mark.parametrize("width", ["phone", "desk"])
async def test_page_is_clean_and_fits(enter: Enter, width: str, locale: str) -> None:
    visit = await enter(create(VirtualWorld()), width=width, locale=locale)
    await expect(visit.page.locator("article.scene")).to_have_count(4)
    assert not await visit.scrolls_sideways()
    await visit.shot(f"sim-{width}-{locale}", whole=True)
    assert visit.complaints == []


async def test_buttons_act_on_the_world_and_the_plan_follows(enter: Enter) -> None:
    world = VirtualWorld()
    visit = await enter(create(world), width="phone")
    page = visit.page
    for fold in await page.locator("details.fold > summary").all():
        await fold.tap()
    await page.select_option("#door-2", "lobby")
    await page.click("li:has-text('Li Na') >> text=Present card")
    await expect(page.locator("#told")).to_contain_text("held to the reader")
    await expect(page.locator("article:has-text('Building 1 lobby')")).to_have_attribute("data-lock", "released")
    await page.click("li:has-text('Li Na') >> text=Enter PIN")
    await page.click(".fault >> text=Force the door")
    await expect(page.locator("article:has-text('Building 1 lobby')")).to_have_attribute("data-leaf", "open")
    await page.click("li:has-text('京AD12345') >> text=Drive up")
    await expect(page.locator("article[data-arm=raising]")).to_contain_text("京AD12345")
    await expect(page.locator("#log li").first).to_contain_text("drive_up")
    await expect(page.locator("#door-2")).to_have_value("lobby")
    await expect(page.locator(".arm")).to_have_css("transform", re.compile(r"matrix\(0\.2"))
    await page.locator("article[data-arm]").scroll_into_view_if_needed()
    await visit.shot("sim-phone-barrier")
    assert world.done == [
        {"do": "present_card", "who": "li", "door": "lobby"},
        {"do": "enter_pin", "who": "li", "door": "lobby"},
        {"do": "force_door", "door": "lobby"},
        {"do": "drive_up", "plate": "京AD12345", "barrier": "main-gate"},
    ]
    assert visit.complaints == []


async def test_what_cannot_be_done_is_told(enter: Enter) -> None:
    visit = await enter(create(VirtualWorld()), locale="zh")
    await visit.page.click("article:has-text('水泵房') >> text=按出门按钮")
    await expect(visit.page.locator("#told")).to_contain_text("现在做不到")
    await visit.shot("sim-desk-refused")
