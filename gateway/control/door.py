"""A door: what is shown at its readers in, decision, record, then the lock; contact and exit button in, state out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from center.contract import catalogue
from gateway.control import facts, reader_signal
from gateway.control.access_point import AccessPoint
from gateway.control.asked import Asked
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge, Kept
from gateway.control.lock import Lock
from gateway.errors import DriverError, StoreError
from gateway.model import (
    CardRead,
    CredentialKind,
    InputChanged,
    KeysEntered,
    PortalMode,
    Presented,
    Reason,
    TextScanned,
)
from gateway.portal import mode
from gateway.portal.door import Door, DoorEvent, DoorReport, DoorState, DoorTimes, step
from gateway.ports import Actuator, NewEntry

FACE_KEPT_MS = 5000  # a face seen this long before the card or PIN still belongs to it
MAX_UNPASSED = 8  # people let in by one release who have not pulled the door yet


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """What the configuration says of this door.

    device: its reader's node, which also drives the lock. points: further devices where people ask to pass (a reader on
    the way out, a scanner). fire: whether it is on the fire list, and so released by fire.
    """

    name: str
    device: str
    label: dict[str, str]
    times: DoorTimes
    pin_wait_ms: int
    points: tuple[str, ...] = field(default=())
    fire: bool = False


class DoorControl:
    """Owns one door's state. `observe` and `override` only queue; `run` does the work, one thing at a time.

    `mode_changed` acts at once: fire and emergency open wait for no queue and no disk.
    """

    def __init__(self, settings: DoorSettings, judge: Judge, actuator: Actuator) -> None:
        self.settings = settings
        self._judge = judge
        self._actuator = actuator
        self._clock = judge.clock
        self._lock = Lock(settings.device, "lock", actuator, judge.clock)
        self._door = Door(since_ms=self._clock.monotonic_ms())
        self._opened_ms = self._clock.monotonic_ms()
        self._needed_until_ms = 0  # of the last grant, or of the last request to exit
        self._contact_known = False
        self._seen_face: tuple[Presented, bool, int] | None = None  # and when (monotonic ms)
        self._wanted: str | None = None
        self.face_wanted: Callable[[str | None], None] = _nobody_asks  # FaceControl sets it
        self._unpassed: list[Asked] = []  # let in, and the door was not opened yet
        self.state_since_ms = self._clock.now_ms()
        self.last_reason: Reason | None = None
        self._points = {
            device: AccessPoint(settings.name, device, settings.pin_wait_ms, judge, self._carry_out, self._ask_for_more)
            for device in (settings.device, *settings.points)
        }
        self.loop = JobLoop(settings.name, self._clock, self._deadline_ms, self._expire)

    @property
    def state(self) -> str:
        """The door's state, as in gateway.portal.door.DoorState."""
        return self._door.state

    def device_online(self, device: str) -> None:
        """The device came (back): what its contact says first is how the door was found, not what just happened."""
        if device == self.settings.device:
            self._contact_known = False
            self._judge.conditions.set_unseen(self.settings.name, False)
            self._lock.again()

    def device_offline(self, device: str) -> None:
        """A device went away. Without the one that has the contact, nobody knows whether the door is still open."""
        if device == self.settings.device:
            self._judge.conditions.set_unseen(self.settings.name, True)

    def observe(self, observation: CardRead | KeysEntered | TextScanned | InputChanged) -> None:
        """Something happened at one of this door's devices."""
        match observation:
            case InputChanged(device=device) if device != self.settings.device:
                return  # a reader on the way out drives no lock and has no contact
            case InputChanged(name="contact", active=active):
                found, self._contact_known = not self._contact_known, True
                opened = DoorEvent.FOUND_OPEN if found else DoorEvent.OPENED
                self.loop.submit_latest("contact", lambda: self._step(opened if active else DoorEvent.CLOSED))
            case InputChanged(name="rex", active=True):
                self.loop.submit_latest("rex", self._exit)
            case CardRead() | KeysEntered() | TextScanned():
                self.loop.submit(lambda: self._take(observation))

    def face_seen(self, presented: Presented, *, claimed: bool) -> None:
        """A live face of a holder was seen before this door's camera: it is shown at the door's own reader, so that a
        card or PIN there completes it. `claimed`: it was compared with one holder only, and never opens alone."""
        self.loop.submit(lambda: self._face(presented, claimed=claimed))

    def released_by_node(self) -> None:
        """Its node has let somebody in by itself, just now: who pulls the door does not force it. Never waits."""
        self._needed_until_ms = self._clock.monotonic_ms() + self.settings.times.unlock_ms
        self._report(self._apply(DoorEvent.RELEASE))
        self.loop.nudge()

    def mode_changed(self) -> None:
        """Mode or fire of this door changed: be free, or be secured again. Never waits."""
        conditions, name = self._judge.conditions, self.settings.name
        free = mode.free(conditions.mode(name), conditions.fire(name))
        if free is not (self._door.state in (DoorState.FREE, DoorState.FREE_OPEN)):
            self._report(self._apply(DoorEvent.FREED if free else DoorEvent.SECURED))
            self.loop.nudge()
        self._lock.set_free(free)

    async def override(self, operator: str) -> None:
        """An operator opens the door: recorded first, then released. Raises OperationRefusedError, StoreError,
        DriverError."""
        await self.loop.perform(lambda: self._override(operator))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lock.run(lambda: self._needed_until_ms))
            tasks.create_task(self.loop.run())

    async def _override(self, operator: str) -> None:
        name = self.settings.name
        self._judge.check_override(name)
        late_ok, mode_then = not self._judge.high_security(name), self.mode
        token = self._judge.token("operator", operator)
        with self._judge.conditions.opening(name):
            await self._judge.record(NewEntry(catalogue.AccessOverridden(name, token)), late_ok=late_ok)
            self._judge.check_overtaken(name, mode_then)
            await self._release(self.settings.device)

    async def _exit(self) -> None:
        """The node has released its lock by itself already; here it is only told."""
        self._needed_until_ms = self._clock.monotonic_ms() + self.settings.times.exit_ms
        await self._step(DoorEvent.EXIT_REQUEST)
        await self._judge.fact(catalogue.ExitRequested(self.settings.name))

    async def _take(self, observation: CardRead | KeysEntered | TextScanned) -> None:
        point, (face, claimed) = self._points[observation.device], self._recent_face()
        by_itself = claimed and self._judge.face_opens_alone(self.settings.name)  # what it must not do
        keys = isinstance(observation, KeysEntered)
        if face is not None and keys and not by_itself and self._completes_with_pin(face, point):
            await point.show(face)
        await point.take(observation)
        if face is not None and point.wants(CredentialKind.FACE):
            await self._face(face, claimed=claimed)
        self._say_wanted()

    def _say_wanted(self) -> None:
        """Whose face would complete what was shown at this door's own reader, where that has changed."""
        wanted = self._points[self.settings.device].wanted_of(CredentialKind.FACE)
        if wanted != self._wanted:
            self._wanted = wanted
            self.face_wanted(wanted)

    async def _face(self, face: Presented, *, claimed: bool) -> None:
        """A face alone asks only where it may open alone. Elsewhere it is remembered for a moment and completes what is
        shown at the reader: whoever walks past has asked for nothing, and leaves no record."""
        point = self._points[self.settings.device]
        alone = not claimed and self._judge.face_opens_alone(self.settings.name)
        if point.wants(CredentialKind.FACE) or alone:
            self._seen_face = None
            await point.show(face)
            self._say_wanted()
        else:
            self._seen_face = (face, claimed, self._clock.monotonic_ms())

    def _recent_face(self) -> tuple[Presented | None, bool]:
        """The face that was seen a moment ago, and whether it opens nothing by itself."""
        if self._seen_face is None or self._clock.monotonic_ms() - self._seen_face[2] > FACE_KEPT_MS:
            self._seen_face = None
            return None, False
        return self._seen_face[:2]

    def _completes_with_pin(self, face: Presented, point: AccessPoint) -> bool:
        described = self._judge.policy.portals.get(self.settings.name)
        wanted = frozenset({face.kind, CredentialKind.PIN})
        return (
            point.device == self.settings.device
            and not point.waits
            and described is not None
            and (wanted in described.accepts)
        )

    async def _ask_for_more(self, device: str) -> None:
        await self._tell(device, "waiting")

    async def _carry_out(self, asked: Asked) -> None:
        """Record, then move. A high-security door stays shut where nothing can be recorded; others record late."""
        self.last_reason = asked.decision.reason
        if asked.decision.granted:
            with self._judge.conditions.opening(self.settings.name):
                await self._let_in(asked)
        else:
            await self._judge.record(*facts.of_request(self._judge, asked))
            await self._tell(asked.request.point, "denied")

    async def _let_in(self, asked: Asked) -> None:
        decision, mode_then = asked.decision, self.mode
        keep = self._judge.granted(asked.request, decision, asked.passes)
        if self._door.is_open:  # somebody holds it: this is the passage
            keep = {**keep, **self._moved([asked])}
        late_ok = self._judge.late_ok(asked)
        try:
            await self._judge.record(*facts.of_request(self._judge, asked), late_ok=late_ok, keep=keep)
        except StoreError:
            await self._refuse(asked, Reason.STORAGE_BROKEN)
            return
        if self._judge.overtaken(asked, mode_then):
            await self._refuse(asked, Reason.LOCKDOWN)
            return
        if not self._door.is_open:
            self._unpassed = [*self._unpassed, asked][-MAX_UNPASSED:]
        await self._release(asked.request.point)

    async def _refuse(self, asked: Asked, reason: Reason) -> None:
        """A grant that came to nothing."""
        self.last_reason = reason
        await self._tell(asked.request.point, "denied")
        await self._judge.record(facts.denied(self._judge, asked, reason))

    async def _release(self, device: str) -> None:
        """The lock alone decides whether it was released; the light comes after, as a courtesy.

        The door counts as released from the moment of the command: where only the acknowledgement was lost, somebody
        pulls the door all the same, and that is not forcing it.
        """
        self._needed_until_ms = self._clock.monotonic_ms() + self.settings.times.unlock_ms
        await self._step(DoorEvent.RELEASE)
        try:
            await self._lock.release(self.settings.times.unlock_ms)
        except DriverError:
            await self._judge.fact(catalogue.PortalFailed(self.settings.name, "device-unreachable"))
            raise
        await self._tell(device, "granted")

    async def _tell(self, device: str, meaning: str) -> None:
        await reader_signal.tell(self._actuator, self.settings.name, device, meaning)

    def _deadline_ms(self) -> int | None:
        deadlines = [self._door.deadline_ms, *(point.deadline_ms for point in self._points.values())]
        return min((d for d in deadlines if d is not None), default=None)

    async def _expire(self) -> None:
        for point in self._points.values():
            await point.expire()
        self._say_wanted()
        await self._step(DoorEvent.TIMEOUT)

    async def _step(self, event: DoorEvent) -> None:
        if (data := self._apply(event)) is not None:
            await self._record(data)

    def _report(self, data: catalogue.AnyEventData | None) -> None:
        if data is not None:
            self.loop.submit(lambda: self._record(data))

    async def _record(self, data: catalogue.AnyEventData) -> None:
        keep: Kept = {}
        if isinstance(data, catalogue.PortalOpened):
            passed, self._unpassed = self._unpassed, []
            keep = self._moved(passed)
        await self._judge.fact(data, keep)

    def _moved(self, passed: list[Asked]) -> Kept:
        keep: Kept = {}
        for asked in passed:
            keep |= self._judge.passed(asked.request, asked.decision, asked.passes)
        return keep

    def _apply(self, event: DoorEvent) -> catalogue.AnyEventData | None:
        """Step the table; returns what is to be recorded."""
        now_ms = self._clock.monotonic_ms()
        before = self._door
        self._door, report = step(before, event, self.settings.times, now_ms)
        if self._door.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
            if not before.is_open and self._door.is_open:
                self._opened_ms = now_ms
            if self._door.state is DoorState.SECURE:
                self._unpassed = []  # whoever did not pull the door is not inside
        self._tell_open()
        name = self.settings.name
        match report:
            case DoorReport.OPENED:
                return catalogue.PortalOpened(name)
            case DoorReport.FORCED:
                return catalogue.PortalForced(name)
            case DoorReport.HELD:
                return catalogue.PortalHeld(name, now_ms - self._opened_ms)
            case DoorReport.CLOSED:
                return catalogue.PortalClosed(name, now_ms - self._opened_ms)
        return None

    def _tell_open(self) -> None:
        self._judge.conditions.set_open(self.settings.name, self._door.state is not DoorState.SECURE)

    @property
    def mode(self) -> PortalMode:
        """What it is told to be."""
        return self._judge.conditions.mode(self.settings.name)


def _nobody_asks(holder: str | None) -> None:
    """No camera for faces looks at this door."""
