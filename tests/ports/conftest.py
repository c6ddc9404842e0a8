"""Each suite of this folder runs on the simulator's side, and on real things where somebody has wired them.

`hardware` tests never run by themselves: `pytest tests/ports -m hardware` with the variables that each suite names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

Until = Callable[[Callable[[], object], str], Awaitable[None]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whoever wants hardware says so with -m; everybody else skips it."""
    if "hardware" in (config.option.markexpr or ""):
        return
    for item in items:
        if item.get_closest_marker("hardware"):
            item.add_marker(pytest.mark.skip(reason="needs real devices; run with -m hardware"))


@pytest.fixture
def until() -> Until:
    """until(condition, what): wait for a condition, or fail saying what was awaited."""

    async def wait(condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 5.0
        while not condition():
            assert time.monotonic() < end, f"never happened: {what}"
            await asyncio.sleep(0.005)

    return wait
