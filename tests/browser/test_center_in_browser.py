"""The center's page as a grid worker meets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect
from virtual_district import GATEWAYS, VirtualDistrict
from windows import Enter

from center.contract.catalogue import PortalForced, PortalOpened
from center.store.reading import EventReading
from center.web.app import create

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(loop_scope="session")
async def district(tmp_path: Path) -> AsyncIterator[VirtualDistrict]:
    district = VirtualDistrict(tmp_path)
    district.live_a_while()
    yield district
    district.close()


@pytest.mark.parametrize("locale", ["zh", "en"])
@pytest.mark.parametrize("width", ["phone", "desk"])
async def test_page_is_clean_and_fits(enter: Enter, district: VirtualDistrict, width: str, locale: str) -> None:
    visit = await enter(create(district.reading), width=width, locale=locale)
    await expect(visit.page.locator("#gateways tbody tr")).to_have_count(3)
    assert not await visit.scrolls_sideways()
    await visit.shot(f"center-{width}-{locale}", whole=True)
    assert visit.complaints == []


async def test_events_and_totals_arrive_by_themselves(enter: Enter, district: VirtualDistrict) -> None:
    visit = await enter(create(district.reading), width="phone", locale="zh")
    await expect(visit.page.locator("#head")).to_contain_text("事件完整")
    district.happen(PortalForced("bike-shed"), GATEWAYS[1], skip=2)
    await expect(visit.page.locator("#events tr").first).to_contain_text("bike-shed")
    await expect(visit.page.locator("#head")).to_contain_text("缺 2 条")
    assert visit.complaints == []


async def test_filters(enter: Enter, district: VirtualDistrict) -> None:
    visit = await enter(create(district.reading))
    await visit.page.select_option("#severity", "alarm")
    await visit.page.wait_for_url("**severity=alarm**")
    for text in await visit.page.locator("#events tr").all_inner_texts():
        assert "Alarm" in text
    before = await visit.page.locator("#events tr").count()
    district.happen(PortalOpened("lobby"))
    district.happen(PortalForced("cellar"))
    await expect(visit.page.locator("#events tr")).to_have_count(before + 1)
    await expect(visit.page.locator("#events tr").first).to_contain_text("cellar")
    await visit.shot("center-desk-alarms")
    assert visit.complaints == []


async def test_a_center_that_has_never_run(enter: Enter, tmp_path: Path) -> None:
    reading = EventReading(tmp_path / "center.sqlite")
    visit = await enter(create(reading), locale="zh", width="phone")
    await expect(visit.page.locator("#broken")).to_contain_text("无法读取")
    await visit.shot("center-phone-empty")
    district = VirtualDistrict(tmp_path)
    try:
        district.live_a_while(1)
        await expect(visit.page.locator("#broken")).to_be_empty()
        await expect(visit.page.locator("#gateways tbody tr")).to_have_count(3)
        await expect(visit.page.locator("#events tr").first).to_be_visible()
    finally:
        district.close()
