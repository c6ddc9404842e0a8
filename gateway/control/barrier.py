"""A vehicle barrier: a plate in, decision, record, then the arm; limit switches and loop in, its own state out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from center.contract import catalogue
from gateway.control import facts
from gateway.control.asked import Asked
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.errors import DriverError, StoreError
from gateway.model import AccessRequest, CredentialKind, PlateRead, Presented, Reason
from gateway.portal import mode
from gateway.portal.barrier import Barrier, BarrierEffect, BarrierEvent, BarrierState, BarrierTimes, step
from gateway.ports import NewEntry
from runtime.log import get

RETRY_S = 0.1  # between attempts at a wire that could not be driven

log = get("barrier")


class BarrierOutputs(Protocol):
    """The two wires to the barrier controller."""

    def pulse_raise(self) -> Awaitable[None]:
        """Tell the arm to rise. Raises DriverError."""
        ...

    def hold_lower(self, on: bool) -> Awaitable[None]:
        """Hold or let go of the lower signal. Raises DriverError."""
        ...


@dataclass(frozen=True, slots=True)
class BarrierSettings:
    """What the configuration says of this barrier."""

    name: str
    camera: str
    label: dict[str, str]
    times: BarrierTimes


_FREE = (BarrierState.FREEING, BarrierState.FREE, BarrierState.STUCK)
MAX_UNPASSED = 8  # vehicles let in whose passage was not seen yet


class BarrierControl:
    """Owns one barrier's state.

    Feedback acts at once: the state steps on arrival and the wires follow in a task of their own, whatever the disk or
    a plate's record is doing. Only what is to be decided or recorded goes through the queue.
    """

    def __init__(self, settings: BarrierSettings, judge: Judge, outputs: BarrierOutputs) -> None:
        self.settings = settings
        self._judge = judge
        self._outputs = outputs
        self._clock = judge.clock
        self._barrier = Barrier(since_ms=self._clock.monotonic_ms())
        self._opened_ms = self._clock.monotonic_ms()
        self._lower_on = False  # what the wire was last told, successfully
        self._raise_due = False
        self._wires = asyncio.Event()
        self._unpassed: list[Asked] = []
        self.state_since_ms = self._clock.now_ms()
        self.last_reason: Reason | None = None
        self.loop = JobLoop(settings.name, self._clock, lambda: self._barrier.deadline_ms, self._expire)

    @property
    def state(self) -> str:
        """The barrier's state, as in gateway.portal.barrier.BarrierState."""
        return self._barrier.state

    def plate_read(self, plate: PlateRead) -> None:
        """The camera in front of this barrier read a plate."""
        self.loop.submit(lambda: self._plate(plate))

    def feedback(self, event: BarrierEvent) -> None:
        """A limit switch or the loop changed (debounced). Never waits, never dropped."""
        self._step(event)

    def mode_changed(self) -> None:
        """Mode or fire of this barrier changed: rise and stay up, or come down again. Never waits."""
        conditions, name = self._judge.conditions, self.settings.name
        free = mode.free(conditions.mode(name), conditions.fire(name))
        if free is not (self._barrier.state in _FREE):
            self._step(BarrierEvent.FREED if free else BarrierEvent.SECURED)

    def unusable(self) -> None:
        """Its pins cannot be used: one event, and the other portals go on."""
        self.loop.submit(lambda: self._judge.fact(catalogue.PortalFailed(self.settings.name, "no-pins")))

    async def override(self, operator: str) -> None:
        """An operator raises the barrier: recorded first. Raises OperationRefusedError, StoreError, DriverError."""
        await self.loop.perform(lambda: self._override(operator))

    async def run(self) -> None:
        """Until cancelled; the lower signal is let go of at the end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._drive_wires())
                tasks.create_task(self.loop.run())
        finally:
            await self._outputs.hold_lower(False)

    async def _override(self, operator: str) -> None:
        name = self.settings.name
        self._judge.check_override(name)
        late_ok, mode_then = not self._judge.high_security(name), self._judge.conditions.mode(name)
        token = self._judge.token("operator", operator)
        with self._judge.conditions.opening(name):
            await self._judge.record(NewEntry(catalogue.AccessOverridden(name, token)), late_ok=late_ok)
            self._judge.check_overtaken(name, mode_then)
            self._step(BarrierEvent.ADMIT)

    async def _plate(self, plate: PlateRead) -> None:
        """One commit holds what was seen and what was decided; only then the arm moves."""
        presented = (Presented(CredentialKind.PLATE, plate.text),)
        request = AccessRequest(self.settings.name, plate.camera, presented)
        asked = Asked(request, self._judge.decide(request))
        seen = catalogue.VehicleSeen(
            camera=plate.camera,
            portal=self.settings.name,
            vehicle=self._judge.token("vehicle", plate.text),
            kind=plate.kind,
            score_permille=round(plate.score * 1000),
            model=plate.model,
            model_sha256=plate.model_sha256[:16],
        )
        entries = [NewEntry(seen, plate=plate.text), *facts.of_request(self._judge, asked, plate.text)]
        self.last_reason = asked.decision.reason
        if asked.decision.granted:
            with self._judge.conditions.opening(self.settings.name):
                await self._let_in(asked, entries, plate.text)
        else:
            await self._judge.record(*entries)

    async def _let_in(self, asked: Asked, entries: list[NewEntry], plate: str) -> None:
        keep = self._judge.granted(asked.request, asked.decision)
        late_ok, mode_then = self._judge.late_ok(asked), self._judge.conditions.mode(self.settings.name)
        refused: Reason | None = None
        try:
            await self._judge.record(*entries, late_ok=late_ok, keep=keep)
        except StoreError:
            refused = Reason.STORAGE_BROKEN
        if refused is None and self._judge.overtaken(asked, mode_then):
            refused = Reason.LOCKDOWN
        if refused is not None:
            self.last_reason = refused
            await self._judge.record(facts.denied(self._judge, asked, refused, plate))
            return
        self._unpassed = [*self._unpassed, asked][-MAX_UNPASSED:]
        self._step(BarrierEvent.ADMIT)

    async def _expire(self) -> None:
        self._step(BarrierEvent.TIMEOUT)

    def _step(self, event: BarrierEvent) -> None:
        now_ms = self._clock.monotonic_ms()
        before = self._barrier
        self._barrier, effects = step(before, event, self.settings.times, now_ms)
        if self._barrier.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
            if self._barrier.state is BarrierState.LOWERED:
                self._unpassed = []  # nobody drove through
            if self._barrier.state is BarrierState.PASSING and self._unpassed:
                self._passed()
        self._tell_open()
        self._raise_due = self._raise_due or BarrierEffect.RAISE in effects
        self._wires.set()
        for effect in effects:
            self._report(effect, now_ms)
        if self._barrier.deadline_ms != before.deadline_ms:
            self.loop.nudge()

    async def _drive_wires(self) -> None:
        """Make the two wires agree with the state; what fails is tried again until they do."""
        while True:
            await self._wires.wait()
            self._wires.clear()
            try:
                if self._raise_due:
                    await self._outputs.pulse_raise()  # lets go of lower by itself
                    self._raise_due = self._lower_on = False
                if self._barrier.lower_held is not self._lower_on:
                    wanted = self._barrier.lower_held
                    await self._outputs.hold_lower(wanted)
                    self._lower_on = wanted
            except DriverError as e:
                log.error("the barrier cannot be told", barrier=self.settings.name, error=str(e))
                await asyncio.sleep(RETRY_S)
                self._wires.set()
            if self._raise_due or self._barrier.lower_held is not self._lower_on:
                self._wires.set()  # the state moved on meanwhile

    def _report(self, effect: BarrierEffect, now_ms: int) -> None:
        name = self.settings.name
        data: catalogue.AnyEventData
        match effect:
            case BarrierEffect.RAISE:
                return
            case BarrierEffect.REPORT_OPENED:
                self._opened_ms = now_ms
                data = catalogue.PortalOpened(name)
            case BarrierEffect.REPORT_CLOSED:
                data = catalogue.PortalClosed(name, now_ms - self._opened_ms)
            case BarrierEffect.REPORT_FAILED:
                data = catalogue.PortalFailed(name, "no-feedback")
            case BarrierEffect.REPORT_FORCED:
                data = catalogue.PortalForced(name)
        self.loop.submit(lambda: self._judge.fact(data))

    def _passed(self) -> None:
        """A vehicle stands under the raised arm: the one that was let in first."""
        asked, *self._unpassed = self._unpassed
        if keep := self._judge.passed(asked.request, asked.decision):
            self.loop.submit(lambda: self._judge.record(keep=keep))

    def _tell_open(self) -> None:
        self._judge.conditions.set_open(self.settings.name, self._barrier.state is not BarrierState.LOWERED)
