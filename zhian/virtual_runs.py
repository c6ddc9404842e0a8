"""Scenarios in which no process takes part, on virtual time: the gateway's own control and rules, the world's physics.

Exact and as fast as the machine: every timer of both sides runs on one loop whose clock jumps (zhian/virtual_time.py).
What is left out is in docs/simulator.md: buses, firmware, disk, network, center.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import tomli_w

from center.contract.catalogue import Event
from center.contract.cloudevents import to_cloudevent
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.judge import Judge
from gateway.control.site import Site
from gateway.errors import GatewayError, OperationRefusedError
from gateway.model import PortalMode
from gateway.portal.door import DoorTimes
from gateway.ports import NewEntry
from gateway.store import policy_file
from runtime.errors import UserError
from sim import action as actions
from sim import door as doors
from sim import expectations, person
from sim.pins.board import Board
from sim.scenario import Card, Crowd, Holder, Scenario
from sim.step import Step
from sim.timeline import Timeline
from zhian import site_files
from zhian.virtual_node import VirtualNode, VirtualNodes
from zhian.virtual_time import GatewayClock, VirtualLoop, WorldClock

START_AT = "2026-03-02 08:00"  # a Monday; for scenarios that name no time
EPOCH = "virtual"
SETTLE_S = 10.0  # after the timeline: doors close, time-outs end
PIN_WAIT_MS = 10_000
MAX_EVENTS = 200_000
CROWD_NUMBER = 1_000_000  # of the first card of a crowd


class Recording:
    """gateway.ports.Recorder in memory: what the journal would hold, as everybody outside sees it."""

    def __init__(self, clock: GatewayClock) -> None:
        self.events: list[dict[str, Any]] = []
        self._clock = clock

    async def record(
        self,
        entries: Sequence[NewEntry],
        *,
        late_ok: bool = False,  # noqa: ARG002  # this store never fails
        keep: Mapping[str, str | None] | None = None,  # noqa: ARG002  # and is never read again
    ) -> None:
        """Never fails. Raises UserError at MAX_EVENTS: something records without end."""
        for entry in entries:
            if len(self.events) >= MAX_EVENTS:
                raise UserError(f"more than {MAX_EVENTS} events were recorded; something records without end")
            event = Event(len(self.events) + 1, self._clock.now_ms(), self._clock.certain, entry.data)
            seen = to_cloudevent(event, site_files.DISTRICT, site_files.SITE, site_files.GATEWAY, EPOCH, simulated=True)
            self.events.append(seen | {"time_ms": event.time_ms, "received_ms": event.time_ms})


class _NoFire:
    """Where nothing burns, nothing is reset."""

    async def reset(self, _operator: str) -> None:
        """Always refused."""
        raise OperationRefusedError("nothing is released by fire here")


class VirtualSite:
    """One scenario: doors with their nodes and the gateway's control over them. Made inside the loop that runs it."""

    def __init__(self, scenario: Scenario, loop: VirtualLoop) -> None:
        self.scenario = populated(scenario)
        self.facts: list[dict[str, Any]] = []
        zone = ZoneInfo(scenario.timezone)
        start = datetime.strptime(scenario.start_at or START_AT, "%Y-%m-%d %H:%M").replace(tzinfo=zone)
        self.clock = GatewayClock(loop, start, zone)
        self.timeline = Timeline(WorldClock(loop))
        self.recording = Recording(self.clock)
        self._judge = Judge(_policy(self.scenario), self.clock, _SITE_KEY, self.recording)
        self._nodes = VirtualNodes()
        self.doors: dict[str, doors.Door] = {}
        self.controls: dict[str, DoorControl] = {}
        for door in self.scenario.door:
            self._add(door)
        self._site = Site(self._judge, self.controls, _NoFire())  # type: ignore[arg-type]  # only `reset` is asked of it

    def _add(self, spec: Any) -> None:
        board = Board(spec.reader, self.timeline, self._rng(spec.reader), inputs=doors.INPUTS, outputs=doors.OUTPUTS)
        self.doors[spec.name] = doors.Door(
            spec.name, board, self.timeline, self._rng(spec.name), self.record, closer_s=spec.closer_s
        )
        times = DoorTimes(round(spec.unlock_s * 1000), round(spec.held_open_s * 1000))
        label = {"zh": spec.label.zh, "en": spec.label.en}
        settings = DoorSettings(spec.name, spec.reader, label, times, PIN_WAIT_MS)
        control = self.controls[spec.name] = DoorControl(settings, self._judge, self._nodes)
        self._nodes.by_name[spec.reader] = VirtualNode(spec.reader, board, self.timeline, control.observe)

    def _rng(self, what: str) -> random.Random:
        return random.Random(f"{self.scenario.seed}/{what}")  # noqa: S311  # physics, no secret

    def record(self, kind: str, subject: str, **details: object) -> None:
        """A fact of the world, as in world.jsonl; `unix_ms` is virtual as well."""
        at_ms = self.timeline.now_ms
        fact = {"t_ms": round(at_ms, 3), "unix_ms": self.clock.now_ms(), "kind": kind, "subject": subject}
        self.facts.append({**fact, **details})

    async def play(self) -> None:
        """The whole timeline."""
        works: list[Coroutine[Any, Any, None]] = [self.timeline.run()]
        works += [control.run() for control in self.controls.values()]
        if self._needs_site():
            works.append(self._site.run())
        running = [asyncio.create_task(work) for work in works]
        try:
            for node in self._nodes.by_name.values():
                node.begin()
            self.record("round.begun", self.scenario.name, round=1)
            await _first_failure(self._steps(), running)
            self.record("round.ended", self.scenario.name, round=1)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _needs_site(self) -> bool:
        """Schedules that unlock are looked at every second, which a week of them would make slow."""
        modes = any(step.do in ("set_mode", "lockdown", "end_lockdown") for step in self.scenario.step)
        return modes or any(portal.unlock_schedule for portal in self._judge.policy.portals.values())

    async def _steps(self) -> None:
        begun_ms = self.timeline.now_ms
        for step in sorted(self.scenario.step, key=lambda step: step.at_s):
            await self.timeline.sleep(begun_ms + step.at_s * 1000 - self.timeline.now_ms)
            self.record("step", step.id, do=step.do, round=1)
            await self._do(step)
        await self.timeline.sleep(begun_ms + (self.scenario.duration_s + SETTLE_S) * 1000 - self.timeline.now_ms)

    async def _do(self, step: Step) -> None:
        action = actions.from_step(step)
        try:
            if action.do in ("set_mode", "lockdown", "end_lockdown"):
                await self._operate(action)
            else:
                await self._act(action, self.doors[action.door or ""])
        except (GatewayError, UserError) as e:
            self.record("step.failed", step.id, cause=str(e))

    async def _operate(self, action: actions.Action) -> None:
        if action.do == "set_mode":
            await self._site.set_mode(action.door or "", PortalMode(str(action.mode)), "on-site")
        elif action.do == "lockdown":
            await self._site.begin_lockdown("on-site")
        else:
            await self._site.end_lockdown("on-site")

    async def _act(self, action: actions.Action, door: doors.Door) -> None:
        if action.do == "present_card":
            person.present_card(action.who or "", actions.card_of(action, self.scenario), door, self.record)
        elif action.do == "enter_pin":
            pin = actions.pin_of(action, self.scenario)
            await person.enter_pin(action.who or "", pin, door, self.timeline, self.record)
        elif action.do == "press_rex":
            door.press_rex()
        elif action.do == "leave":
            door.leave()
        elif action.do == "force_door":
            door.force()
        elif action.do == "hold_door":
            door.hold((action.for_s or 0.0) * 1000)


_SITE_KEY = bytes(32)  # nobody is to be protected here


def play(scenario: Scenario, speed: float | None) -> tuple[VirtualSite, float]:
    """Play it, at most `speed` times as fast as real time (None: `max_speed`), in a loop of its own; blocks.

    Returns the site as it is then, and the real seconds. Raises UserError where the scenario cannot be run.
    """
    begun_s = time.monotonic()
    loop = VirtualLoop(speed or scenario.max_speed)
    try:
        site = loop.run_until_complete(_played(scenario, loop))
    finally:
        loop.close()
    return site, time.monotonic() - begun_s


async def _played(scenario: Scenario, loop: VirtualLoop) -> VirtualSite:
    site = VirtualSite(scenario, loop)
    await site.play()
    return site


def outcome(scenario: Scenario, speed: float | None) -> tuple[dict[str, Any], VirtualSite]:
    """Play and judge: what `zhian sim run --json` prints, and the site for the report."""
    site, took_s = play(scenario, speed)
    results = expectations.check([e.text for e in scenario.expect], site.facts, site.recording.events)
    made = len(site.recording.events)
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "ok": all(result.ok for result in results),
        "seconds": round(took_s, 2),
        "virtual_seconds": scenario.duration_s,
        "expectations": [{"text": r.text, "ok": r.ok, "seen": r.seen} for r in results],
        "faults": [],
        "crashes": [],
        "logs": {},
        "events_made": made,
        "events_stored": made,
        "lost": 0,
        "duplicated": 0,
    }, site


def populated(scenario: Scenario) -> Scenario:
    """The scenario with its crowds as people and steps of their own."""
    holders, steps, number = list(scenario.holder), list(scenario.step), CROWD_NUMBER
    for crowd in scenario.crowd:
        for n in range(1, crowd.count + 1):
            holders.append(_member(crowd, n, number))
            at_s = crowd.at_s + (n - 1) * crowd.every_s
            who = f"{crowd.id}-{n}"
            steps.append(Step(id=who, at_s=at_s, do="present_card", who=who, door=crowd.door))
            number += 1
    return msgspec.structs.replace(scenario, holder=tuple(holders), step=tuple(steps), crowd=())


def _member(crowd: Crowd, n: int, number: int) -> Holder:
    name = msgspec.structs.replace(crowd.name, zh=f"{crowd.name.zh}{n}", en=f"{crowd.name.en} {n}")
    card = Card(id=f"{crowd.id}-card-{n}", bits=37, number=number)
    return Holder(id=f"{crowd.id}-{n}", name=name, group=crowd.group, cards=(card,))


def _policy(scenario: Scenario) -> Any:
    """Through the file, as on a real site. Raises ConfigError."""
    with tempfile.TemporaryDirectory(prefix="zhian-") as folder:
        file = Path(folder) / "policy.toml"
        file.write_text(tomli_w.dumps(site_files.policy(scenario, _SITE_KEY)), "utf-8")
        return policy_file.read(file)


async def _first_failure(work: Coroutine[Any, Any, None], others: Sequence[asyncio.Task[None]]) -> None:
    """Await `work`, unless one of the others, which never end, fails first."""
    mine: Awaitable[None] = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({mine, *others}, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
    for task in done:
        await task
