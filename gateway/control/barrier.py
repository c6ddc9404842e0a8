"""A vehicle barrier: a plate in, decision, record, then the arm; limit switches and loop in, its own state out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from center.contract import catalogue
from gateway.control import facts, reader_signal
from gateway.control.access_point import AccessPoint
from gateway.control.asked import Asked
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.errors import DriverError, StoreError
from gateway.model import (
    AccessRequest,
    CardRead,
    CredentialKind,
    InputChanged,
    KeysEntered,
    PlateRead,
    Presented,
    Reason,
    TextScanned,
)
from gateway.portal import mode
from gateway.portal.barrier import Barrier, BarrierEffect, BarrierEvent, BarrierState, BarrierTimes, step
from gateway.ports import Actuator, NewEntry
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
    """What the configuration says of this barrier. reader: beside it, where something is shown besides the plate."""

    name: str
    camera: str
    label: dict[str, str]
    times: BarrierTimes
    reader: str | None = None
    second_factor_ms: int = 30_000


_FREE = (BarrierState.FREEING, BarrierState.FREE, BarrierState.STUCK)
MAX_UNPASSED = 8  # vehicles let in whose passage was not seen yet


class BarrierControl:
    """Owns one barrier's state.

    Feedback acts at once: the state steps on arrival and the wires follow in a task of their own, whatever the disk or
    a plate's record is doing. Only what is to be decided or recorded goes through the queue.
    """

    def __init__(
        self, settings: BarrierSettings, judge: Judge, outputs: BarrierOutputs, readers: Actuator | None = None
    ) -> None:
        """readers: who tells the reader's lights, where there is a reader."""
        self.settings = settings
        self._readers = readers
        self._point: AccessPoint | None = None
        if settings.reader is not None:
            self._point = AccessPoint(
                settings.name, settings.reader, settings.second_factor_ms, judge, self._carry_out, self._ask_for_more
            )
        self._judge = judge
        self._outputs = outputs
        self._clock = judge.clock
        self._barrier = Barrier(since_ms=self._clock.monotonic_ms())
        self._opened_ms = self._clock.monotonic_ms()
        self._lower_on = False  # what the wire was last told, successfully
        self._raise_due = False
        self._wires = asyncio.Event()
        self._unpassed: list[Asked] = []
        self._under_way: frozenset[Presented] = frozenset()  # of the vehicle that passed last, until the arm is down
        self.state_since_ms = self._clock.now_ms()
        self.last_reason: Reason | None = None
        self.loop = JobLoop(settings.name, self._clock, self._deadline_ms, self._expire)

    @property
    def state(self) -> str:
        """The barrier's state, as in gateway.portal.barrier.BarrierState."""
        return self._barrier.state

    def plate_read(self, plate: PlateRead) -> None:
        """The camera in front of this barrier read a plate."""
        self.loop.submit(lambda: self._plate(plate))

    def observe(self, observation: CardRead | KeysEntered | TextScanned | InputChanged) -> None:
        """Something was shown at the reader beside the arm."""
        point = self._point
        if point is not None and not isinstance(observation, InputChanged):
            self.loop.submit(lambda: point.take(observation))

    def device_online(self, device: str) -> None:
        """The reader came (back): it has no part in the arm."""

    def device_offline(self, device: str) -> None:
        """The reader went away: nothing can be shown there, and the arm works."""

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
        """One commit holds what was seen and what was decided; only then the arm moves. A car that drives away from the
        camera at a way in asks for nothing."""
        shown = Presented(CredentialKind.PLATE, plate.text)
        request = AccessRequest(self.settings.name, plate.camera, (shown,))
        seen = NewEntry(self._seen(plate), plate=plate.text)
        if plate.direction == "leaving" and not self._judge.leaving(request):
            await self._judge.record(seen)
            return
        asked = Asked(request, self._judge.decide(request))
        if self._point is not None and (asked.decision.awaiting is not None or self._point.deadline_ms is not None):
            await self._judge.record(seen)
            await self._point.show(shown)
        else:
            await self._carry_out(asked, seen)

    def _seen(self, plate: PlateRead) -> catalogue.VehicleSeen:
        return catalogue.VehicleSeen(
            camera=plate.camera,
            portal=self.settings.name,
            vehicle=self._judge.token("vehicle", plate.text),
            kind=plate.kind,
            score_permille=round(plate.score * 1000),
            model=plate.model,
            model_sha256=plate.model_sha256[:16],
            direction=plate.direction,
        )

    async def _carry_out(self, asked: Asked, *before: NewEntry) -> None:
        plate = next((one.key for one in asked.request.presented if one.kind is CredentialKind.PLATE), None)
        entries = [*before, *facts.of_request(self._judge, asked, plate)]
        if plate is None or Presented(CredentialKind.PLATE, plate) not in self._under_way:  # no copy of itself
            entries += facts.cloned(self._judge, asked, self.settings.camera)
        self.last_reason = asked.decision.reason
        if asked.decision.granted:
            with self._judge.conditions.opening(self.settings.name):
                await self._let_in(asked, entries, plate)
        else:
            await self._judge.record(*entries)
            await self._tell(asked, "denied")

    async def _let_in(self, asked: Asked, entries: list[NewEntry], plate: str | None) -> None:
        keep = self._judge.granted(asked.request, asked.decision, asked.passes)
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
            await self._tell(asked, "denied")
            return
        self._unpassed = [*self._unpassed, asked][-MAX_UNPASSED:]
        self._step(BarrierEvent.ADMIT)
        await self._tell(asked, "granted")

    async def _ask_for_more(self, device: str) -> None:
        if self._readers is not None:
            await reader_signal.tell(self._readers, self.settings.name, device, "waiting")

    async def _tell(self, asked: Asked, meaning: str) -> None:
        """The reader's light, where the request came from the reader."""
        if self._readers is not None and asked.request.point == self.settings.reader:
            await reader_signal.tell(self._readers, self.settings.name, asked.request.point, meaning)

    def _deadline_ms(self) -> int | None:
        deadlines = (self._barrier.deadline_ms, self._point.deadline_ms if self._point is not None else None)
        return min((d for d in deadlines if d is not None), default=None)

    async def _expire(self) -> None:
        if self._point is not None:
            await self._point.expire()
        self._step(BarrierEvent.TIMEOUT)

    def _step(self, event: BarrierEvent) -> None:
        now_ms = self._clock.monotonic_ms()
        before = self._barrier
        self._barrier, effects = step(before, event, self.settings.times, now_ms)
        if self._barrier.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
            if self._barrier.state is BarrierState.LOWERED:
                self._unpassed = []  # nobody drove through
                self._under_way = frozenset()
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
        self._under_way = frozenset(asked.request.presented)
        if keep := self._judge.passed(asked.request, asked.decision, asked.passes):
            self.loop.submit(lambda: self._judge.record(keep=keep))

    def _tell_open(self) -> None:
        self._judge.conditions.set_open(self.settings.name, self._barrier.state is not BarrierState.LOWERED)
