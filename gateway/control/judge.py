"""What every portal needs to come to a decision and to say it in an event: policy, clock, site key, decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from center.contract.catalogue import AnyEventData
from gateway.access import presence as presence_
from gateway.access import tokens
from gateway.access.attempts import NO_ATTEMPTS, Attempts
from gateway.access.decide import INVALID_PASS_KEY, State, decide
from gateway.access.policy import Credential, Policy
from gateway.access.presence import EMPTY_PRESENCE, NO_PASSES, Presence
from gateway.control import presence_rows
from gateway.model import AccessRequest, CredentialKind, Decision, PortalMode, Presented
from gateway.ports import Clock, NewEntry, Recorder
from runtime.log import get

Passes = Mapping[str, Credential]
Kept = dict[str, str | None]  # for the store, in the same commit as the event
ReadPass = Callable[[str], tuple[Presented, Passes]]

log = get("control")


class PolicyInForce:
    """The one place that says which policy holds now; replaced as a whole, between two decisions."""

    def __init__(self, policy: Policy) -> None:
        self._now = policy

    @property
    def now(self) -> Policy:
        """Take it once per decision."""
        return self._now

    def replace(self, policy: Policy) -> None:
        """From the next decision on, this one holds."""
        self._now = policy


class Conditions:
    """What the site is in, as far as a decision needs it: modes, fire, which portals are open, who is where."""

    def __init__(self) -> None:
        self.presence: Presence = EMPTY_PRESENCE
        self.attempts: Attempts = NO_ATTEMPTS
        self._modes: dict[str, PortalMode] = {}
        self._fire: frozenset[str] = frozenset()
        self._open: frozenset[str] = frozenset()

    def mode(self, portal: str) -> PortalMode:
        """What the portal is told to be."""
        return self._modes.get(portal, PortalMode.LOCKED)

    def set_mode(self, portal: str, mode: PortalMode) -> None:
        """Tell it to be something else."""
        self._modes[portal] = mode

    def fire(self, portal: str) -> bool:
        """Whether the portal is released by fire."""
        return portal in self._fire

    def set_fire(self, portal: str, released: bool) -> None:
        """The portal is released by fire, or no longer."""
        self._fire = self._fire | {portal} if released else self._fire - {portal}

    @property
    def open_portals(self) -> frozenset[str]:
        """Portals that are not closed, or just about to be opened; for interlocks."""
        return self._open

    def set_open(self, portal: str, is_open: bool) -> None:
        """The portal is not closed, or closed again."""
        if (portal in self._open) is not is_open:
            self._open = self._open | {portal} if is_open else self._open - {portal}


def no_passes(_text: str) -> tuple[Presented, Passes]:
    """Where no key for passes is known, none is valid."""
    return Presented(CredentialKind.QR, INVALID_PASS_KEY), NO_PASSES


class Judge:
    """The pure decision with the present policy, time and conditions; the tokens that stand for people in events."""

    def __init__(
        self, policy: Policy, clock: Clock, site_key: bytes, recorder: Recorder, read_pass: ReadPass = no_passes
    ) -> None:
        self.in_force = PolicyInForce(policy)
        self.conditions = Conditions()
        self.clock = clock
        self.site_key = site_key
        self.recorder = recorder
        self.read_pass = read_pass

    @property
    def policy(self) -> Policy:
        """The policy in force now."""
        return self.in_force.now

    def state(self, portal: str, passes: Passes = NO_PASSES) -> State:
        """What `access.decide` is to know of the portal now."""
        conditions = self.conditions
        return State(
            clock_certain=self.clock.certain,
            mode=conditions.mode(portal),
            fire=conditions.fire(portal),
            open_portals=conditions.open_portals,
            presence=conditions.presence,
            passes=passes,
        )

    def decide(self, request: AccessRequest, passes: Passes = NO_PASSES) -> Decision:
        """`access.decide` now. Awaits nothing."""
        return decide(request, self.policy, self.state(request.portal, passes), self.clock.local())

    def granted(self, request: AccessRequest, decision: Decision, passes: Passes = NO_PASSES) -> Kept:
        """Count the use; returns what is to be kept in the grant's own commit, {} where nothing changed."""
        return self._become(
            presence_.after_grant(self.conditions.presence, request, decision, self.policy, passes),
        )

    def passed(self, request: AccessRequest, decision: Decision, passes: Passes = NO_PASSES) -> Kept:
        """The portal really opened after that grant; returns what is to be kept, {} where nothing changed."""
        now = self.clock.local()
        before = self.conditions.presence
        return self._become(presence_.after_passage(before, request, decision, self.policy, now, passes))

    def _become(self, after: Presence) -> Kept:
        before, self.conditions.presence = self.conditions.presence, after
        return {} if after is before else presence_rows.changed(before, after)

    def restore_presence(self, kept: Mapping[str, str]) -> None:
        """Take up what the last run kept. What cannot be read is forgotten: softer rules, never a locked-out site."""
        try:
            self.conditions.presence = presence_rows.restored(kept)
        except ValueError as e:
            log.error("the kept presence cannot be read; everybody counts as nowhere", error=str(e))

    def high_security(self, portal: str) -> bool:
        """Whether nobody may come in there without a record."""
        described = self.policy.portals.get(portal)
        return described is not None and described.high_security

    def token(self, kind: str, subject: str) -> str:
        """The token of a person or vehicle, today."""
        return tokens.token(self.site_key, kind, subject, self.clock.local().date())

    async def record(
        self, *entries: NewEntry, late_ok: bool = True, keep: Mapping[str, str | None] | None = None
    ) -> None:
        """Commit. With `late_ok` a broken store keeps the entries in memory and this returns; else StoreError."""
        await self.recorder.record(entries, late_ok=late_ok, keep=keep)

    async def fact(self, data: AnyEventData, keep: Mapping[str, str | None] | None = None) -> None:
        """Record one thing that has happened, late if need be."""
        await self.record(NewEntry(data), keep=keep)
