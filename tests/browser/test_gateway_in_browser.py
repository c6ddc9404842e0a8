"""The property manager's page as a person meets it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect
from virtual_site import PLACE, BrokenReading, VirtualSite
from windows import Enter

from gateway.refused_plates import Row
from gateway.web.app import create
from gateway.web.unread import UnreadList

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("locale", ["zh", "en"])
SIZES = pytest.mark.parametrize("width", ["phone", "desk"])


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[VirtualSite]:
    site = VirtualSite(tmp_path)
    await site.live_a_while()
    yield site
    await site.close()


@BOTH
@SIZES
async def test_page_is_clean_and_fits(enter: Enter, site: VirtualSite, width: str, locale: str) -> None:
    visit = await enter(create(site, site.reading, PLACE), width=width, locale=locale)
    await expect(visit.page.locator("article.card")).to_have_count(5)
    await expect(visit.page.locator("#events tr")).to_have_count(30)
    assert not await visit.scrolls_sideways()
    await visit.shot(f"gateway-{width}-{locale}", whole=True)
    assert visit.complaints == []


async def test_opening_asks_then_tells_and_the_door_and_event_appear_by_themselves(
    enter: Enter, site: VirtualSite
) -> None:
    visit = await enter(create(site, site.reading, PLACE), width="phone")
    page = visit.page
    await page.click("#open-lobby")
    await expect(page.locator("#open-dialog")).to_contain_text("Building 1 lobby")
    assert site.opened == [], "nothing happens before the question is answered"
    await visit.shot("gateway-phone-ask")
    await page.click("[data-confirm]")
    await expect(page.locator("#open-dialog [data-stage=done]")).to_contain_text("was opened")
    await visit.shot("gateway-phone-done")
    assert [portal for portal, _ in site.opened] == ["lobby"]
    await expect(page.locator("#portal-lobby .state")).to_have_text("Released: push to open")
    await expect(page.locator("#events tr").first).to_contain_text("Opened by an operator")
    await page.click("#open-dialog [data-dismiss]:visible")
    await expect(page.locator("#open-lobby")).to_be_focused()
    assert visit.complaints == []


async def test_a_refusal_is_told_in_the_dialog(enter: Enter, site: VirtualSite) -> None:
    visit = await enter(create(site, site.reading, PLACE), locale="zh")
    await visit.page.click("#open-garage-lift")
    await visit.page.click("[data-confirm]")
    await expect(visit.page.locator("#open-dialog [data-stage=failed]")).to_contain_text("未开启")
    await visit.shot("gateway-desk-refused")


async def test_core_away_is_said_and_recovers(enter: Enter, site: VirtualSite) -> None:
    site.away = True
    visit = await enter(create(site, site.reading, PLACE), width="phone", locale="zh")
    await expect(visit.page.locator("#doors")).to_contain_text("核心没有应答")
    await visit.shot("gateway-phone-away")
    site.away = False
    await expect(visit.page.locator("article.card")).to_have_count(5)
    await expect(visit.page.locator("#head")).not_to_contain_text("未应答")
    assert visit.complaints == []


async def test_no_journal_yet_is_said(enter: Enter, site: VirtualSite) -> None:
    visit = await enter(create(site, BrokenReading(), PLACE))
    await expect(visit.page.locator("#broken")).to_contain_text("cannot be read now")
    await visit.shot("gateway-desk-broken")


async def test_filter_and_older(enter: Enter, site: VirtualSite) -> None:
    visit = await enter(create(site, site.reading, PLACE))
    await visit.page.click("#events-older")
    await expect(visit.page.locator("#events-title")).to_have_text("Earlier events")
    await visit.page.click("text=Back to the newest")
    await visit.page.select_option("#portal", "east-gate")
    await visit.page.wait_for_url("**/?portal=east-gate")
    for text in await visit.page.locator("#events tr").all_inner_texts():
        assert "East gate" in text


async def test_dark(enter: Enter, site: VirtualSite) -> None:
    visit = await enter(create(site, site.reading, PLACE), locale="zh", dark=True)
    await visit.shot("gateway-desk-dark")
    assert visit.complaints == []


async def test_lost_connection_shows_a_banner(enter: Enter, site: VirtualSite) -> None:
    app = create(site, site.reading, PLACE)
    visit = await enter(app, locale="zh", width="phone")
    await expect(visit.page.locator("#lost")).to_be_hidden()
    await visit.page.context.set_offline(True)
    app.state.pages.stopping.set()  # ends the stream; the browser cannot come back while offline
    await expect(visit.page.locator("#lost")).to_be_visible(timeout=15_000)
    await visit.shot("gateway-phone-lost")
    app.state.pages.stopping.clear()
    await visit.page.context.set_offline(False)
    await expect(visit.page.locator("#lost")).to_be_hidden(timeout=30_000)


async def test_language_switch(enter: Enter, site: VirtualSite) -> None:
    visit = await enter(create(site, site.reading, PLACE), locale="en")
    await expect(visit.page.locator("h2").first).to_have_text("Portals")
    await visit.page.click("button[lang='zh-CN']")
    await expect(visit.page.locator("h2").first).to_have_text("通道")
    assert await visit.page.get_attribute("html", "lang") == "zh-CN"
    await visit.page.click("form[action='/leave'] button")
    await expect(visit.page.locator("#token")).to_be_focused()
    await visit.shot("enter-desk-zh")


@SIZES
async def test_plates_that_were_not_read(enter: Enter, site: VirtualSite, width: str) -> None:
    began = time.time_ns() // 1_000_000
    rows = [
        Row(began - 60_000 * n, camera, why, text, "blue" if n % 2 else "green", 0.12 * n, 3 + n)
        for n, (camera, why, text) in enumerate(
            (("lane", "nothing", ""), ("lane", "length", "京A1234"), ("back-gate", "weak", "沪BD98765"))
        )
    ]
    kept = UnreadList(lambda: rows, ("lane", "back-gate"), 500, 7)
    visit = await enter(create(site, site.reading, PLACE, kept=kept), width=width, locale="zh")
    await visit.page.click("#unread-plates")
    await expect(visit.page.locator("#unread tr")).to_have_count(3)
    assert not await visit.scrolls_sideways()
    await visit.shot(f"gateway-unread-{width}-zh", whole=True)
    await visit.page.select_option("#camera", "back-gate")
    await expect(visit.page.locator("#unread tr")).to_have_count(1)
    await visit.page.click("text=返回首页")
    await expect(visit.page.locator("#events-title")).to_be_visible()
    assert visit.complaints == []
