"""A door: card and keys in, decision, record, then the lock; contact and exit button in, the door's own state out."""

from __future__ import annotations

from dataclasses import dataclass

from center.contract import catalogue
from gateway.access import tokens
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.errors import DriverError, StoreError
from gateway.model import (
    AccessRequest,
    CardRead,
    CredentialKind,
    Decision,
    InputChanged,
    KeysEntered,
    Presented,
    PulseOutput,
    Reason,
    Signal,
)
from gateway.portal.door import Door, DoorEvent, DoorReport, DoorTimes, step
from gateway.ports import Actuator, NewEntry
from runtime.log import get

MAX_KEYS = 16  # a PIN plus enter; more is somebody leaning on the keypad

log = get("door")


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """What the configuration says of this door. `device` is its reader's node, which also drives the lock."""

    name: str
    device: str
    label: dict[str, str]
    times: DoorTimes
    pin_wait_ms: int


@dataclass(frozen=True, slots=True)
class _Pending:
    """A card that waits for its PIN."""

    presented: tuple[Presented, ...]
    decision: Decision
    deadline_ms: int


class DoorControl:
    """Owns one door's state. `observe` and `override` only queue; `run` does the work, one thing at a time."""

    def __init__(self, settings: DoorSettings, judge: Judge, actuator: Actuator) -> None:
        self.settings = settings
        self._judge = judge
        self._actuator = actuator
        self._clock = judge.clock
        self._door = Door(since_ms=self._clock.monotonic_ms())
        self._opened_ms = self._clock.monotonic_ms()
        self._contact_known = False
        self._pending: _Pending | None = None
        self._keys = ""
        self.state_since_ms = self._clock.now_ms()
        self.last_reason: Reason | None = None
        self.loop = JobLoop(settings.name, self._clock, self._deadline_ms, self._expire)

    @property
    def state(self) -> str:
        """The door's state, as in gateway.portal.door.DoorState."""
        return self._door.state

    def device_online(self) -> None:
        """The device came (back): what its contact says first is how the door was found, not what just happened."""
        self._contact_known = False

    def observe(self, observation: CardRead | KeysEntered | InputChanged) -> None:
        """Something happened at this door's device."""
        match observation:
            case InputChanged(name="contact") if not self._contact_known:
                self._contact_known = True
                self.loop.submit(lambda: self._step(DoorEvent.FOUND_OPEN if observation.active else DoorEvent.CLOSED))
            case CardRead():
                self.loop.submit(lambda: self._card(observation))
            case KeysEntered():
                self.loop.submit(lambda: self._keypad(observation.keys))
            case InputChanged(name="contact", active=active):
                self.loop.submit(lambda: self._step(DoorEvent.OPENED if active else DoorEvent.CLOSED))
            case InputChanged(name="rex", active=True):
                self.loop.submit(lambda: self._step(DoorEvent.EXIT_REQUEST))

    async def override(self, operator: str) -> None:
        """An operator opens the door: recorded first, then released. Raises StoreError, DriverError."""
        await self.loop.perform(lambda: self._override(operator))

    async def _override(self, operator: str) -> None:
        token = self._judge.token("operator", operator)
        await self._judge.record(NewEntry(catalogue.AccessOverridden(self.settings.name, token)))
        await self._release()

    async def run(self) -> None:
        """Until cancelled."""
        await self.loop.run()

    async def _card(self, card: CardRead) -> None:
        self._keys = ""
        await self._request((Presented(CredentialKind.CARD, tokens.card_key(card.bits, card.data)),))

    async def _keypad(self, keys: str) -> None:
        for key in keys:
            if key == "*":
                self._keys = ""
            elif key == "#":
                pin, self._keys = self._keys, ""
                if pin:
                    await self._pin(pin)
            elif len(self._keys) < MAX_KEYS:
                self._keys += key

    async def _pin(self, pin: str) -> None:
        pending, self._pending = self._pending, None
        holder = pending.decision.holder if pending else None
        digest = tokens.pin_digest(self._judge.site_key, pin, holder or "")
        before = pending.presented if pending else ()
        await self._request((*before, Presented(CredentialKind.PIN, digest)))

    async def _request(self, presented: tuple[Presented, ...]) -> None:
        request = AccessRequest(self.settings.name, self.settings.device, presented)
        decision = self._judge.decide(request)
        if decision.reason is Reason.PIN_REQUIRED:
            deadline = self._clock.monotonic_ms() + self.settings.pin_wait_ms
            self._pending = _Pending(presented, decision, deadline)
            await self._tell(Signal("waiting"))
            return
        self._pending = None
        await self._carry_out(decision, "+".join(p.kind for p in presented))

    async def _carry_out(self, decision: Decision, credential: str) -> None:
        """Record, then move: no unlock without a record. Where the record fails, the door stays as it is."""
        self.last_reason = decision.reason
        fact = catalogue.AccessGranted if decision.granted else catalogue.AccessDenied
        data = fact(
            portal=self.settings.name,
            point=self.settings.device,
            credential=credential.replace("+", "-"),
            reason=decision.reason,
            holder=self._judge.token("holder", decision.holder) if decision.holder else None,
        )
        try:
            await self._judge.record(NewEntry(data, holder=decision.holder))
        except StoreError:
            self.last_reason = Reason.STORAGE_BROKEN
            await self._tell(Signal("denied"))
            raise
        if decision.granted:
            await self._release()
        else:
            await self._tell(Signal("denied"))

    async def _release(self) -> None:
        """The lock alone decides whether it was released; the light comes after, as a courtesy.

        The door counts as released from the moment of the command: where only the acknowledgement was lost, somebody
        pulls the door all the same, and that is not forcing it.
        """
        await self._step(DoorEvent.RELEASE)
        try:
            await self._actuator.send(self.settings.device, [PulseOutput("lock", self.settings.times.unlock_ms)])
        except DriverError:
            await self._judge.record(NewEntry(catalogue.PortalFailed(self.settings.name, "device-unreachable")))
            raise
        await self._tell(Signal("granted"))

    async def _tell(self, signal: Signal) -> None:
        try:
            await self._actuator.send(self.settings.device, [signal])
        except DriverError as e:
            log.warning("the reader could not be told", portal=self.settings.name, error=str(e))

    def _deadline_ms(self) -> int | None:
        deadlines = [self._door.deadline_ms, self._pending.deadline_ms if self._pending else None]
        return min((d for d in deadlines if d is not None), default=None)

    async def _expire(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._pending is not None and now_ms >= self._pending.deadline_ms:
            pending, self._pending, self._keys = self._pending, None, ""
            await self._carry_out(pending.decision, "+".join(p.kind for p in pending.presented))
        await self._step(DoorEvent.TIMEOUT)

    async def _step(self, event: DoorEvent) -> None:
        now_ms = self._clock.monotonic_ms()
        before = self._door
        self._door, report = step(before, event, self.settings.times, now_ms)
        if self._door.state is not before.state:
            self.state_since_ms = self._clock.now_ms()
            if event is DoorEvent.FOUND_OPEN:
                self._opened_ms = now_ms
        name = self.settings.name
        match report:
            case DoorReport.OPENED:
                self._opened_ms = now_ms
                await self._judge.record(NewEntry(catalogue.PortalOpened(name)))
            case DoorReport.FORCED:
                self._opened_ms = now_ms
                await self._judge.record(NewEntry(catalogue.PortalForced(name)))
            case DoorReport.HELD:
                await self._judge.record(NewEntry(catalogue.PortalHeld(name, now_ms - self._opened_ms)))
            case DoorReport.CLOSED:
                await self._judge.record(NewEntry(catalogue.PortalClosed(name, now_ms - self._opened_ms)))
