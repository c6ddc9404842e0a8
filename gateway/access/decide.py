"""The one function that says who may pass. It awaits nothing, reads nothing, and denies by default."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.access.policy import Credential, Policy
from gateway.model import AccessRequest, CredentialKind, Decision, Presented, Reason


@dataclass(frozen=True, slots=True)
class State:
    """What a decision needs to know beyond request and policy."""

    clock_certain: bool


def decide(request: AccessRequest, policy: Policy, state: State, now: datetime) -> Decision:
    """Return whether the request may pass, and why.

    now: aware local time of the site. Where `state.clock_certain` is False it is a lower bound: what has expired
    stays closed, and only schedules that are always open are believed.
    Every path that is not the one grant at the end denies. Pure; cost grows with the holder's groups only.
    """
    portal = policy.portals.get(request.portal)
    if portal is None:
        return Decision(False, Reason.UNKNOWN_PORTAL)
    if not request.presented:
        return Decision(False, Reason.UNKNOWN_CREDENTIAL)
    first = request.presented[0]
    credential = policy.credentials.get((first.kind, first.key))
    if credential is None:
        return Decision(False, Reason.UNKNOWN_CREDENTIAL, credential=first.kind)

    def denied(reason: Reason, awaiting: CredentialKind | None = None) -> Decision:
        return Decision(False, reason, credential.holder, first.kind, awaiting)

    now_ms = int(now.timestamp() * 1000)
    for presented in request.presented:
        problem = _problem(presented, credential.holder, policy, now_ms)
        if problem is not None:
            return denied(problem)
    if (problem := _rule_problem(credential.holder, request.portal, policy, state, now)) is not None:
        return denied(problem)
    shown = frozenset(presented.kind for presented in request.presented)
    if any(combination <= shown for combination in portal.accepts):
        return Decision(True, Reason.PERMITTED, credential.holder, first.kind)
    if any(shown | {CredentialKind.PIN} == combination for combination in portal.accepts):
        return denied(Reason.PIN_REQUIRED, CredentialKind.PIN)
    return denied(Reason.NOT_ACCEPTED_HERE)


def _problem(presented: Presented, holder: str, policy: Policy, now_ms: int) -> Reason | None:
    """Why this credential does not count as one of `holder`'s, or None where it does."""
    credential: Credential | None = policy.credentials.get((presented.kind, presented.key))
    if credential is None or credential.holder != holder:
        return Reason.WRONG_PIN if presented.kind is CredentialKind.PIN else Reason.UNKNOWN_CREDENTIAL
    if credential.revoked:
        return Reason.REVOKED
    if credential.valid_from_ms is not None and now_ms < credential.valid_from_ms:
        return Reason.NOT_YET_VALID
    if credential.valid_until_ms is not None and now_ms >= credential.valid_until_ms:
        return Reason.EXPIRED
    return None


def _rule_problem(holder: str, portal: str, policy: Policy, state: State, now: datetime) -> Reason | None:
    """Why no rule lets `holder` through `portal` now, or None where one does."""
    rules = [rule for group in policy.holders[holder].groups for rule in policy.rules.get((group, portal), ())]
    if not rules:
        return Reason.NO_RULE
    if any(rule.schedule.always for rule in rules):
        return None
    if not state.clock_certain:
        return Reason.CLOCK_UNCERTAIN
    return None if any(rule.schedule.allows(now) for rule in rules) else Reason.OUTSIDE_SCHEDULE
