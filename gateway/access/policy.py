"""The site's policy as an immutable snapshot that `decide` looks things up in: holders, credentials, rules, portals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Literal, TypeVar

from gateway.access.formats import FORMATS, parity_problem
from gateway.access.schedule import ALWAYS, ORDINARY_WEEK, Calendar, Schedule
from gateway.model import CredentialKind

T = TypeVar("T")
ClockUncertain = Literal["always-valid", "deny", "schedules"]
Passback = Literal["hard", "soft", "timed", "off"]
Combination = frozenset[CredentialKind]


@dataclass(frozen=True, slots=True)
class Holder:
    """A person who holds credentials. `name` maps a language tag to what people call them; it stays on the site."""

    id: str
    groups: frozenset[str]
    name: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Credential:
    """One way of proving to be `holder`. `key` as in `model.Presented`; times are Unix ms, None = unlimited.

    id: names it in lists, revocations and use counts; "" = it has no name of its own and kind and key do.
    uses: how often it may open, None = unlimited. portals: opens these only (a visitor pass); the rules of its holder
    hold as well. duress: opens like any other and tells that it was shown under threat.
    counter: what its uses are counted under, where several credentials share them (the QR code and the plate of one
    pass); "" = its own name.
    """

    kind: CredentialKind
    key: str
    holder: str
    revoked: bool = False
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    id: str = ""
    uses: int | None = None
    portals: frozenset[str] | None = None
    duress: bool = False
    counter: str = ""

    @property
    def counted_as(self) -> str:
        """What its uses are counted under."""
        return self.counter or self.name

    @property
    def name(self) -> str:
        """What lists and revocations call it."""
        return self.id or f"{self.kind}:{self.key}"

    @property
    def subject(self) -> str:
        """Who or what moves with it, for zones: the holder; a visitor or a car by itself, apart from its holder."""
        if self.portals is not None or self.kind is CredentialKind.PLATE:
            return f"credential {self.name}"
        return self.holder


@dataclass(frozen=True, slots=True)
class Rule:
    """Members of `group` may pass `portals` while `schedule` is open."""

    group: str
    portals: frozenset[str]
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class PortalPolicy:
    """What a portal asks of whoever passes it.

    accepts: any one of these combinations of credential kinds, all by the same holder.
    clock_uncertain: while the clock may be wrong, "always-valid" believes only schedules that are always open,
        "schedules" believes all of them, "deny" lets nobody in. Leaving is not affected.
    exit_points: the points (devices) on the inner side; a request from there is somebody leaving. A portal with
        `leaves_zone` and without `enters_zone` leads out as a whole.
    leaves_zone, enters_zone: the zone outside and the zone inside the portal, None = no zone.
    interlock: portals that must be closed before this one opens (made mutual by `compile_policy`).
    first_person_groups: until one of them has come in today, nobody else may; empty = does not matter.
    lockdown_groups: whoever may enter during a lockdown.
    unlock_schedule: name of the schedule during which it is open to all.
    high_security: no entry while nothing can be recorded (obeyed by the door, not by `decide`).
    closed_dates: dates on which nobody enters, whatever the schedules say.
    """

    name: str
    accepts: tuple[Combination, ...]
    clock_uncertain: ClockUncertain = "always-valid"
    exit_points: frozenset[str] = frozenset()
    leaves_zone: str | None = None
    enters_zone: str | None = None
    interlock: frozenset[str] = frozenset()
    first_person_groups: frozenset[str] = frozenset()
    two_person: bool = False
    lockdown_groups: frozenset[str] = frozenset()
    unlock_schedule: str | None = None
    high_security: bool = False
    closed_dates: frozenset[date] = frozenset()

    def leaving(self, point: str) -> bool:
        """Whether somebody at `point` is on the way out."""
        return point in self.exit_points or (self.leaves_zone is not None and self.enters_zone is None)


@dataclass(frozen=True, slots=True)
class Zone:
    """An area with an inside. Coming in again without having left is refused ("hard"), told ("soft"), refused for
    `timed_s` seconds after the last entry ("timed"), or does not matter ("off")."""

    name: str
    passback: Passback = "off"
    timed_s: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole snapshot. Build it with `compile_policy`, which makes the indexes."""

    version: int
    holders: Mapping[str, Holder]
    portals: Mapping[str, PortalPolicy]
    credentials: Mapping[tuple[CredentialKind, str], Credential]
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]  # by (group, portal)
    zones: Mapping[str, Zone] = field(default_factory=lambda: MappingProxyType({}))
    schedules: Mapping[str, Schedule] = field(default_factory=lambda: MappingProxyType({}))
    calendar: Calendar = ORDINARY_WEEK
    card_formats: frozenset[str] = frozenset()  # names of `formats.FORMATS` whose parity is checked; others stay raw


def compile_policy(
    version: int,
    holders: Iterable[Holder],
    credentials: Iterable[Credential],
    rules: Iterable[Rule],
    portals: Iterable[PortalPolicy],
    *,
    zones: Iterable[Zone] = (),
    schedules: Iterable[Schedule] = (),
    calendar: Calendar = ORDINARY_WEEK,
    card_formats: Iterable[str] = (),
) -> Policy:
    """Index the parts for constant-time look-ups. Raises ValueError (one sentence) for doubles and dangling names.

    schedules: those that portals name in `unlock_schedule`; rules bring their own.
    """
    by_id = {holder.id: holder for holder in _once(holders, "holder", lambda holder: holder.id)}
    formats = frozenset(card_formats)
    if unknown := sorted(formats - FORMATS.keys()):
        raise ValueError(f"card format {unknown[0]!r} is not one of {sorted(FORMATS)}; correct it")
    by_zone = {zone.name: zone for zone in _once(zones, "zone", lambda zone: zone.name)}
    by_schedule = {ALWAYS.name: ALWAYS} | {s.name: s for s in _once(schedules, "schedule", lambda s: s.name)}
    by_portal = _interlocked({portal.name: portal for portal in _once(portals, "portal", lambda portal: portal.name)})
    for portal in by_portal.values():
        _check_portal(portal, by_portal, by_zone, by_schedule)
    return Policy(
        version=version,
        holders=MappingProxyType(by_id),
        portals=MappingProxyType(by_portal),
        credentials=MappingProxyType(_credentials(credentials, by_id, by_portal, formats)),
        rules=MappingProxyType(_rules(rules, by_portal)),
        zones=MappingProxyType(by_zone),
        schedules=MappingProxyType(by_schedule),
        calendar=calendar,
        card_formats=formats,
    )


def _once(parts: Iterable[T], noun: str, name: Callable[[T], str]) -> list[T]:
    listed = list(parts)
    seen: set[str] = set()
    for part in listed:
        if name(part) in seen:
            raise ValueError(f"{noun} {name(part)!r} stands twice; give each {noun} a name of its own")
        seen.add(name(part))
    return listed


def _credentials(
    credentials: Iterable[Credential],
    holders: Mapping[str, Holder],
    portals: Mapping[str, PortalPolicy],
    formats: frozenset[str],
) -> dict[tuple[CredentialKind, str], Credential]:
    by_key: dict[tuple[CredentialKind, str], Credential] = {}
    names: set[str] = set()
    for one in credentials:
        if one.holder not in holders:
            raise ValueError(f"a {one.kind} belongs to {one.holder!r}, who is no holder; add the holder")
        if (one.kind, one.key) in by_key:
            raise ValueError(
                f"one {one.kind} of holder {one.holder!r} is also registered for "
                f"{by_key[one.kind, one.key].holder!r}; a credential belongs to one holder"
            )
        if one.name in names:
            raise ValueError(f"credential {one.name!r} stands twice; give each credential an id of its own")
        if one.uses is not None and one.uses < 1:
            raise ValueError(f"a {one.kind} of holder {one.holder!r} has {one.uses} uses; expected 1 or more, or none")
        for portal in sorted(one.portals or ()):
            if portal not in portals:
                raise ValueError(
                    f"a {one.kind} of holder {one.holder!r} names portal {portal!r}, which does not exist; correct it"
                )
        if one.kind is CredentialKind.CARD and (problem := parity_problem(one.key, formats)):
            raise ValueError(f"card {one.key} of holder {one.holder!r}: {problem}; read the card again")
        names.add(one.name)
        by_key[one.kind, one.key] = one
    return by_key


def _rules(rules: Iterable[Rule], portals: Mapping[str, PortalPolicy]) -> dict[tuple[str, str], tuple[Rule, ...]]:
    by_pair: dict[tuple[str, str], tuple[Rule, ...]] = {}
    for rule in rules:
        for portal in sorted(rule.portals):
            if portal not in portals:
                raise ValueError(f"a rule for group {rule.group!r} names portal {portal!r}, which does not exist")
            by_pair[rule.group, portal] = (*by_pair.get((rule.group, portal), ()), rule)
    return by_pair


def _interlocked(portals: dict[str, PortalPolicy]) -> dict[str, PortalPolicy]:
    """The portals with each interlock made mutual: a man-trap that works from one side only is none."""
    others: dict[str, frozenset[str]] = {
        name: frozenset(other.name for other in portals.values() if name in other.interlock) for name in portals
    }
    return {name: replace(portal, interlock=portal.interlock | others[name]) for name, portal in portals.items()}


def _check_portal(
    portal: PortalPolicy,
    portals: Mapping[str, PortalPolicy],
    zones: Mapping[str, Zone],
    schedules: Mapping[str, Schedule],
) -> None:
    if not all(portal.accepts):
        raise ValueError(f"portal {portal.name!r} accepts an empty combination, which anything meets; fill it")
    if portal.name in portal.interlock:
        raise ValueError(f"portal {portal.name!r} is in an interlock with itself; name the other door")
    for other in sorted(portal.interlock):
        if other not in portals:
            raise ValueError(f"portal {portal.name!r} is in an interlock with {other!r}, which does not exist; add it")
    if portal.interlock and portal.unlock_schedule is not None:
        raise ValueError(f"portal {portal.name!r} is in an interlock and unlocks by schedule; it can do one of them")
    for zone in (portal.leaves_zone, portal.enters_zone):
        if zone is not None and zone not in zones:
            raise ValueError(f"portal {portal.name!r} leads to zone {zone!r}, which does not exist; add the zone")
    if portal.leaves_zone is not None and portal.leaves_zone == portal.enters_zone:
        raise ValueError(f"portal {portal.name!r} leads from zone {portal.leaves_zone!r} to itself; correct one side")
    if portal.unlock_schedule is not None and portal.unlock_schedule not in schedules:
        raise ValueError(
            f"portal {portal.name!r} unlocks by schedule {portal.unlock_schedule!r}, which does not exist; add it"
        )
