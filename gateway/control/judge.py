"""What every portal needs to come to a decision and to say it in an event: policy, clock, site key, decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from center.contract.catalogue import AnyEventData
from gateway.access import presence as presence_
from gateway.access import tokens
from gateway.access.decide import INVALID_PASS_KEY, State, decide
from gateway.access.policy import Policy
from gateway.access.presence import NO_PASSES, Forgotten, Presence
from gateway.control.asked import Asked, Passes
from gateway.control.conditions import Conditions
from gateway.control.presence_rows import PresenceRows
from gateway.errors import OperationRefusedError
from gateway.model import AccessRequest, CredentialKind, Decision, PortalMode, Presented, Reason
from gateway.portal import mode
from gateway.ports import Clock, NewEntry, Recorder
from runtime.log import get

Kept = dict[str, str | None]  # for the store, in the same commit as the event
ReadPass = Callable[[str], tuple[Presented, Passes]]

_FACE = frozenset({CredentialKind.FACE})
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
        self.face_alone = False  # core sets it
        self._rows = PresenceRows()

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
            presence=self._expected(portal),
            passes=passes,
            held=conditions.held(portal),
            unseen_portals=conditions.unseen_portals,
            face_alone=self.face_alone,
        )

    def _expected(self, portal: str) -> Presence:
        """Who is where once everybody who was let through a turnstile has passed: two grants are two passages."""
        presence, policy = self.conditions.presence, self.policy
        described = policy.portals.get(portal)
        if described is None or described.enters_zone is None or policy.zones[described.enters_zone].passback == "off":
            return presence
        expected, now = presence, self.clock.local()
        for due in self.conditions.due.values():
            for one in due:
                expected = presence_.after_passage(expected, one.request, one.decision, policy, now, one.passes)
        return presence if expected is presence else replace(presence, zones=expected.zones)

    def decide(self, request: AccessRequest, passes: Passes = NO_PASSES) -> Decision:
        """`access.decide` now. Awaits nothing."""
        return decide(request, self.policy, self.state(request.portal, passes), self.clock.local())

    def leaving(self, request: AccessRequest) -> bool:
        """Whether somebody asks from the inner side."""
        portal = self.policy.portals.get(request.portal)
        return portal is not None and portal.leaving(request.point)

    def face_opens_alone(self, portal: str) -> bool:
        """Whether a face needs nothing beside it there."""
        described = self.policy.portals.get(portal)
        return self.face_alone and described is not None and _FACE in described.accepts

    def open_to_all(self, request: AccessRequest) -> bool:
        """Whether whoever asks may pass, whatever they show: fire, a mode that frees the portal, or the way out."""
        conditions, portal = self.conditions, request.portal
        return mode.free(conditions.mode(portal), conditions.fire(portal)) or self.leaving(request)

    def late_ok(self, asked: Asked) -> bool:
        """Whether this may come true although it cannot be recorded now: all but coming in by rule where the policy
        says high security. A refusal needs no disk, and nobody is kept in for want of one."""
        decision = asked.decision
        by_rule = decision.granted and decision.reason is Reason.PERMITTED and not self.leaving(asked.request)
        return not (by_rule and self.high_security(asked.request.portal))

    def overtaken(self, asked: Asked, mode_then: PortalMode) -> bool:
        """Whether a lockdown began while the record of this grant was on its way, and who was let in does not leave."""
        return not self.leaving(asked.request) and self._locked_down_since(asked.request.portal, mode_then)

    def check_override(self, portal: str, *parts: str) -> None:
        """Raises OperationRefusedError where an interlock holds `portal` or one of its `parts`."""
        conditions = self.conditions
        if mode.free(conditions.mode(portal), conditions.fire(portal)):
            return
        for name in (portal, *parts):
            described = self.policy.portals.get(name)
            others = described.interlock & conditions.open_portals - conditions.unseen_portals if described else ()
            if others:
                raise OperationRefusedError(
                    f"portal {name!r} is in an interlock with {', '.join(sorted(others))}, which is not closed; close"
                    " it first, or open this portal in an emergency"
                )

    def check_overtaken(self, portal: str, mode_then: PortalMode) -> None:
        """Raises OperationRefusedError where a lockdown began while the record of an override was on its way."""
        if self._locked_down_since(portal, mode_then):
            raise OperationRefusedError(f"a lockdown of {portal!r} has begun meanwhile; ask again if it is to open")

    def _locked_down_since(self, portal: str, mode_then: PortalMode) -> bool:
        conditions = self.conditions
        now = conditions.mode(portal)
        return now is PortalMode.LOCKDOWN and mode_then is not now and not conditions.fire(portal)

    def granted(self, request: AccessRequest, decision: Decision, passes: Passes = NO_PASSES) -> Kept:
        """Count the use; returns what is to be kept in the grant's own commit, {} where nothing changed."""
        return self.become(
            presence_.after_grant(self.conditions.presence, request, decision, self.policy, passes),
        )

    def passed(self, request: AccessRequest, decision: Decision, passes: Passes = NO_PASSES) -> Kept:
        """The portal really opened after that grant; returns what is to be kept, {} where nothing changed."""
        now = self.clock.local()
        before = self.conditions.presence
        return self.become(presence_.after_passage(before, request, decision, self.policy, now, passes))

    def become(self, after: Presence) -> Kept:
        """Another presence holds from now on; returns what is to be kept, {} where nothing changed."""
        before, self.conditions.presence = self.conditions.presence, after
        return {} if after is before else self._rows.changed(before, after)

    def pruned(self) -> Kept:
        """Forget the uses of what has expired; to be asked with a certain clock only. Returns what is to be kept."""
        return self.become(presence_.pruned(self.conditions.presence, self.clock.now_ms()))

    def forget(self, what: Forgotten, name: str = "") -> tuple[int, Kept]:
        """Forget where some are (`presence.forgotten`); returns how many these were, and what is to be kept."""
        before = self.conditions.presence
        kept = self.become(presence_.forgotten(before, what, name, self.policy))
        return len(before.zones) - len(self.conditions.presence.zones), kept

    def restore_presence(self, kept: Mapping[str, str]) -> None:
        """Take up what the last run kept. What cannot be read is forgotten: softer rules, never a locked-out site."""
        try:
            self.conditions.presence = self._rows.restored(kept)
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
