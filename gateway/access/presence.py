"""Who is in which zone, who came in first today, and how often a credential was used: an immutable value.

Control keeps one `Presence` per site, replaces it with what these functions return, and stores its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal

from gateway.access.policy import Credential, Policy, PortalPolicy
from gateway.model import AccessRequest, CredentialKind, Decision, Presented, Reason

Row = tuple[str, str, str, int]  # what ("zone" | "first" | "uses"), whose, where, number
Forgotten = Literal["holder", "zone", "all"]
MAX_PRESENT = 100_000  # subjects in zones; beyond it, newcomers are not remembered
MAX_COUNTED = 100_000  # credentials with uses that were counted; beyond it, no further one with uses opens
NO_PASSES: Mapping[str, Credential] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class InZone:
    """Which zone somebody is in, and since when (Unix ms)."""

    zone: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Used:
    """How often a credential opened something; after `until_ms` it opens nothing anyway (None = unlimited)."""

    count: int
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """zones: by `Credential.subject`. first_persons: by portal, the local date on which one came in last.
    uses: by `Credential.counted_as`."""

    zones: Mapping[str, InZone] = field(default_factory=lambda: MappingProxyType({}))
    first_persons: Mapping[str, date] = field(default_factory=lambda: MappingProxyType({}))
    uses: Mapping[str, Used] = field(default_factory=lambda: MappingProxyType({}))

    def used(self, credential: Credential) -> int:
        """How often `credential` opened something."""
        used = self.uses.get(credential.counted_as)
        return used.count if used else 0

    def countable(self, credential: Credential) -> bool:
        """Whether another use of `credential` could be counted; what cannot be counted must not open."""
        return len(self.uses) < MAX_COUNTED or credential.counted_as in self.uses


EMPTY_PRESENCE = Presence()


def find(presented: Presented, policy: Policy, passes: Mapping[str, Credential] = NO_PASSES) -> Credential | None:
    """The credential that was shown. What the policy says of a pass (revoked, say) goes before what the pass says."""
    found = policy.credentials.get((presented.kind, presented.key))
    if found is None and presented.kind is CredentialKind.QR:
        return passes.get(presented.key)
    return found


def after_grant(
    presence: Presence,
    request: AccessRequest,
    decision: Decision,
    policy: Policy,
    passes: Mapping[str, Credential] = NO_PASSES,
) -> Presence:
    """Count a use of every limited credential that was shown, at the moment of the grant: a door that was then not
    walked through has been used all the same. Only a grant by rule to come in counts: neither leaving nor a portal that
    is open to all uses anything up."""
    portal = policy.portals.get(request.portal)
    if portal is None or portal.leaving(request.point):
        return presence
    if not (decision.granted and decision.reason is Reason.PERMITTED):
        return presence
    uses = dict(presence.uses)
    for credential in _shown(request, policy, passes):
        if credential.uses is not None:
            uses[credential.counted_as] = Used(presence.used(credential) + 1, credential.valid_until_ms)
    return replace(presence, uses=MappingProxyType(uses)) if uses != presence.uses else presence


def after_passage(
    presence: Presence,
    request: AccessRequest,
    decision: Decision,
    policy: Policy,
    now: datetime,
    passes: Mapping[str, Credential] = NO_PASSES,
) -> Presence:
    """What holds once the portal really opened after the grant `decision`. now: aware local time of the site.

    Everybody who showed a known credential changes zones; a portal without zones changes nobody's. A first person
    counts when a rule let them in, not when the door stood open to all.
    """
    portal = policy.portals.get(request.portal)
    if portal is None or not decision.granted:
        return presence
    leaving = portal.leaving(request.point)
    shown = _shown(request, policy, passes)
    zones = _moved(presence, portal, leaving, shown, int(now.timestamp() * 1000))
    first_persons = presence.first_persons
    if not leaving and decision.reason is Reason.PERMITTED and _any_first_person(portal, shown, policy):
        first_persons = MappingProxyType({**first_persons, portal.name: now.date()})
    return replace(presence, zones=zones, first_persons=first_persons)


def forgotten(presence: Presence, what: Forgotten, name: str, policy: Policy) -> Presence:
    """Forget where some are: for whoever left unseen and is refused now, and after a fire, when everybody left.

    what: "holder" `name` with their cars and the visitors they answer for, everybody in the "zone" `name`, or "all".
    A use that was counted stays counted. The same object where nobody was anywhere.
    """
    subjects = {name} | {one.subject for one in policy.credentials.values() if one.holder == name}

    def stays(who: str, where: InZone) -> bool:
        if what == "all":
            return False
        return where.zone != name if what == "zone" else who not in subjects

    kept = {who: where for who, where in presence.zones.items() if stays(who, where)}
    return presence if len(kept) == len(presence.zones) else replace(presence, zones=MappingProxyType(kept))


def pruned(presence: Presence, now_ms: int) -> Presence:
    """Without the use counts of what has expired (Unix ms; never above the newest stored time). The same object where
    there is none, so that asking often costs nothing more."""
    kept = {name: used for name, used in presence.uses.items() if used.until_ms is None or used.until_ms > now_ms}
    return presence if len(kept) == len(presence.uses) else replace(presence, uses=MappingProxyType(kept))


def as_rows(presence: Presence) -> list[Row]:
    """Plain values for storage, in a fixed order."""
    rows: list[Row] = [("zone", who, where.zone, where.since_ms) for who, where in sorted(presence.zones.items())]
    rows += [("first", portal, day.isoformat(), 0) for portal, day in sorted(presence.first_persons.items())]
    rows += [
        ("uses", name, "" if used.until_ms is None else str(used.until_ms), used.count)
        for name, used in sorted(presence.uses.items())
    ]
    return rows


def from_rows(rows: Iterable[Row]) -> Presence:
    """The presence of stored rows. Raises ValueError for a row that `as_rows` does not make."""
    zones: dict[str, InZone] = {}
    first_persons: dict[str, date] = {}
    uses: dict[str, Used] = {}
    for what, whose, where, number in rows:
        if what == "zone":
            zones[whose] = InZone(where, number)
        elif what == "first":
            first_persons[whose] = date.fromisoformat(where)
        elif what == "uses":
            uses[whose] = Used(number, int(where) if where else None)
        else:
            raise ValueError(f"presence: expected a row of zone, first or uses, got {what!r}; drop the stored presence")
    return Presence(MappingProxyType(zones), MappingProxyType(first_persons), MappingProxyType(uses))


def _shown(request: AccessRequest, policy: Policy, passes: Mapping[str, Credential]) -> list[Credential]:
    found = (find(presented, policy, passes) for presented in request.presented)
    return [credential for credential in found if credential is not None]


def _moved(
    presence: Presence, portal: PortalPolicy, leaving: bool, shown: list[Credential], now_ms: int
) -> Mapping[str, InZone]:
    if portal.leaves_zone is None and portal.enters_zone is None:
        return presence.zones
    to = portal.leaves_zone if leaving and portal.enters_zone is not None else portal.enters_zone
    zones = dict(presence.zones)
    for subject in {credential.subject for credential in shown}:
        zones.pop(subject, None)
        if to is not None and len(zones) < MAX_PRESENT:
            zones[subject] = InZone(to, now_ms)
    return MappingProxyType(zones)


def _any_first_person(portal: PortalPolicy, shown: list[Credential], policy: Policy) -> bool:
    return any(
        policy.holders[credential.holder].groups & portal.first_person_groups
        for credential in shown
        if credential.portals is None  # a visitor is not the one who was waited for
    )
