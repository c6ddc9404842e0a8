"""A turnstile: what is shown on either side in, decision, record, then one passage in that direction."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass

from center.contract import catalogue
from gateway.control import facts, reader_signal
from gateway.control.access_point import AccessPoint
from gateway.control.asked import Asked
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.control.lock import Lock
from gateway.errors import DriverError, OperationRefusedError, StoreError
from gateway.model import CardRead, InputChanged, KeysEntered, PortalMode, Reason, TextScanned
from gateway.portal import mode
from gateway.portal.turnstile import (
    MAX_WAITING,
    Turnstile,
    TurnstileEvent,
    TurnstileReport,
    TurnstileState,
    step,
    without_waiting_in,
)
from gateway.ports import Actuator, NewEntry

ENABLE_IN, ENABLE_OUT = "enable-in", "enable-out"  # outputs of the node, as its profile names them
TURNED_IN, TURNED_OUT, JUMPED = "turned-in", "turned-out", "jumped"  # its inputs
_EVENTS = {
    TURNED_IN: TurnstileEvent.TURNED_IN,
    TURNED_OUT: TurnstileEvent.TURNED_OUT,
    JUMPED: TurnstileEvent.JUMPED,
}


@dataclass(frozen=True, slots=True)
class TurnstileSettings:
    """What the configuration says. device: the entry reader's node, which also enables the arms."""

    name: str
    device: str
    label: dict[str, str]
    passage_ms: int
    wait_ms: int
    exit_device: str | None = None
    fire: bool = False


class TurnstileControl:
    """Owns one turnstile's state. A direction is enabled by a pulse that ends at the passage, or by itself."""

    def __init__(self, settings: TurnstileSettings, judge: Judge, actuator: Actuator) -> None:
        self.settings = settings
        self._judge = judge
        self._actuator = actuator
        self._clock = judge.clock
        self._arms = Turnstile(since_ms=self._clock.monotonic_ms())
        self._enabled = {
            TurnstileState.ENTERING: Lock(settings.device, ENABLE_IN, actuator, judge.clock),
            TurnstileState.LEAVING: Lock(settings.device, ENABLE_OUT, actuator, judge.clock),
        }
        # Whose passages are to come, in order; None: whoever an operator let in.
        self._due: dict[TurnstileState, list[Asked | None]] = {TurnstileState.ENTERING: [], TurnstileState.LEAVING: []}
        self.state_since_ms = self._clock.now_ms()
        self.last_reason: Reason | None = None
        devices = [settings.device, *([settings.exit_device] if settings.exit_device else [])]
        self._points = {
            device: AccessPoint(settings.name, device, settings.wait_ms, judge, self._carry_out, self._ask_for_more)
            for device in devices
        }
        self.loop = JobLoop(settings.name, self._clock, self._deadline_ms, self._expire)

    @property
    def state(self) -> str:
        """As in gateway.portal.turnstile.TurnstileState."""
        return self._arms.state

    def device_online(self, device: str) -> None:
        """Its outputs are at rest now, whatever they were told."""
        if device == self.settings.device:
            self._judge.conditions.set_unseen(self.settings.name, False)
            for enabled in self._enabled.values():
                enabled.again()

    def device_offline(self, device: str) -> None:
        """Its node went away: nobody sees the arms."""
        if device == self.settings.device:
            self._judge.conditions.set_unseen(self.settings.name, True)

    def observe(self, observation: CardRead | KeysEntered | TextScanned | InputChanged) -> None:
        """Something happened at one of its devices."""
        match observation:
            case InputChanged(device=device, name=name, active=True) if device == self.settings.device:
                if (event := _EVENTS.get(name)) is not None:
                    self.loop.submit(lambda: self._step(event))
            case CardRead() | KeysEntered() | TextScanned():
                point = self._points[observation.device]
                self.loop.submit(lambda: point.take(observation))

    def mode_changed(self) -> None:
        """Mode or fire changed: both directions free, or blocked again. Never waits."""
        conditions, name = self._judge.conditions, self.settings.name
        free = mode.free(conditions.mode(name), conditions.fire(name))
        if free is not (self._arms.state is TurnstileState.FREE):
            self._apply(TurnstileEvent.FREED if free else TurnstileEvent.BLOCKED_AGAIN)
            self.loop.nudge()
        if conditions.mode(name) is PortalMode.LOCKDOWN:
            self._arms = without_waiting_in(self._arms)
            in_the_arms = 1 if self._arms.state is TurnstileState.ENTERING else 0
            del self._due[TurnstileState.ENTERING][in_the_arms:]
            self._tell_due()
        for enabled in self._enabled.values():
            enabled.set_free(free)

    async def override(self, operator: str) -> None:
        """An operator lets one person in: recorded first. Raises OperationRefusedError, StoreError, DriverError."""
        await self.loop.perform(lambda: self._override(operator))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for direction, enabled in self._enabled.items():
                tasks.create_task(enabled.run(functools.partial(self._needed_until_ms, direction)))
            tasks.create_task(self.loop.run())

    def _needed_until_ms(self, direction: TurnstileState) -> int:
        """Until when somebody who was let in passes that way."""
        return (self._arms.deadline_ms or 0) if self._arms.state is direction else 0

    async def _override(self, operator: str) -> None:
        name = self.settings.name
        self._judge.check_override(name)
        if not self._arms.room(TurnstileState.ENTERING):
            raise OperationRefusedError(
                f"{MAX_WAITING} people wait to come in at {name!r} already; try again in a moment"
            )
        token = self._judge.token("operator", operator)
        late_ok, mode_then = not self._judge.high_security(name), self._judge.conditions.mode(name)
        with self._judge.conditions.opening(name):
            await self._judge.record(NewEntry(catalogue.AccessOverridden(name, token)), late_ok=late_ok)
            self._judge.check_overtaken(name, mode_then)
            if self._arms.state is not TurnstileState.FREE:
                self._due[TurnstileState.ENTERING].append(None)
            await self._step(TurnstileEvent.GRANT_IN)

    async def _ask_for_more(self, device: str) -> None:
        await self._tell(device, "waiting")

    async def _carry_out(self, asked: Asked) -> None:
        """Record, then move. Whoever finds no room in the line is told to wait, and asks again."""
        decision, device = asked.decision, asked.request.point
        self.last_reason = decision.reason
        if not decision.granted:
            await self._judge.record(*facts.of_request(self._judge, asked))
            await self._tell(device, "denied")
        elif not self._arms.room(self._direction(asked)):
            await self._tell(device, "waiting")
        else:
            with self._judge.conditions.opening(self.settings.name):
                await self._let_pass(asked)

    async def _let_pass(self, asked: Asked) -> None:
        mode_then, direction = self._judge.conditions.mode(self.settings.name), self._direction(asked)
        keep = self._judge.granted(asked.request, asked.decision, asked.passes)
        late_ok = self._judge.late_ok(asked)
        try:
            await self._judge.record(*facts.of_request(self._judge, asked), late_ok=late_ok, keep=keep)
        except StoreError:
            await self._refuse(asked, Reason.STORAGE_BROKEN)
            return
        if self._judge.overtaken(asked, mode_then):
            await self._refuse(asked, Reason.LOCKDOWN)
            return
        if self._arms.state is not TurnstileState.FREE:
            self._due[direction].append(asked)
        outwards = direction is TurnstileState.LEAVING
        await self._step(TurnstileEvent.GRANT_OUT if outwards else TurnstileEvent.GRANT_IN)
        await self._tell(asked.request.point, "granted")

    def _direction(self, asked: Asked) -> TurnstileState:
        outwards = asked.request.point == self.settings.exit_device
        return TurnstileState.LEAVING if outwards else TurnstileState.ENTERING

    async def _refuse(self, asked: Asked, reason: Reason) -> None:
        """A grant that came to nothing."""
        self.last_reason = reason
        await self._tell(asked.request.point, "denied")
        await self._judge.record(facts.denied(self._judge, asked, reason))

    async def _tell(self, device: str, meaning: str) -> None:
        await reader_signal.tell(self._actuator, self.settings.name, device, meaning)

    def _deadline_ms(self) -> int | None:
        deadlines = [self._arms.deadline_ms, *(point.deadline_ms for point in self._points.values())]
        return min((d for d in deadlines if d is not None), default=None)

    async def _expire(self) -> None:
        for point in self._points.values():
            await point.expire()
        await self._step(TurnstileEvent.TIMEOUT)

    async def _step(self, event: TurnstileEvent) -> None:
        before = self._arms
        report = self._apply(event)
        direction = before.state if before.state in self._due else None
        await self._record(report, direction)
        if direction is not None and self._arms is not before and self._ended(before):
            await self._enabled[direction].rest()
        if self._arms.state in self._enabled and self._ended(before):
            await self._enable(self._arms.state)

    def _ended(self, before: Turnstile) -> bool:
        """Whether the passage that was due is over, or another has begun."""
        return before.state is not self._arms.state or before.since_ms != self._arms.since_ms

    async def _enable(self, direction: TurnstileState) -> None:
        try:
            await self._enabled[direction].release(self.settings.passage_ms)
        except DriverError:
            await self._judge.fact(catalogue.PortalFailed(self.settings.name, "device-unreachable"))
            raise

    async def _record(self, report: TurnstileReport | None, direction: TurnstileState | None) -> None:
        name = self.settings.name
        if report is TurnstileReport.FORCED:  # whose passage is due may still pass
            await self._judge.fact(catalogue.PortalForced(name))
            return
        due = self._due[direction] if report is not None and direction is not None else []
        done = due.pop(0) if due else None
        self._tell_due()
        if report is TurnstileReport.PASSED:
            keep = self._judge.passed(done.request, done.decision, done.passes) if done is not None else {}
            await self._judge.fact(catalogue.PortalOpened(name), keep)

    def _tell_due(self) -> None:
        due = (asked for line in self._due.values() for asked in line if asked is not None)
        self._judge.conditions.set_due(self.settings.name, due)

    def _apply(self, event: TurnstileEvent) -> TurnstileReport | None:
        before = self._arms
        self._arms, report = step(before, event, self.settings.passage_ms, self._clock.monotonic_ms())
        if self._arms.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
        if self._arms.state is TurnstileState.FREE:
            self._due = {direction: [] for direction in self._due}
        self._tell_due()
        self._judge.conditions.set_open(self.settings.name, self._arms.is_open)
        return report
