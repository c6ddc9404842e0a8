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
    holder = credential.holder
    reason = _credential_problem(credential, now)
    for presented in request.presented[1:]:
        reason = reason or _further_problem(presented, holder, policy, now)
    reason = reason or _rule_problem(holder, request.portal, policy, state, now)
    if reason is not None:
        return Decision(False, reason, holder, first.kind)
    shown = {presented.kind for presented in request.presented}
    for combination in portal.accepts:
        if combination <= shown:
            return Decision(True, Reason.PERMITTED, holder, first.kind)
    for combination in portal.accepts:
        if combination == shown | {CredentialKind.PIN}:
            return Decision(False, Reason.PIN_REQUIRED, holder, first.kind, CredentialKind.PIN)
    return Decision(False, Reason.NOT_ACCEPTED_HERE, holder, first.kind)


def _credential_problem(credential: Credential, now: datetime) -> Reason | None:
    """Why this credential does not count now, whoever holds it, or None where it does."""
    if credential.revoked:
        return Reason.REVOKED
    if credential.valid_from_ms is None and credential.valid_until_ms is None:
        return None
    now_ms = int(now.timestamp() * 1000)
    if credential.valid_from_ms is not None and now_ms < credential.valid_from_ms:
        return Reason.NOT_YET_VALID
    if credential.valid_until_ms is not None and now_ms >= credential.valid_until_ms:
        return Reason.EXPIRED
    return None


def _further_problem(presented: Presented, holder: str, policy: Policy, now: datetime) -> Reason | None:
    """Why what was shown after the first does not count as one of `holder`'s, or None where it does."""
    credential = policy.credentials.get((presented.kind, presented.key))
    if credential is None or credential.holder != holder:
        return Reason.WRONG_PIN if presented.kind is CredentialKind.PIN else Reason.UNKNOWN_CREDENTIAL
    return _credential_problem(credential, now)


def _rule_problem(holder: str, portal: str, policy: Policy, state: State, now: datetime) -> Reason | None:
    """Why no rule lets `holder` through `portal` now, or None where one does."""
    found = False
    for group in policy.holders[holder].groups:
        for rule in policy.rules.get((group, portal), ()):
            if rule.schedule.always or (state.clock_certain and rule.schedule.allows(now)):
                return None
            found = True
    if not found:
        return Reason.NO_RULE
    return Reason.OUTSIDE_SCHEDULE if state.clock_certain else Reason.CLOCK_UNCERTAIN
