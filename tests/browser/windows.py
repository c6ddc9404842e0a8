"""Windows of a real browser on applications that are really served, on free loopback ports, in the test's own loop."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from playwright.async_api import Page

from pages import serving

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SHOTS = Path(os.environ.get("ZHIAN_SHOTS", tempfile.gettempdir() + "/shots"))


@dataclass
class Visit:
    """One browser window on one page, and everything it complained of."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    async def shot(self, name: str, *, whole: bool = False) -> None:
        """Keep a picture of the window or the whole page, for people to look at."""
        SHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"{name}.png", full_page=whole, animations="disabled")

    async def scrolls_sideways(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(
            await self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        )


Enter = Callable[..., Awaitable[Visit]]


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The address at which `app` answers."""
    listener = serving.bind("test", "127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    task = asyncio.create_task(serving.serve(app, host="127.0.0.1", port=port, notify_systemd=False))
    try:
        async with asyncio.timeout(10):
            while not await _answers(port):
                assert not task.done(), task.exception()
        yield f"http://127.0.0.1:{port}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.02)  # nothing tells from outside that a port begins to listen
        return False
    writer.close()
    return True
