"""The property manager's application over an honest small site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsers import Entered, enter
from fastapi import FastAPI
from virtual_site import PLACE, VirtualSite

from gateway.web.app import create


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[VirtualSite]:
    site = VirtualSite(tmp_path)
    await site.live_a_while(3)
    yield site
    await site.close()


@pytest.fixture
def app(site: VirtualSite, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.delenv("ZHIAN_PAGE_TOKEN", raising=False)
    return create(site, site.reading, PLACE)


@pytest.fixture
async def entered(app: FastAPI) -> AsyncIterator[Entered]:
    inside = await enter(app)
    yield inside
    await inside.client.aclose()
