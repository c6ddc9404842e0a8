"""One headless browser for all of these tests, and the way into a page."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Browser, async_playwright
from windows import ARGUMENTS, CHROMIUM, Enter, Visit, served

sys.path.insert(0, str(Path(__file__).parents[1] / "pages"))  # the virtual sites are shared with tests/pages

WIDTHS = {"phone": 390, "desk": 1440}
LOCALES = {"zh": "zh-CN", "en": "en-GB"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser serves all of these tests, so they share its event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def enter(browser: Browser) -> AsyncIterator[Enter]:
    """enter(app, width="phone", locale="zh", dark=False): serve the app, open a window, and go through the log-in."""
    async with AsyncExitStack() as stack:

        async def go(app: FastAPI, *, width: str = "desk", locale: str = "en", dark: bool = False) -> Visit:
            address = await stack.enter_async_context(served(app))
            context = await browser.new_context(
                viewport={"width": WIDTHS[width], "height": 844 if width == "phone" else 900},
                locale=LOCALES[locale],
                color_scheme="dark" if dark else "light",
                has_touch=width == "phone",
                is_mobile=width == "phone",
            )
            stack.push_async_callback(context.close)
            visit = Visit(await context.new_page(), address)
            visit.page.on("console", lambda m: m.type in ("error", "warning") and visit.complaints.append(m.text))
            visit.page.on("pageerror", lambda e: visit.complaints.append(str(e)))
            await visit.page.goto(f"{address}/")
            await visit.page.fill("#token", app.state.pages.login.token.lower())
            await visit.page.click("main button")
            await visit.page.wait_for_selector("form[action='/leave']")
            await visit.page.wait_for_load_state("load")  # style and script are there: positions and listeners hold
            return visit

        yield go
