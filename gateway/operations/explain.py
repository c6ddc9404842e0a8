"""Who could pass a portal at a moment, and why not: the same `decide` as at the door, asked for everybody.

Nothing moves and nothing is recorded. Credentials that tell of duress are left out: they open like any other, and no
list on site shows them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, product

from gateway.access.decide import State, accepted, decide
from gateway.access.policy import Credential, Policy, PortalPolicy
from gateway.access.presence import Presence
from gateway.errors import OperationRefusedError
from gateway.model import AccessRequest, CredentialKind, Decision, PortalMode, Presented, Reason
from gateway.operations.explanation import Explanation, Finding

MAX_FINDINGS = 2000  # people listed in one answer; the counts are of all
MAX_WAYS = 16  # ways of one holder that are tried for one combination: more cards than that differ in nothing else
PASS_PLATE_SUFFIX = "-plate"  # noqa: S105  # the plate of a pass is a credential of its own beside the QR code
POINT = "explain"  # no device has this name on the inner side: somebody who wants in


@dataclass(frozen=True, slots=True)
class Question:
    """at: aware local time of the site. who: a holder's id, None = everybody. with_kind: only with this kind.
    refused: list those who could not pass, too."""

    portal: str
    at: datetime
    who: str | None = None
    with_kind: CredentialKind | None = None
    refused: bool = False


def asked(policy: Policy, question: Question) -> Question:
    """The question, if the policy knows whom and what it is about. Raises OperationRefusedError."""
    if question.portal not in policy.portals:
        raise OperationRefusedError(f"there is no portal {question.portal!r}; the policy has {sorted(policy.portals)}")
    if question.who is not None and question.who not in policy.holders:
        raise OperationRefusedError(f"there is no holder {question.who!r}; `zhian access holders` lists them")
    return question


def planned(live: State) -> State:
    """The state for a moment that is not now: nobody is anywhere, nothing is locked down; only what is used up stays
    used up."""
    return State(True, presence=Presence(uses=live.presence.uses))


def findings(question: Question, policy: Policy, state: State) -> Iterator[Finding | None]:
    """One finding for each holder asked about and for each visitor of theirs, None for a holder without any
    credential. Lazy, so that core can do other things in between."""
    portal = policy.portals[question.portal]
    owned: dict[str, dict[str, list[Credential]]] = defaultdict(lambda: defaultdict(list))
    for credential in policy.credentials.values():
        if not credential.duress:
            visitor = "" if credential.portals is None else credential.name.removesuffix(PASS_PLATE_SUFFIX)
            owned[credential.holder][visitor].append(credential)
    asked = policy.holders if question.who is None else [question.who]
    for holder in asked:
        if holder not in owned:
            yield None
        for _, theirs in sorted(owned.get(holder, {}).items()):
            yield _finding(holder, theirs, portal, question, policy, state)


def collected(
    question: Question, policy: Policy, state: State, found: Sequence[Finding | None], live: bool
) -> Explanation:
    """The answer that `found` adds up to."""
    people = [one for one in found if one is not None]
    listed = [one for one in people if one.granted or one.second_person or question.refused or question.who]
    listed.sort(key=lambda one: (not one.granted, not one.second_person, one.holder))
    portal = policy.portals[question.portal]
    nobody = decide(AccessRequest(portal.name, POINT, ()), policy, state, question.at)
    day = policy.calendar.days.get(question.at.date())
    return Explanation(
        portal=portal.name,
        at=question.at.isoformat(timespec="minutes"),
        policy_version=policy.version,
        live=live,
        clock_certain=state.clock_certain,
        mode=state.mode,
        fire=state.fire,
        day=day or "",
        calendar_known=question.at.year in policy.calendar.known_years,
        open_to_all=nobody.reason if nobody.granted else None,
        accepts=tuple(tuple(sorted(kinds)) for kinds in portal.accepts),
        granted=sum(one.granted for one in people),
        looked_at=len(people),
        without_credential=len(found) - len(people),
        counts=dict(Counter(str(one.reason) for one in people).most_common()),
        findings=tuple(listed[:MAX_FINDINGS]),
        left_off=max(0, len(listed) - MAX_FINDINGS),
    )


def _finding(
    holder: str, theirs: Sequence[Credential], portal: PortalPolicy, question: Question, policy: Policy, state: State
) -> Finding:
    """The best that this holder could do; where nothing helps, what stood nearest."""
    best: tuple[tuple[int, ...], Decision, tuple[Credential, ...]] | None = None
    for way in _ways(theirs, portal, question.with_kind, state.mode):
        request = AccessRequest(portal.name, POINT, tuple(Presented(one.kind, one.key) for one in way))
        decision = decide(request, policy, state, question.at)
        rank = _rank(decision)
        if best is None or rank < best[0]:
            best = (rank, decision, way)
    of_holder = policy.holders[holder]
    rules = tuple(_rules(of_holder.groups, portal.name, policy))
    if best is None:
        return Finding(holder, dict(of_holder.name), (), (), False, Reason.NOT_ACCEPTED_HERE, rules=rules)
    _, decision, way = best
    return Finding(
        holder,
        dict(of_holder.name),
        shown=tuple(one.kind for one in way),
        credentials=tuple(_public_name(one) for one in way),
        granted=decision.granted,
        reason=decision.reason,
        second_person=decision.awaiting_person,
        warnings=decision.warnings,
        rules=rules,
    )


def _rank(decision: Decision) -> tuple[int, ...]:
    """Grants first, then what a second person or one more factor would complete, then what is told of the portal and
    the hour rather than of one of several cards."""
    of_this_credential = decision.reason in (Reason.REVOKED, Reason.EXPIRED, Reason.NOT_YET_VALID, Reason.USED_UP)
    return (
        not decision.granted,
        not decision.awaiting_person,
        decision.awaiting is None,
        decision.reason is Reason.NOT_ACCEPTED_HERE,
        of_this_credential,
    )


def _ways(
    theirs: Sequence[Credential], portal: PortalPolicy, with_kind: CredentialKind | None, mode: PortalMode
) -> Iterator[tuple[Credential, ...]]:
    """What somebody with these credentials can show here: each accepted combination that they can make, and where
    they can make none, each credential by itself."""
    of_kind: Mapping[CredentialKind, list[Credential]] = defaultdict(list)
    for one in theirs:
        if with_kind in (None, one.kind) or one.kind is CredentialKind.PIN:
            of_kind[one.kind].append(one)
    accepts = list(portal.accepts)
    if mode is PortalMode.CARD_AND_PIN:
        accepts += accepted(portal, mode)
    made = False
    for kinds in accepts:
        if with_kind is not None and with_kind not in kinds:
            continue
        # The PIN comes last, as people do it and as `decide` reads it.
        ordered = sorted(kinds, key=lambda kind: (kind is CredentialKind.PIN, kind))
        for way in islice(product(*(of_kind[kind] for kind in ordered)), MAX_WAYS):
            made = True
            yield way
    if not made:
        for one in theirs[:MAX_WAYS]:
            if with_kind in (None, one.kind):
                yield (one,)


def _public_name(credential: Credential) -> str:
    """Its id, or what is no secret of it: never the digest of a PIN."""
    if credential.id:
        return credential.id
    secret = credential.kind in (CredentialKind.PIN, CredentialKind.CODE)
    return str(credential.kind) if secret else credential.name


def _rules(groups: frozenset[str], portal: str, policy: Policy) -> Iterator[str]:
    for group in sorted(groups):
        for rule in policy.rules.get((group, portal), ()):
            yield f"{group}: {rule.schedule.name}"


def as_planned(question: Question, policy: Policy) -> Explanation:
    """The answer from the policy alone: a certain clock, nobody anywhere, every portal in its ordinary mode."""
    state = State(True)
    return collected(question, policy, state, list(findings(question, policy, state)), live=False)
