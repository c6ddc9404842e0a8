"""Card on the wire to relay at the node, with the real MicroPython node, bus, decision and journal between.

Ceiling of the same run: one bare poll round trip on that line plus one durable commit of such a row.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path

from center.contract import catalogue
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.devices import Devices
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.judge import Judge
from gateway.drivers.clock import SystemClock
from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.model import CardRead, CredentialKind, Observation
from gateway.portal.door import DoorTimes
from gateway.ports import NewEntry
from gateway.store import database
from gateway.store.journal import Journal
from sim.bus import Bus
from sim.door import INPUTS, OUTPUTS
from sim.nodes import Node
from sim.pins.board import Board
from sim.pins.server import PinsServer
from sim.timeline import RealClock, Timeline
from zhian.benches import Figure, against

BAUD = 115_200
CARDS = 120
UNLOCK_MS = 100
COMMITS = 200
POLLING_S = 2.0
CARD_BITS, CARD_NUMBER = 26, 0x155_5555


def run() -> list[Figure]:
    """p50 and p99 of the door's own time."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as folder:
        return asyncio.run(_Door(Path(folder)).measure())


class _Door:
    """One door with everything that is real between the reader and the lock."""

    def __init__(self, folder: Path) -> None:
        self.seen_s: list[float] = []
        self.moved_s: list[float] = []
        self.moved = asyncio.Event()
        key = secrets.token_bytes(16)
        self.timeline = Timeline(RealClock())
        self.board = Board("reader", self.timeline, random.Random(1), inputs=INPUTS, outputs=OUTPUTS)  # noqa: S311
        self.board.set_contact("contact", closed=True, bounce=False)
        self.board.listen("relay", self._relay)
        self.pins = PinsServer(folder / "pins.sock", {"reader": self.board})
        self.line = Bus("bench", BAUD, folder, ["reader"])
        self.node = Node("reader", _node_file(folder, key))
        file = folder / "bench.sqlite"
        clock = SystemClock("Asia/Shanghai", 0)
        self.journal = Journal(database.open_for_writing(file), clock, file)
        judge = Judge(_policy(), clock, bytes(32), self.journal)
        self.devices = Devices(judge)
        settings = DoorSettings("lobby", "reader", {}, DoorTimes(UNLOCK_MS, 30_000), 15_000)
        self.door = DoorControl(settings, judge, self.devices)
        device = OsdpDevice("reader", 5, key, {0: "contact", 1: "rex"}, {"lock": 0})
        port = str(folder / "bus-bench")
        self.bus = OsdpBus("bench", port, BAUD, [device], clock, self._observe, idle_gap_ms=0)
        self.devices.attach({"reader": self.bus}, {"reader": self.door})

    async def measure(self) -> list[Figure]:
        await self.pins.start()
        self.line.open()
        self.line.power("reader", True)
        self.node.on()
        works = [self.timeline.run(), self.line.run(), self.node.run(), self.bus.run(), self.door.run()]
        tasks = [asyncio.create_task(work) for work in (*works, self.devices.loop.run())]
        try:
            async with asyncio.timeout(60):
                while not self.bus.online("reader"):  # noqa: ASYNC110 - the bus has no event for it
                    await asyncio.sleep(0.02)
                poll_s = await self._poll_s()
                commits_s = sorted([await self._commit_s() for _ in range(COMMITS)])
                for _ in range(CARDS):
                    await self._card()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.node.off()
            self.line.close()
            await self.pins.close()
            await self.journal.close()
        taken_s = sorted(moved - seen for seen, moved in zip(self.seen_s, self.moved_s, strict=True))
        return [
            _figure("door: card to relay, p50", statistics.median(taken_s), poll_s + statistics.median(commits_s), 2.0),
            _figure("door: card to relay, p99", _p99(taken_s), poll_s + _p99(commits_s), 4.0),
        ]

    async def _poll_s(self) -> float:
        before, began = self.bus.exchanges, time.perf_counter()
        await asyncio.sleep(POLLING_S)
        return (time.perf_counter() - began) / (self.bus.exchanges - before)

    async def _commit_s(self) -> float:
        began = time.perf_counter()
        await self.journal.record([NewEntry(catalogue.AccessGranted("lobby", "reader", "card", "permitted", "a" * 16))])
        return time.perf_counter() - began

    async def _card(self) -> None:
        self.moved.clear()
        data = (CARD_NUMBER << (32 - CARD_BITS)).to_bytes(4, "big").hex()
        self.board.send({"op": "wiegand", "port": "reader", "bits": CARD_BITS, "data": data})
        await self.moved.wait()
        await asyncio.sleep(UNLOCK_MS * 2 / 1000)  # the pulse ends before the next card

    def _observe(self, observation: Observation) -> None:
        if isinstance(observation, CardRead):
            self.seen_s.append(time.perf_counter())
        self.devices.observe(observation)

    def _relay(self, level: int) -> None:
        if level:
            self.moved_s.append(time.perf_counter())
            self.moved.set()


def _figure(name: str, value_s: float, ceiling_s: float, goal: float) -> Figure:
    return against(name, value_s * 1000, "ms", ceiling_s * 1000, goal, "lower")


def _p99(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def _node_file(folder: Path, key: bytes) -> Path:
    (folder / "reader.key").write_text(key.hex())
    settings = {
        "name": "reader",
        "bus": str(folder / "node-reader"),
        "pins": str(folder / "pins.sock"),
        "address": 5,
        "scbk_file": str(folder / "reader.key"),
        "serial": 1,
    }
    path = folder / "reader.json"
    path.write_text(json.dumps(settings))
    return path


def _policy():  # type: ignore[no-untyped-def]
    card = CredentialKind.CARD
    return compile_policy(
        1,
        [Holder("h", frozenset({"g"}), {})],
        [Credential(card, f"{CARD_BITS}:{CARD_NUMBER}", "h")],
        [Rule("g", frozenset({"lobby"}), ALWAYS)],
        [PortalPolicy("lobby", (frozenset({card}),))],
    )
