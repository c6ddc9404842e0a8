"""The one function that says who may pass. It awaits nothing, reads nothing, and denies by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.access.formats import parity_problem
from gateway.access.policy import Combination, Credential, Holder, Policy, PortalPolicy
from gateway.access.presence import EMPTY_PRESENCE, NO_PASSES, Presence, find
from gateway.model import AccessRequest, CredentialKind, Decision, PortalMode, Presented, Reason

INVALID_PASS_KEY = ""  # `Presented.key` of a QR pass whose form or signature is wrong
# Bound once: looking a member up in its class costs as much as a look-up in the policy (CPython 3.11).
_CARD, _PIN, _QR, _PLATE = CredentialKind.CARD, CredentialKind.PIN, CredentialKind.QR, CredentialKind.PLATE
_FACE = CredentialKind.FACE
_FACE_ALONE = frozenset({_FACE})
_SEEN = frozenset({_PLATE, _FACE})  # by cameras: what else is needed with them is waited for
_LOCKED, _UNLOCKED, _CARD_AND_PIN = PortalMode.LOCKED, PortalMode.UNLOCKED, PortalMode.CARD_AND_PIN
_LOCKDOWN, _EMERGENCY_OPEN = PortalMode.LOCKDOWN, PortalMode.EMERGENCY_OPEN
_NO_GROUPS: frozenset[str] = frozenset()
_PERMITTED, _OUTSIDE_SCHEDULE = Reason.PERMITTED, Reason.OUTSIDE_SCHEDULE


@dataclass(frozen=True, slots=True)
class State:
    """What a decision needs to know beyond request and policy.

    mode, fire: of the portal in question. open_portals: names of the portals that are not closed, for interlocks.
    passes: QR passes that were shown and verified, by id (`passes.as_credential`).
    held: an operator has locked the portal against its unlock schedule. unseen_portals: those whose device is away, so
    that `open_portals` may be wrong about them; they hold nobody who leaves.
    face_alone: an operator has accepted what face recognition cannot promise; before that a face needs something else
    beside it, whatever the policy accepts.
    """

    clock_certain: bool
    mode: PortalMode = PortalMode.LOCKED
    fire: bool = False
    open_portals: frozenset[str] = frozenset()
    presence: Presence = EMPTY_PRESENCE
    passes: Mapping[str, Credential] = field(default_factory=lambda: NO_PASSES)
    held: bool = False
    unseen_portals: frozenset[str] = frozenset()
    face_alone: bool = False


def decide(request: AccessRequest, policy: Policy, state: State, now: datetime) -> Decision:
    """Return whether the request may pass, and why.

    now: aware local time of the site. Where `state.clock_certain` is False it is a lower bound: what has expired
    stays closed, and schedules follow the portal's `clock_uncertain`.
    From the strongest to the weakest: fire, emergency open, lockdown or unlocked, then the rules. Nobody on the way
    out is refused for who they are; only an interlock holds them, and only while nothing is wrong.
    Every path that is not a grant by name denies. Pure; cost grows with the holder's groups only.
    """
    portal = policy.portals.get(request.portal)
    if portal is None:
        decision = Decision(False, Reason.UNKNOWN_PORTAL)
    elif portal.leaving(request.point):
        decision = _leaving(request, portal, policy, state, now)
    elif portal.two_person:
        decision = _two_persons(request, portal, policy, state, now)
    else:
        decision = _one_person(request.presented, portal, policy, state, now)
    if decision.granted and portal is not None and portal.interlock & state.open_portals:
        decision = _held_by_interlock(decision, portal, request, state)
    if state.mode is _LOCKED and not state.fire and (portal is None or portal.unlock_schedule is None):
        return decision  # the ordinary case, without another call
    open_to_all = _open_to_all(portal, policy, state, now)
    if open_to_all is None:
        return decision
    return Decision(True, open_to_all, decision.holder, decision.credential, duress=decision.duress)


def unlocked_by_schedule(portal: PortalPolicy, policy: Policy, state: State, now: datetime) -> bool:
    """Whether `portal` is open to all now by its own schedule: not before a first person came in, where one is asked
    for, not on a closed date, and with an uncertain clock only as far as schedules are believed."""
    if portal.unlock_schedule is None or now.date() in portal.closed_dates:
        return False
    if portal.first_person_groups and state.presence.first_persons.get(portal.name) != now.date():
        return False
    schedule = policy.schedules[portal.unlock_schedule]
    if not state.clock_certain:
        believed = schedule.always and portal.clock_uncertain == "always-valid"
        return believed or (portal.clock_uncertain == "schedules" and schedule.allows(now, policy.calendar))
    return schedule.allows(now, policy.calendar)


def accepted(portal: PortalPolicy, mode: PortalMode) -> tuple[Combination, ...]:
    """The combinations that count in `mode`: with CARD_AND_PIN only those with a card, each with the PIN as well."""
    if mode is not _CARD_AND_PIN:
        return portal.accepts
    return tuple(one | {_PIN} for one in portal.accepts if _CARD in one)


def _open_to_all(portal: PortalPolicy | None, policy: Policy, state: State, now: datetime) -> Reason | None:
    """Why anybody may pass, whatever they show, or None."""
    if state.fire:
        return Reason.FIRE
    if state.mode is _EMERGENCY_OPEN:
        return Reason.EMERGENCY_OPEN
    if portal is None:
        return None
    if state.mode is _UNLOCKED:
        return Reason.UNLOCKED_BY_SCHEDULE
    if state.mode is _LOCKED and not state.held and unlocked_by_schedule(portal, policy, state, now):
        return Reason.UNLOCKED_BY_SCHEDULE
    return None


def _held_by_interlock(decision: Decision, portal: PortalPolicy, request: AccessRequest, state: State) -> Decision:
    seen_open = portal.interlock & state.open_portals - state.unseen_portals
    if portal.leaving(request.point) and (state.mode is _LOCKDOWN or not seen_open):
        return decision
    return Decision(False, Reason.INTERLOCK, decision.holder, decision.credential, duress=decision.duress)


def _leaving(request: AccessRequest, portal: PortalPolicy, policy: Policy, state: State, now: datetime) -> Decision:
    """Let somebody out. What is wrong with what they showed is a warning; it tells who left, and opens nothing else."""
    credential, problem, duress = _identify(request.presented, portal, policy, state, now)
    holder = credential.holder if credential else None
    kind = request.presented[0].kind if request.presented else None
    if problem is None or problem is Reason.USED_UP:  # a visitor's one use was to come in
        return Decision(True, _PERMITTED, holder, kind, duress=duress)
    reason = Reason.LOCKDOWN if state.mode is _LOCKDOWN else _PERMITTED
    return Decision(True, reason, holder, kind, duress=duress, warnings=(problem,))


def _two_persons(request: AccessRequest, portal: PortalPolicy, policy: Policy, state: State, now: datetime) -> Decision:
    """The first person's combination, then the second's; both must be let through, and be two."""
    presented, accepts = request.presented, accepted(portal, state.mode)
    cut = next((n for n in range(1, len(presented)) if _complete(presented[:n], accepts)), len(presented))
    first = _one_person(presented[:cut], portal, policy, state, now)
    if not first.granted:
        return first
    if cut == len(presented):
        reason = Reason.SECOND_PERSON_REQUIRED
        return Decision(False, reason, first.holder, first.credential, awaiting_person=True, duress=first.duress)
    second = _one_person(presented[cut:], portal, policy, state, now)
    duress = first.duress or second.duress
    if second.holder == first.holder:
        return Decision(False, Reason.SAME_PERSON_TWICE, first.holder, first.credential, duress=duress)
    if not second.granted:
        return replace(second, duress=duress)
    return replace(first, duress=duress, warnings=(*first.warnings, *second.warnings))


def _one_person(
    presented: Sequence[Presented], portal: PortalPolicy, policy: Policy, state: State, now: datetime
) -> Decision:
    """The ordinary decision on somebody who wants in."""
    credential, problem, duress = _identify(presented, portal, policy, state, now)
    if credential is None:
        return Decision(
            False, problem or Reason.UNKNOWN_CREDENTIAL, credential=presented[0].kind if presented else None
        )
    holder, kind = credential.holder, credential.kind
    if problem is None:
        if state.mode is _LOCKDOWN or portal.closed_dates or portal.first_person_groups:
            problem = _entry_problem(credential, portal, policy, state, now)
        else:
            problem = _rule_problem(policy.holders[holder], portal, policy, state, now)
    if problem is not None:
        return Decision(False, problem, holder, kind, duress=duress)
    accepts = portal.accepts if state.mode is _LOCKED else accepted(portal, state.mode)
    if presented[0].kind is _FACE and not state.face_alone:
        accepts = tuple(one for one in accepts if one != _FACE_ALONE)
    if not _complete(presented, accepts):
        shown = {one.kind for one in presented}
        if any(combination == shown | {_PIN} for combination in accepts):
            return Decision(False, Reason.PIN_REQUIRED, holder, kind, _PIN, duress=duress)
        return _unfinished(presented, credential, portal, accepts, policy, state, now, duress)
    zone = portal.enters_zone
    if zone is not None and _any_passed_back(presented, credential, zone, policy, state, now):
        if policy.zones[zone].passback != "soft":
            return Decision(False, Reason.ANTI_PASSBACK, holder, kind, duress=duress)
        return Decision(True, _PERMITTED, holder, kind, duress=duress, warnings=(Reason.ANTI_PASSBACK,))
    return Decision(True, _PERMITTED, holder, kind, duress=duress)


def _unfinished(
    presented: Sequence[Presented],
    credential: Credential,
    portal: PortalPolicy,
    accepts: Sequence[Combination],
    policy: Policy,
    state: State,
    now: datetime,
    duress: bool,
) -> Decision:
    """What was shown is not enough. Where a plate or face is part of what would be, the rest is waited for, except
    for a plate that is inside already: that is refused at once, since a copy of it is one of the two."""
    shown = {one.kind for one in presented}
    missing = next((one - shown for one in accepts if one & _SEEN and shown < one and len(one - shown) == 1), None)
    if missing is None:
        return Decision(False, Reason.NOT_ACCEPTED_HERE, credential.holder, credential.kind, duress=duress)
    zone = portal.enters_zone
    refuses = zone is not None and policy.zones[zone].passback != "soft" and _PLATE in shown
    if zone is not None and refuses and _any_passed_back(presented, credential, zone, policy, state, now):
        return Decision(False, Reason.ANTI_PASSBACK, credential.holder, credential.kind, duress=duress)
    (kind,) = missing
    return Decision(
        False, Reason.SECOND_FACTOR_REQUIRED, credential.holder, credential.kind, awaiting=kind, duress=duress
    )


def _identify(
    presented: Sequence[Presented], portal: PortalPolicy, policy: Policy, state: State, now: datetime
) -> tuple[Credential | None, Reason | None, bool]:
    """Whose the first credential is, what is wrong with what was shown (None = nothing), and whether it tells duress.

    Without a credential there is always something wrong.
    """
    if not presented:
        return None, Reason.UNKNOWN_CREDENTIAL, False
    first = find(presented[0], policy, state.passes)
    if first is None:
        return None, _unknown(presented[0], policy), False
    if first.holder not in policy.holders:  # a pass whose host has moved away
        return None, Reason.REVOKED, False
    problem = _credential_problem(first, portal, state, now)
    duress = first.duress and problem is None
    for shown in presented[1:]:
        further = find(shown, policy, state.passes)
        if further is None or further.holder != first.holder:
            wrong: Reason | None = Reason.WRONG_PIN if shown.kind is _PIN else Reason.UNKNOWN_CREDENTIAL
        else:
            wrong = _credential_problem(further, portal, state, now)
            duress = duress or (further.duress and wrong is None)
        problem = problem or wrong
    return first, problem, duress


def _unknown(presented: Presented, policy: Policy) -> Reason:
    if presented.kind is _QR and presented.key == INVALID_PASS_KEY:
        return Reason.INVALID_PASS
    if presented.kind is _CARD and policy.card_formats and parity_problem(presented.key, policy.card_formats):
        return Reason.MISREAD
    return Reason.UNKNOWN_CREDENTIAL


def _credential_problem(credential: Credential, portal: PortalPolicy, state: State, now: datetime) -> Reason | None:
    """Why this credential does not count here and now, whoever holds it, or None where it does."""
    if credential.revoked:
        return Reason.REVOKED
    if credential.valid_from_ms is not None or credential.valid_until_ms is not None:
        now_ms = int(now.timestamp() * 1000)
        if credential.valid_from_ms is not None and now_ms < credential.valid_from_ms:
            return Reason.NOT_YET_VALID
        if credential.valid_until_ms is not None and now_ms >= credential.valid_until_ms:
            return Reason.EXPIRED
    if credential.portals is not None and portal.name not in credential.portals:
        return Reason.NO_RULE
    if credential.uses is not None:
        presence = state.presence
        if presence.used(credential) >= credential.uses or not presence.countable(credential):
            return Reason.USED_UP
    return None


def _entry_problem(
    credential: Credential, portal: PortalPolicy, policy: Policy, state: State, now: datetime
) -> Reason | None:
    """Why the holder may not enter now: `_rule_problem`, and what a lockdown, a date or a first person adds to it."""
    holder = policy.holders[credential.holder]
    # A visitor has the rules of their host, not the host's trust in a lockdown or as a first person.
    trusted = holder.groups if credential.portals is None else _NO_GROUPS
    if state.mode is _LOCKDOWN and not trusted & portal.lockdown_groups:
        return Reason.LOCKDOWN
    if now.date() in portal.closed_dates:
        return Reason.NOT_TODAY
    problem = _rule_problem(holder, portal, policy, state, now)
    if problem is not None or not portal.first_person_groups or trusted & portal.first_person_groups:
        return problem
    came_in = state.presence.first_persons.get(portal.name) == now.date()
    return None if came_in else Reason.FIRST_PERSON_ABSENT


def _rule_problem(holder: Holder, portal: PortalPolicy, policy: Policy, state: State, now: datetime) -> Reason | None:
    """Why no rule lets `holder` through `portal` now, or None where one does."""
    if state.clock_certain or portal.clock_uncertain == "schedules":
        timed, always, closed = True, True, _OUTSIDE_SCHEDULE
    else:
        timed, always, closed = False, portal.clock_uncertain == "always-valid", Reason.CLOCK_UNCERTAIN
    found = excepted = False
    for group in holder.groups:
        for rule in policy.rules.get((group, portal.name), ()):
            schedule = rule.schedule
            if (always and schedule.always) or (timed and schedule.allows(now, policy.calendar)):
                return None
            found = True
            excepted = excepted or (timed and schedule.closed_by_exception(now))
    if not found:
        return Reason.NO_RULE
    return Reason.NOT_TODAY if excepted else closed


def _passed_back(credential: Credential, zone: str, policy: Policy, state: State, now: datetime) -> bool:
    """Whether who shows `credential` is in `zone` already, as far as that zone cares."""
    kept = policy.zones[zone]
    inside = state.presence.zones.get(credential.subject)
    if kept.passback == "off" or inside is None or inside.zone != zone:
        return False
    return kept.passback != "timed" or int(now.timestamp() * 1000) - inside.since_ms < kept.timed_s * 1000


def _any_passed_back(
    presented: Sequence[Presented], first: Credential, zone: str, policy: Policy, state: State, now: datetime
) -> bool:
    """Likewise for anything that was shown: a car is in the zone by itself, apart from who drives it."""
    if _passed_back(first, zone, policy, state, now):
        return True
    if len(presented) == 1:
        return False
    further = (find(one, policy, state.passes) for one in presented[1:])
    return any(one is not None and _passed_back(one, zone, policy, state, now) for one in further)


def _complete(presented: Sequence[Presented], accepts: Sequence[Combination]) -> bool:
    """Whether one of the combinations was shown. Loops, since hashing kinds into sets costs five times as much."""
    for combination in accepts:
        for kind in combination:
            for one in presented:
                if one.kind is kind:
                    break
            else:
                break
        else:
            return True
    return False
