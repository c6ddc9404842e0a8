"""The whole world: with the real firmware and our OSDP driver as its control panel, and without them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sim_rig import KEY, eventually, make_site

from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.model import CardRead, KeysEntered, Observation, PulseOutput, Signal
from sim import main, nodes, scenario, world
from sim.errors import ActionError, NodeError, SimError
from sim.timeline import RealClock

READER = "lobby-reader"
LIN = 11574338


class Clock:
    """The gateway's clock."""

    certain = True

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Panel:
    """A control panel that lets one card in: a real OSDP driver with the simplest of rules."""

    run_dir: Path
    seen: list[Observation] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        device = OsdpDevice(READER, 5, KEY, {0: "contact", 1: "rex"}, {"lock": 0})
        self.bus = OsdpBus("rs485-a", str(self.run_dir / "bus-rs485-a"), 38400, [device], Clock(), self.observe)

    def observe(self, seen: Observation) -> None:
        self.seen.append(seen)
        if isinstance(seen, CardRead):
            value = int.from_bytes(seen.data, "big") >> (8 * len(seen.data) - seen.bits)
            known = (seen.bits, value) == (26, LIN)
            commands = [PulseOutput("lock", 1500), Signal("granted")] if known else [Signal("denied")]
            task = asyncio.get_running_loop().create_task(self.bus.send(READER, commands))
            self.tasks.add(task)

    def keys(self) -> str:
        return "".join(seen.keys for seen in self.seen if isinstance(seen, KeysEntered))


def cut_node(tmp_path: Path, **changes: Any) -> scenario.Scenario:
    path = next(path for path in scenario.listed() if path.stem == "cut-node")
    return msgspec.structs.replace(scenario.load(path), **changes)


def facts(site: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (site / "world.jsonl").read_text(encoding="utf-8").splitlines()]


@contextlib.asynccontextmanager
async def living(w: world.World) -> AsyncIterator[world.World]:
    stop = asyncio.Event()
    task = asyncio.create_task(w.run(stop))
    started = asyncio.create_task(w.started.wait())
    try:
        await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
        yield w
    finally:
        started.cancel()
        stop.set()
        await task


async def test_a_card_opens_the_door_of_a_real_node_and_power_cuts_are_survived(tmp_path: Path) -> None:
    s = cut_node(tmp_path, step=(), duration_s=600.0)
    site = make_site(tmp_path / "s", s)
    w = world.World(s, site, RealClock())
    async with living(w):
        panel = Panel(site / "run")
        polling = asyncio.create_task(panel.bus.run())
        door = w.doors["lobby"]
        try:
            await eventually(lambda: panel.bus.online(READER), "the node is in session")
            assert w.snapshot()["doors"][0]["node"] == "online"

            await w.perform({"do": "present_card", "who": "lin-lan", "door": "lobby"})
            await eventually(lambda: door.open, "the door opens")
            assert w.snapshot()["doors"][0] | {"label": None} == {
                "name": "lobby", "label": None, "lock": "released", "leaf": "open", "led": "green", "beeps": 1,
                "text": "", "node": "online",
            }  # fmt: skip
            await eventually(lambda: not door.open and not door.released, "the door closes and locks")

            await w.perform({"do": "enter_pin", "who": "lin-lan", "pin": "4729", "door": "lobby"})
            await eventually(lambda: panel.keys() == "4729#", "the keys arrive in order")

            w.switch_node("lobby", on=False)
            await eventually(lambda: not panel.bus.online(READER), "the panel misses the node")
            await w.perform({"do": "present_card", "who": "lin-lan", "door": "lobby"})
            assert facts(site)[-1]["kind"] == "reader.dead"
            assert w.snapshot()["doors"][0]["node"] == "off"

            w.switch_node("lobby", on=True)
            await eventually(lambda: panel.bus.online(READER), "the node is back")
            await w.perform({"do": "present_card", "who": "lin-lan", "door": "lobby"})
            await eventually(lambda: door.open, "the card works again")
        finally:
            polling.cancel()
    kinds = [fact["kind"] for fact in facts(site)]
    assert kinds[0] == "world.started"
    assert kinds[-1] == "world.stopped"
    for kind in ("node.ready", "card.presented", "lock.released", "door.opened", "door.closed", "node.cut"):
        assert kind in kinds


async def test_a_node_that_dies_is_started_again_and_none_outlives_the_world(tmp_path: Path) -> None:
    s = cut_node(tmp_path, step=(), duration_s=600.0)
    site = make_site(tmp_path / "s", s)
    w = world.World(s, site, RealClock())
    async with living(w):
        node = w.nodes["lobby"]
        await eventually(lambda: node.running, "ready")
        first = node.pid
        assert first is not None
        os.kill(first, 9)
        await eventually(lambda: node.running and node.pid != first, "started again by its watchdog")
        second = node.pid
    assert second is not None
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_without_an_interpreter_the_world_runs_without_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(nodes.platform, "machine", lambda: "aarch64")
    with pytest.raises(NodeError, match="x86_64 only and this is aarch64; the demo runs without nodes"):
        nodes.interpreter()
    s = cut_node(tmp_path, step=())
    async with living(world.World(s, make_site(tmp_path / "s", s), RealClock())) as w:
        assert w.snapshot()["doors"][0]["node"] == "off"
        with pytest.raises(ActionError, match="lobby has no node on this machine"):
            w.switch_node("lobby", on=False)
        await w.perform({"do": "present_card", "who": "lin-lan", "door": "lobby"})
    assert facts(tmp_path / "s")[-2]["kind"] == "reader.dead"


async def test_a_loop_plays_its_steps_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(world, "SETTLE_MS", 0.0)
    s = cut_node(tmp_path)
    rex = msgspec.structs.replace(s.step[1], id="leave", do="press_rex", at_s=5.0)
    forced = msgspec.structs.replace(s.step[1], id="forced", do="force_door", at_s=1.0)
    s = msgspec.structs.replace(s, step=(rex, forced), duration_s=20.0)
    async with living(world.World(s, make_site(tmp_path / "s", s), RealClock(speed=200.0), loop=True)) as w:
        await w.finished.wait()
        await eventually(lambda: sum(f["kind"] == "round.ended" for f in facts(tmp_path / "s")) >= 2, "two rounds")
    steps = [(f["subject"], f["round"]) for f in facts(tmp_path / "s") if f["kind"] == "step"]
    assert steps[:4] == [("forced", 1), ("leave", 1), ("forced", 2), ("leave", 2)]
    assert any(line["en"] == "Lobby door is forced open" for line in w.snapshot()["log"])


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ({"do": "dance"}, "this cannot be done"),
        ({"do": "press_rex"}, "press_rex needs door; door is missing"),
        ({"do": "press_rex", "door": "attic"}, r"door: expected one of \['lobby'\], got 'attic'"),
        ({"do": "press_rex", "door": "lobby", "x": 1}, "unknown field"),
        ({"do": "press_rex", "door": 5}, "Expected `str"),
        ({"do": "present_card", "who": "nobody", "door": "lobby"}, "who: expected one of"),
        ({"do": "present_card", "who": "lin-lan", "card": "x", "door": "lobby"}, "'lin-lan' has no card 'x'"),
        ({"do": "enter_pin", "who": "lin-lan", "door": "lobby"}, "'lin-lan' has no PIN"),
        ({"do": "drive_up", "plate": "x", "barrier": "lobby"}, "this cannot be done"),
        ({"do": "drive_up", "plate": "京N7K3Q2", "barrier": "lobby"}, r"barrier: expected one of \[\]"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, action: dict[str, Any], sentence: str) -> None:
    w = world.World(cut_node(tmp_path), tmp_path, RealClock())
    with pytest.raises(ActionError, match=sentence) as caught:
        await w.perform(action)
    assert "\n" not in str(caught.value)


async def test_the_snapshot_of_the_demo_has_what_the_page_shows(tmp_path: Path) -> None:
    path = next(path for path in scenario.listed() if path.stem == "daily-life")
    shown = world.World(scenario.load(path), tmp_path, RealClock()).snapshot()
    assert json.loads(json.dumps(shown)) == shown
    assert [door["name"] for door in shown["doors"]] == ["lobby", "garage"]
    assert shown["barriers"] == [
        {
            "name": "north-gate",
            "label": {"zh": "北门车闸", "en": "North gate"},
            "arm": "lowered",
            "loop": False,
            "car": None,
        }
    ]
    assert {"id": "zhou-yi", "name": {"zh": "周亦", "en": "Zhou Yi"}, "cards": ["zhou-card"], "has_pin": True} in shown[
        "people"
    ]
    assert {"plate": "苏E5H902", "owner": {"zh": "路人", "en": "A passer-by"}} in shown["cars"]


async def test_the_process_refuses_a_site_that_was_not_made(tmp_path: Path) -> None:
    with pytest.raises(SimError, match="there is no folder run in it"):
        await main.run_world(scenario.listed()[0], tmp_path, loop=False, page_port=None)


async def test_an_error_inside_the_process_is_told_as_it_is(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    (deep / "run").mkdir(parents=True)
    with pytest.raises(SimError, match="a socket's path has at most 107 bytes"):
        await main.run_world(scenario.listed()[0], deep, loop=False, page_port=None)


WORLD_PROCESS = """
import asyncio, sys
from pathlib import Path
from sim.main import run_world
asyncio.run(run_world(Path(sys.argv[1]), Path(sys.argv[2]), loop=False, page_port=None))
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_nodes_die_with_a_world_that_is_killed(tmp_path: Path) -> None:
    file = next(path for path in scenario.listed() if path.stem == "cut-node")
    site = make_site(tmp_path / "s", scenario.load(file))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORLD_PROCESS, str(file), str(site))
    record = site / "world.jsonl"
    await eventually(lambda: record.exists() and "node.ready" in record.read_text(), "the node is ready")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    assert alive(int(children[0]))
    process.kill()
    await process.wait()
    await eventually(lambda: not alive(int(children[0])), "the node dies with it")
