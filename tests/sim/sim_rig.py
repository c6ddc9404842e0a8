"""Waiting for a condition, and sites to run worlds on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from sim.scenario import Scenario

KEY = bytes(range(16))


async def eventually(condition: Callable[[], object], what: str, deadline_s: float = 20.0) -> None:
    """Wait until `condition()` holds; fail, saying what was awaited, after `deadline_s`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline_s
    while not condition():
        assert loop.time() < until, f"never happened: {what}"
        await asyncio.sleep(0.005)  # polls the condition that the caller waits for


def make_site(site: Path, scenario: Scenario) -> Path:
    """The folders and node files that a supervisor makes before the world starts."""
    for name in ("run", "nodes", "cameras"):
        (site / name).mkdir(parents=True)
    for door in scenario.door:
        key_file = site / "nodes" / f"{door.reader}.scbk"
        key_file.write_text(KEY.hex())
        node = {
            "name": door.reader,
            "bus": str(site / "run" / f"node-{door.reader}"),
            "pins": str(site / "run" / "pins.sock"),
            "address": door.address,
            "scbk_file": str(key_file),
            "serial": 1000 + door.address,
        }
        (site / "nodes" / f"{door.reader}.json").write_text(json.dumps(node))
    return site
