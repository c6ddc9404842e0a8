"""What is broken is said, each with the action that mends it."""

from __future__ import annotations

from typing import Any

import pytest

from sim.step import NEEDS
from sim.web.broken import broken
from sim.web.texts import TEXTS

DOOR = {"name": "lobby", "label": {"zh": "大堂", "en": "Lobby"}, "node": "online"}
WHOLE: dict[str, Any] = {
    "buses": [{"name": "a", "plugged": True, "noise": 0.0}],
    "network": {"mode": "up", "delay_ms": 0, "duplicating": False, "holding": False},
    "parts": [{"name": "core", "power": "on"}],
    "disks": [],
    "clock_offset_s": 0.0,
    "clock_synced": True,
}


def seen(door: dict[str, Any] | None = None, fire: dict[str, Any] | None = None, **faults: Any) -> dict[str, Any]:
    return {"time_s": 60.0, "doors": [DOOR | (door or {})], "faults": WHOLE | faults, "fire": fire or {}}


def test_nothing_is_broken_in_a_whole_world() -> None:
    assert broken(seen()) == []
    assert broken({"time_s": 1.0, "doors": [DOOR | {"node": "off"}]}) == []


@pytest.mark.parametrize(
    ("snapshot", "text", "body"),
    [
        (seen({"node": "off"}), "broken.node", {"do": "return_node", "door": "lobby"}),
        (seen(fire={"lit": True, "doors": []}), "broken.fire", {"do": "clear_fire"}),
        (
            seen(fire={"lit": False, "doors": [{"name": "lobby", "wire": "cut"}]}),
            "broken.wire.cut",
            {"do": "mend_fire_wire", "door": "lobby"},
        ),
        (
            seen(buses=[{"name": "a", "plugged": False, "noise": 0.0}]),
            "broken.unplugged",
            {"do": "plug_bus", "bus": "a"},
        ),
        (seen(buses=[{"name": "a", "plugged": True, "noise": 0.1}]), "broken.noise", {"do": "quiet", "bus": "a"}),
        (seen(network={"mode": "one-way"}), "broken.network.one-way", {"do": "network_restore"}),
        (seen(network={"mode": "up", "delay_ms": 200}), "broken.slow", {"do": "network_restore"}),
        (seen(network={"mode": "up", "holding": True}), "broken.holding", {"do": "network_restore"}),
        (seen(parts=[{"name": "core", "power": "off"}]), "broken.power", {"do": "return_power", "part": "core"}),
        (seen(disks=[{"name": "center", "state": "full"}]), "broken.disk", {"do": "disk_free", "part": "center"}),
        (seen(disks=[{"name": "core", "state": "read-only"}]), "broken.readonly", {"do": "disk_writable"}),
        (seen(clock_offset_s=-3600.0), "broken.clock.behind", {"do": "clock_jump", "offset_s": 0}),
        (seen(clock_synced=False), "broken.synced", {"do": "time_server_back"}),
    ],
)
def test_each_fault_is_a_line_with_what_mends_it(snapshot: dict[str, Any], text: str, body: dict[str, Any]) -> None:
    (found,) = broken(snapshot)
    assert (found.text, found.body) == (text, body)
    assert found.text in TEXTS
    assert set(NEEDS[body["do"]][0]) <= set(body)
