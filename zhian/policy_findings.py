"""What in a policy is allowed but probably not meant: said at check and import, never refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from gateway.store.policy_calendar import official_years
from gateway.store.policy_document import PolicyDocument
from gateway.store.policy_edits import credential_name
from gateway.store.policy_store import InForce

MAX_LISTED = 5
SECRET = ("pin", "code")  # named by their kind: the digest stays out of every message
CALENDAR_AHEAD = timedelta(days=45)  # by then the next year's holidays are announced, and a release should have them


def findings(policy: InForce, portals: Iterable[str], now: datetime) -> list[str]:
    """Sentences. portals: those of the gateway; now: aware."""
    document = policy.document
    return [*_groups(document), *_people(document), *_portals(document, set(portals)), *_times(document, now)]


def kept_revoked(asked: PolicyDocument, in_force: PolicyDocument) -> list[str]:
    """What is revoked in the version in force although `asked` does not say so, in one sentence or none. No list on
    site shows a credential that tells of duress."""
    revoked = {(one.kind, one.key) for one in asked.credential if one.revoked}
    kept = [
        f"{one.holder} {one.kind if one.id is None and one.kind in SECRET else credential_name(one)}"
        for one in in_force.credential
        if one.revoked and not one.duress and (one.kind, one.key) not in revoked
    ]
    passes = {one.id for one in asked.pass_ if one.revoked}
    kept += [f"{one.holder} pass-{one.id}" for one in in_force.pass_ if one.revoked and one.id not in passes]
    if not kept:
        return []
    return [f"revoked all the same: {_some(kept)}; zhian access restore HOLDER CREDENTIAL takes a revocation back"]


def _groups(document: PolicyDocument) -> Iterator[str]:
    members = {group for holder in document.holder for group in holder.groups}
    named = {rule.group for rule in document.rule}
    for portal in document.portal:
        named |= {*portal.first_person_groups, *portal.lockdown_groups}
    if lost := sorted(named - members):
        yield f"no holder is in group {_some(lost)}, which rules or portals name"
    if idle := sorted(members - {rule.group for rule in document.rule}):
        yield f"no rule is about group {_some(idle)}, which holders are in"


def _people(document: PolicyDocument) -> Iterator[str]:
    holding = {one.holder for one in document.credential if not one.revoked}
    if without := sorted(holder.id for holder in document.holder if holder.id not in holding):
        yield f"{_some(without)} hold no credential that is not revoked"
    kinds = {(one.holder, one.kind) for one in document.credential}
    alone = sorted({holder for holder, kind in kinds if kind == "face"} - {h for h, kind in kinds if kind != "face"})
    if alone:
        yield f"{_some(alone)} can show nothing but a face; give them another way in"


def _portals(document: PolicyDocument, of_gateway: set[str]) -> Iterator[str]:
    passable = {portal for rule in document.rule for portal in rule.portals}
    described = {portal.name for portal in document.portal}
    if closed := sorted(described - passable):
        yield f"no rule opens portal {_some(closed)}"
    if of_gateway and (strange := sorted(described - of_gateway)):
        yield f"portal {_some(strange)} is not in gateway.toml; rules about it have no effect here"
    entered = {portal.enters_zone for portal in document.portal} | {portal.leaves_zone for portal in document.portal}
    if unused := sorted({zone.name for zone in document.zone} - entered):
        yield f"no portal leads into or out of zone {_some(unused)}"


def _times(document: PolicyDocument, now: datetime) -> Iterator[str]:
    ended = [one.id or one.holder for one in document.credential if one.valid_until and one.valid_until <= now]
    if ended:
        yield f"credentials of {_some(sorted(set(ended)))} have expired"
    soon = (now + CALENDAR_AHEAD).year
    if document.calendar.base == "prc" and soon not in official_years():
        yield f"the official holidays of {soon} are not known to this release; add them under [calendar], or update"


def _some(names: list[str]) -> str:
    listed = ", ".join(map(repr, names[:MAX_LISTED]))
    return listed + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")
