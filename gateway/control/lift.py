"""A lift's car panel: a card in, every floor is asked for, then the relays of the granted floors for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from center.contract import catalogue
from gateway.control import facts, reader_signal
from gateway.control.access_point import AccessPoint
from gateway.control.asked import Asked
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.control.lock import Lock
from gateway.errors import StoreError
from gateway.model import CardRead, InputChanged, KeysEntered, Reason, TextScanned
from gateway.portal import mode
from gateway.portal.lift import Lift, LiftEvent, LiftState, step
from gateway.ports import Actuator, NewEntry


@dataclass(frozen=True, slots=True)
class LiftSettings:
    """What the configuration says. device: the car reader's node. floors: a floor's portal -> the node's output."""

    name: str
    device: str
    label: dict[str, str]
    floors: Mapping[str, str]
    select_ms: int
    wait_ms: int


class LiftControl:
    """Owns one car panel's state. Each floor is a portal of the policy, so floors follow groups by ordinary rules."""

    def __init__(self, settings: LiftSettings, judge: Judge, actuator: Actuator) -> None:
        self.settings = settings
        self._judge = judge
        self._actuator = actuator
        self._clock = judge.clock
        self._every = frozenset(settings.floors)
        self._lift = Lift(since_ms=self._clock.monotonic_ms())
        self._relays = {
            floor: Lock(settings.device, output, actuator, judge.clock) for floor, output in settings.floors.items()
        }
        self.state_since_ms = self._clock.now_ms()
        self.last_reason: Reason | None = None
        self._point = AccessPoint(
            settings.name, settings.device, settings.wait_ms, judge, self._carry_out, self._ask_for_more
        )
        self.loop = JobLoop(settings.name, self._clock, self._deadline_ms, self._expire)

    @property
    def state(self) -> str:
        """As in gateway.portal.lift.LiftState."""
        return self._lift.state

    def device_online(self, _device: str) -> None:
        """Its relays are at rest now, whatever they were told."""
        self._set_unseen(False)
        for relay in self._relays.values():
            relay.again()

    def device_offline(self, _device: str) -> None:
        """Its relays come to rest by themselves, which nobody sees."""
        self._set_unseen(True)

    def _set_unseen(self, unseen: bool) -> None:
        for name in (self.settings.name, *self._every):
            self._judge.conditions.set_unseen(name, unseen)

    def observe(self, observation: CardRead | KeysEntered | TextScanned | InputChanged) -> None:
        """Something happened at the car's reader."""
        if not isinstance(observation, InputChanged):
            self.loop.submit(lambda: self._point.take(observation))

    def mode_changed(self) -> None:
        """Mode or fire changed. In a fire every relay rests: the lift's own controller decides. Never waits."""
        conditions, name = self._judge.conditions, self.settings.name
        for floor in self._every:
            conditions.set_mode(floor, conditions.mode(name))
            conditions.set_fire(floor, conditions.fire(name))
        if conditions.fire(name):
            self._apply(LiftEvent.FIRE)
        else:
            self._apply(LiftEvent.FIRE_RESET)
            free = mode.free(conditions.mode(name), fire=False)
            self._apply(LiftEvent.FREED if free else LiftEvent.RESTRICTED_AGAIN)
        self.loop.nudge()

    async def override(self, operator: str) -> None:
        """An operator enables every floor for one call: recorded first. Raises OperationRefusedError, StoreError."""
        await self.loop.perform(lambda: self._override(operator))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for relay in self._relays.values():
                tasks.create_task(relay.run(lambda: 0))
            tasks.create_task(self.loop.run())

    async def _override(self, operator: str) -> None:
        name, conditions = self.settings.name, self._judge.conditions
        self._judge.check_override(name, *sorted(self._every))
        late_ok, mode_then = not self._judge.high_security(name), conditions.mode(name)
        token = self._judge.token("operator", operator)
        with conditions.opening(name, *self._every):
            await self._judge.record(NewEntry(catalogue.AccessOverridden(name, token)), late_ok=late_ok)
            self._judge.check_overtaken(name, mode_then)
            self._apply(LiftEvent.GRANT, self._every)

    async def _ask_for_more(self, device: str) -> None:
        await self._tell(device, "waiting")

    async def _carry_out(self, asked: Asked) -> None:
        """Who is let into the car may select those floors whose own portal lets them in, too."""
        floors: frozenset[str] = frozenset()
        if asked.decision.granted:
            floors = frozenset(floor for floor in self._every if self._granted(asked, floor))
            if not floors:
                asked = replace(asked, decision=replace(asked.decision, granted=False, reason=Reason.NO_RULE))
        self.last_reason = asked.decision.reason
        if asked.decision.granted:
            with self._judge.conditions.opening(self.settings.name, *floors):
                await self._let_in(asked, floors)
        else:
            await self._judge.record(*facts.of_request(self._judge, asked))
            await self._tell(asked.request.point, "denied")

    async def _let_in(self, asked: Asked, floors: frozenset[str]) -> None:
        keep = self._judge.granted(asked.request, asked.decision, asked.passes)
        late_ok, mode_then = self._late_ok(asked, floors), self._judge.conditions.mode(self.settings.name)
        try:
            await self._judge.record(*facts.of_request(self._judge, asked), late_ok=late_ok, keep=keep)
        except StoreError:
            await self._refuse(asked, Reason.STORAGE_BROKEN)
            return
        if self._judge.overtaken(asked, mode_then):
            await self._refuse(asked, Reason.LOCKDOWN)
            return
        self._apply(LiftEvent.GRANT, floors)
        await self._tell(asked.request.point, "granted")

    async def _refuse(self, asked: Asked, reason: Reason) -> None:
        """A grant that came to nothing."""
        self.last_reason = reason
        await self._tell(asked.request.point, "denied")
        await self._judge.record(facts.denied(self._judge, asked, reason))

    def _late_ok(self, asked: Asked, floors: frozenset[str]) -> bool:
        """Neither the car nor one of the floors asks for a record first."""
        at_each = (
            replace(asked, request=replace(asked.request, portal=name)) for name in (self.settings.name, *floors)
        )
        return all(self._judge.late_ok(one) for one in at_each)

    def _granted(self, asked: Asked, floor: str) -> bool:
        return self._judge.decide(replace(asked.request, portal=floor), asked.passes).granted

    async def _tell(self, device: str, meaning: str) -> None:
        await reader_signal.tell(self._actuator, self.settings.name, device, meaning)

    def _deadline_ms(self) -> int | None:
        deadlines = [self._lift.deadline_ms, self._point.deadline_ms]
        return min((d for d in deadlines if d is not None), default=None)

    async def _expire(self) -> None:
        await self._point.expire()
        self._apply(LiftEvent.TIMEOUT)

    def _apply(self, event: LiftEvent, floors: frozenset[str] = frozenset()) -> None:
        """Step the table, and let the relays follow: renewed while a floor may be selected, at rest otherwise."""
        before = self._lift
        self._lift = step(before, event, self.settings.select_ms, self._clock.monotonic_ms(), floors)
        if self._lift.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
        enabled, was = self._lift.enabled(self._every), before.enabled(self._every)
        self._judge.conditions.set_open(self.settings.name, bool(enabled))
        for floor, relay in self._relays.items():
            self._judge.conditions.set_open(floor, floor in enabled)
            if (floor in enabled) is not (floor in was):
                relay.set_free(floor in enabled)

    @property
    def in_default(self) -> bool:
        """Whether the lift's own controller decides alone (fire)."""
        return self._lift.state is LiftState.DEFAULT
