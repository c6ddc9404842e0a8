"""A vehicle barrier: a plate in, decision, record, then the arm; limit switches and loop in, its own state out."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from center.contract import catalogue
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.model import AccessRequest, CredentialKind, PlateRead, Presented, Reason
from gateway.portal.barrier import Barrier, BarrierEffect, BarrierEvent, BarrierTimes, step
from gateway.ports import NewEntry


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


class BarrierControl:
    """Owns one barrier's state. `plate_read`, `feedback` and `override` only queue or record; `run` does the work."""

    def __init__(self, settings: BarrierSettings, judge: Judge, outputs: BarrierOutputs) -> None:
        self.settings = settings
        self._judge = judge
        self._outputs = outputs
        self._clock = judge.clock
        self._barrier = Barrier(since_ms=self._clock.monotonic_ms())
        self._opened_ms = self._clock.monotonic_ms()
        self._lower_on = False
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
        """A limit switch or the loop changed (debounced)."""
        self.loop.submit(lambda: self._step(event))

    async def override(self, operator: str) -> None:
        """An operator raises the barrier: recorded first. Raises StoreError, DriverError."""
        await self.loop.perform(lambda: self._override(operator))

    async def _override(self, operator: str) -> None:
        token = self._judge.token("operator", operator)
        await self._judge.record(NewEntry(catalogue.AccessOverridden(self.settings.name, token)))
        await self._step(BarrierEvent.ADMIT)

    async def run(self) -> None:
        """Until cancelled; the lower signal is let go of at the end."""
        try:
            await self.loop.run()
        finally:
            await self._outputs.hold_lower(False)

    async def _plate(self, plate: PlateRead) -> None:
        """One commit holds what was seen and what was decided; only then the arm moves."""
        presented = (Presented(CredentialKind.PLATE, plate.text),)
        decision = self._judge.decide(AccessRequest(self.settings.name, plate.camera, presented))
        self.last_reason = decision.reason
        seen = catalogue.VehicleSeen(
            camera=plate.camera,
            portal=self.settings.name,
            vehicle=self._judge.token("vehicle", plate.text),
            kind=plate.kind,
            score_permille=round(plate.score * 1000),
            model=plate.model,
            model_sha256=plate.model_sha256[:16],
        )
        fact = catalogue.AccessGranted if decision.granted else catalogue.AccessDenied
        data = fact(
            portal=self.settings.name,
            point=plate.camera,
            credential=CredentialKind.PLATE,
            reason=decision.reason,
            holder=self._judge.token("holder", decision.holder) if decision.holder else None,
        )
        await self._judge.record(NewEntry(seen, plate=plate.text), NewEntry(data, decision.holder, plate.text))
        if decision.granted:
            await self._step(BarrierEvent.ADMIT)

    async def _expire(self) -> None:
        await self._step(BarrierEvent.TIMEOUT)

    async def _step(self, event: BarrierEvent) -> None:
        now_ms = self._clock.monotonic_ms()
        before = self._barrier
        self._barrier, effects = step(before, event, self.settings.times, now_ms)
        if self._barrier.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
        if self._barrier.lower_held is not self._lower_on:  # before anything that can fail or wait for a disk
            self._lower_on = self._barrier.lower_held
            await self._outputs.hold_lower(self._lower_on)
        for effect in effects:
            await self._apply(effect, now_ms)

    async def _apply(self, effect: BarrierEffect, now_ms: int) -> None:
        name = self.settings.name
        match effect:
            case BarrierEffect.RAISE:
                await self._outputs.pulse_raise()
            case BarrierEffect.REPORT_OPENED:
                self._opened_ms = now_ms
                await self._judge.record(NewEntry(catalogue.PortalOpened(name)))
            case BarrierEffect.REPORT_CLOSED:
                await self._judge.record(NewEntry(catalogue.PortalClosed(name, now_ms - self._opened_ms)))
            case BarrierEffect.REPORT_FAILED:
                await self._judge.record(NewEntry(catalogue.PortalFailed(name, "no-feedback")))
