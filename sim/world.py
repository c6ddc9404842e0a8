"""The whole virtual site: composes things, people and cars, plays the timeline, and shows what is going on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from runtime import log
from sim import action as actions
from sim import barrier as barriers
from sim import door as doors
from sim import doorways, nodes, operator, person
from sim.action import Action
from sim.bus import Bus
from sim.camera import Camera, Offload
from sim.car import Lane, Scenes
from sim.chronicle import Chronicle
from sim.errors import ActionError, NodeError
from sim.faults import Faults
from sim.fire_panel import STEPS as FIRE_STEPS
from sim.fire_panel import FirePanel
from sim.pins.board import Board
from sim.pins.server import PinsServer
from sim.scenario import Scenario
from sim.step import OPERATIONS, PICTURES
from sim.timeline import Clock, Timeline

GATEWAY = "gateway"  # the device whose pins the barriers and the fire panel are wired to
MAX_ACTIONS = 32  # going on at once
ALIVE_WAIT_MS = 30_000.0  # how long the timeline waits for the site to be up
ALIVE_BYTES = 200  # a node that has answered so much has its secure session
SETTLE_MS = 1500.0

_log = log.get("sim.world")


class World:
    """One scenario, alive. Construct, then `run`; `snapshot` and `perform` are what the simulator's page uses."""

    def __init__(
        self,
        scenario: Scenario,
        site_dir: Path,
        clock: Clock,
        *,
        loop: bool = False,
        scenes: Scenes | None = None,
        offload: Offload = asyncio.to_thread,
    ) -> None:
        """`loop`: play the timeline again and again. `scenes`: the renderer, sim.render.scene unless given."""
        self.scenario = scenario
        self.site_dir = site_dir
        self.loop = loop
        self.started = asyncio.Event()
        self.finished = asyncio.Event()  # the timeline was played once
        self.timeline = Timeline(clock)
        self.chronicle = Chronicle(site_dir / "world.jsonl", scenario, self.timeline)
        self._rng = random.Random(scenario.seed)
        self._visits = 0
        self._actions: set[asyncio.Task[None]] = set()
        run_dir = site_dir / "run"
        self.boards: dict[str, Board] = {}
        self.doors = {d.name: self._door(d.name, d.reader, d.closer_s) for d in scenario.door}
        self.nodes = {d.name: nodes.Node(d.reader, site_dir / "nodes" / f"{d.reader}.json") for d in scenario.door}
        self.buses = {
            b.name: Bus(b.name, b.baud, run_dir, [d.reader for d in scenario.door if d.bus == b.name])
            for b in scenario.bus
        }
        cameras = {
            c.name: Camera(c.name, site_dir / "cameras" / c.name, self.timeline, fps=c.fps, offload=offload)
            for c in scenario.camera
        }
        self._gateway_board()
        self.lanes = self._lanes(cameras, scenes)
        self.doorways = doorways.of(scenario, cameras, self.doors, self.timeline, self.chronicle.record)
        self.cameras = cameras
        self.fire = self._fire_panel()
        self._pins = PinsServer(run_dir / "pins.sock", self.boards)
        self.faults = Faults(scenario, run_dir, self.buses, self.chronicle.record, self.chronicle.local_time)

    # --- composing ----------------------------------------------------------------------------------------------

    def _board(self, device: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Board:
        rng = random.Random(f"{self.scenario.seed}/{device}")
        self.boards[device] = board = Board(device, self.timeline, rng, inputs=inputs, outputs=outputs)
        return board

    def _door(self, name: str, reader: str, closer_s: float) -> doors.Door:
        board = self._board(reader, doors.INPUTS, doors.OUTPUTS)
        rng = random.Random(f"{self.scenario.seed}/{name}")
        return doors.Door(name, board, self.timeline, rng, self.chronicle.record, closer_s=closer_s)

    def _gateway_board(self) -> None:
        """The gateway's header, where anything is wired to it."""
        wired = [_pins(b.pins) for b in self.scenario.barrier]
        inputs = [pins[role] for pins in wired for role in ("raised", "lowered", "loop")]
        if self.scenario.fire_panel.gateway_pin is not None:
            inputs.append(str(self.scenario.fire_panel.gateway_pin))
        if inputs:
            self._board(GATEWAY, tuple(inputs), tuple(pins[role] for pins in wired for role in ("raise", "lower")))

    def _fire_panel(self) -> FirePanel:
        pin = self.scenario.fire_panel.gateway_pin
        doors = {d.name: (self.doors[d.name], d.fire) for d in self.scenario.door if d.fire != "none"}
        gateway = None if pin is None else (self.boards[GATEWAY], str(pin))
        return FirePanel(doors, gateway, self.chronicle.record)

    def _lanes(self, cameras: Mapping[str, Camera], scenes: Scenes | None) -> dict[str, Lane]:
        if not self.scenario.barrier:
            return {}
        wired, board = [_pins(b.pins) for b in self.scenario.barrier], self.boards[GATEWAY]
        if scenes is None:
            from sim.render import scene as scenes  # drawing needs OpenCV; a site without cameras does not
        record, lanes = self.chronicle.record, {}
        for place, (spec, pins) in enumerate(zip(self.scenario.barrier, wired, strict=True)):
            view = next(c for c in self.scenario.camera if c.name == spec.camera)
            arm = barriers.Barrier(spec.name, board, pins, self.timeline, record, travel_s=spec.travel_s)
            lanes[spec.name] = Lane(
                arm,
                cameras[spec.camera],
                scenes,
                self.timeline,
                record,
                size=(view.width, view.height),
                fps=view.fps,
                place=self.scenario.seed * 100 + place,
            )
        return lanes

    # --- running ------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Be the world until `stop` is set or the task is cancelled. Raises SimError where it cannot be set up."""
        try:
            await self._open()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._everlasting()]
                tasks.append(group.create_task(self._play()))
                self.started.set()
                await stop.wait()
                for task in (*tasks, *self._actions):
                    task.cancel()
        finally:
            for task in self._actions:
                task.cancel()
            await asyncio.gather(*self._actions, return_exceptions=True)
            await self._close()

    def _everlasting(self) -> list[Coroutine[Any, Any, None]]:
        works = [self.timeline.run(), *(bus.run() for bus in self.buses.values())]
        works += [camera.run() for camera in self.cameras.values()]
        if self._nodes_can_run():
            for name, node in self.nodes.items():
                self._power(name, node)
                works.append(node.run())
        return works

    def _nodes_can_run(self) -> bool:
        try:
            nodes.interpreter()
            nodes.firmware_root()
        except NodeError as e:
            _log.warning(str(e))
            self.nodes = {}
            return False
        return True

    def _power(self, door: str, node: nodes.Node) -> None:
        spec = next(d for d in self.scenario.door if d.name == door)
        node.on_power = lambda on: self.buses[spec.bus].power(spec.reader, on)
        node.on_ready = lambda: self.chronicle.record("node.ready", door)
        node.on()

    async def _open(self) -> None:
        self.chronicle.open()
        await self._pins.start()
        for bus in self.buses.values():
            bus.open()
        for camera in self.cameras.values():
            camera.open()
        for view in (*self.lanes.values(), *self.doorways.values()):
            await view.show_empty()
        self.chronicle.record("world.started", self.scenario.name, seed=self.scenario.seed)
        await self.faults.start()

    async def _close(self) -> None:
        await self._pins.close()
        await self.faults.close()
        for bus in self.buses.values():
            bus.close()
        self.chronicle.record("world.stopped", self.scenario.name)
        self.chronicle.close()

    async def _play(self) -> None:
        """Wait for the site, then do each step at its time, once or again and again."""
        await self._site_is_up()
        rounds = 0
        while self.loop or rounds == 0:
            rounds += 1
            begun_ms = self.timeline.now_ms
            self.chronicle.record("round.begun", self.scenario.name, round=rounds)
            for step in sorted(self.scenario.step, key=lambda step: step.at_s):
                await self.timeline.sleep(begun_ms + step.at_s * 1000 - self.timeline.now_ms)
                self.chronicle.record("step", step.id, do=step.do, round=rounds)
                try:
                    self._begin(actions.from_step(step))
                except ActionError as e:
                    self.chronicle.record("step.failed", step.id, cause=str(e))
                    _log.warning("a step cannot be done", step=step.id, cause=str(e))
            await self.timeline.sleep(begun_ms + self.scenario.duration_s * 1000 - self.timeline.now_ms)
            self.chronicle.record("round.ended", self.scenario.name, round=rounds)
            self.finished.set()

    async def _site_is_up(self) -> None:
        """Wait until everything that can answer does: nodes in session, the gateway at its pins; not for ever."""
        until_ms = self.timeline.now_ms + ALIVE_WAIT_MS
        while missing := self._not_up():
            if self.timeline.now_ms > until_ms:
                _log.warning("the timeline begins although the site is not up", missing=", ".join(missing))
                break
            await self.timeline.sleep(100)
        else:
            await self.timeline.sleep(SETTLE_MS)

    def _not_up(self) -> list[str]:
        missing = []
        for spec in self.scenario.door:
            if self.nodes and not self._node_is_up(spec.name, self.buses[spec.bus].bytes_from[spec.reader]):
                missing.append(f"node {spec.reader}")
        if self.scenario.gateway and GATEWAY in self.boards and not self.boards[GATEWAY].connected:
            missing.append("the gateway's pins")
        return missing

    def _node_is_up(self, door: str, answered_bytes: int) -> bool:
        """It has answered a gateway, or merely runs where there is none."""
        return answered_bytes >= ALIVE_BYTES if self.scenario.gateway else self.nodes[door].running

    # --- acting -------------------------------------------------------------------------------------------------

    async def perform(self, action: Mapping[str, object]) -> None:
        """Begin what somebody asks for, e.g. {"do": "press_rex", "door": "lobby"}. Raises ActionError."""
        self._begin(actions.parse(action, self.scenario))

    def _begin(self, action: Action) -> None:
        """Start one action. Raises ActionError where it is plain at once that it cannot be done."""
        if len(self._actions) >= MAX_ACTIONS:
            raise ActionError(f"{MAX_ACTIONS} things are already going on; wait for one to end")
        work = self._work(action)
        if work is not None:
            task = asyncio.get_running_loop().create_task(self._act(action.do, work))
            self._actions.add(task)
            task.add_done_callback(self._actions.discard)

    async def _act(self, do: str, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except ActionError as e:
            self.chronicle.record("action.failed", do, cause=str(e))
            _log.warning("an action ended early", cause=str(e))

    def _work(self, action: Action) -> Coroutine[Any, Any, Any] | None:
        """Do what takes no time and return the rest, if any."""
        record = self.chronicle.record
        if action.do == "drive_up":
            self._visits += 1
            return self.lanes[action.barrier or ""].visit(
                action.plate or "",
                self.scenario.seed * 10_000 + self._visits,
                self.scenario.plate_kind(action.plate or ""),
            )
        if action.do in ("walk_up", *PICTURES):
            self._visits += 1
            return doorways.begin(action, self.doorways, self.scenario, self.scenario.seed * 10_000 + self._visits)
        if action.do in OPERATIONS:
            card = actions.card_of(action, self.scenario) if action.do == "revoke_card" else None
            return operator.ask(action, self.faults.power, record, card)
        if action.do in FIRE_STEPS:
            return self.fire.begin(action)
        if action.door is None:
            return self.faults.begin(action)
        door = self.doors[action.door]
        if action.do == "present_card":
            person.present_card(action.who or "", actions.card_of(action, self.scenario), door, record)
        elif action.do == "enter_pin":
            pin = actions.pin_of(action, self.scenario)
            return person.enter_pin(action.who or "", pin, door, self.timeline, record)
        elif action.do == "press_rex":
            door.press_rex()
        elif action.do == "leave":
            door.leave()
        elif action.do == "force_door":
            if not door.force():
                raise ActionError(f"{door.name} is open already; wait until it is closed")
        elif action.do == "hold_door":
            door.hold((action.for_s or 0.0) * 1000)
        elif action.do in ("open_case", "close_case"):
            if not door.open_case(opened=action.do == "open_case"):
                raise ActionError(
                    f"the housing of {door.name}'s node is {'open' if door.case_open else 'closed'} already"
                )
        elif action.do in ("cut_node", "return_node"):
            self.switch_node(door.name, on=action.do == "return_node")
        return None

    def switch_node(self, door: str, *, on: bool) -> None:
        """The power switch of a door's node. Raises ActionError."""
        node = self.nodes.get(door)
        if node is None:
            raise ActionError(f"{door} has no node on this machine; nodes need the MicroPython interpreter")
        if node.powered == on:
            raise ActionError(f"the node of {door} is {'on' if on else 'off'} already")
        self.chronicle.record("node.returned" if on else "node.cut", door)
        if on:
            node.on()
        else:
            node.off()

    # --- showing ------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything the page shows, as plain JSON values."""
        return {
            "time_s": round(self.timeline.now_ms / 1000, 1),
            "scenario": self.scenario.name,
            "doors": [self._show_door(d.name, _label(d.label)) for d in self.scenario.door],
            "barriers": [self._show_barrier(b.name, _label(b.label)) for b in self.scenario.barrier],
            "people": [
                {
                    "id": p.id,
                    "name": _label(p.name),
                    "cards": [card.id for card in p.cards],
                    "has_pin": getattr(p, "pin", None) is not None,
                }
                for p in self.scenario.people
            ],
            "cars": [{"plate": plate, "owner": _label(p.name)} for p in self.scenario.people for plate in p.plates],
            "faults": self.faults.snapshot(),
            "fire": self.fire.snapshot(),
            "log": list(self.chronicle.newest),
        }

    def _show_door(self, name: str, label: dict[str, str]) -> dict[str, Any]:
        door, node = self.doors[name], self.nodes.get(name)
        return {
            "name": name,
            "label": label,
            "lock": "released" if door.released else "locked",
            "leaf": "open" if door.open else "closed",
            "led": door.led,
            "beeps": door.beeps,
            "text": door.text,
            "node": "online" if node is not None and node.running else "off",
        }

    def _show_barrier(self, name: str, label: dict[str, str]) -> dict[str, Any]:
        lane = self.lanes[name]
        return {
            "name": name,
            "label": label,
            "arm": lane.barrier.arm,
            "loop": lane.barrier.occupied,
            "car": lane.plate,
        }


def _label(label: Any) -> dict[str, str]:
    return {"zh": label.zh, "en": label.en}


def _pins(pins: Any) -> dict[str, str]:
    """Role -> the board's name of the pin."""
    return {role.rstrip("_"): str(getattr(pins, role)) for role in ("raise_", "lower", "raised", "lowered", "loop")}
