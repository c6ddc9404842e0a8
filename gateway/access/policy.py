"""The site's policy as an immutable snapshot that `decide` looks things up in: holders, credentials, groups, rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.access.schedule import Schedule
from gateway.model import CredentialKind


@dataclass(frozen=True, slots=True)
class Holder:
    """A person who holds credentials. `name` maps a language tag to what people call them; it stays on the site."""

    id: str
    groups: frozenset[str]
    name: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Credential:
    """One way of proving to be `holder`. `key` as in `model.Presented`; times are Unix ms, None = unlimited."""

    kind: CredentialKind
    key: str
    holder: str
    revoked: bool = False
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Members of `group` may pass `portals` while `schedule` is open."""

    group: str
    portals: frozenset[str]
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class PortalPolicy:
    """What a portal accepts: any one of these combinations of credential kinds, all by the same holder."""

    name: str
    accepts: tuple[frozenset[CredentialKind], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole snapshot. Build it with `compile_policy`, which makes the indexes."""

    version: int
    holders: Mapping[str, Holder]
    portals: Mapping[str, PortalPolicy]
    credentials: Mapping[tuple[CredentialKind, str], Credential]
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]  # by (group, portal)


def compile_policy(
    version: int,
    holders: Iterable[Holder],
    credentials: Iterable[Credential],
    rules: Iterable[Rule],
    portals: Iterable[PortalPolicy],
) -> Policy:
    """Index the parts for constant-time look-ups. Raises ValueError (one sentence) for doubles and dangling names."""
    by_id: dict[str, Holder] = {}
    for holder in holders:
        if holder.id in by_id:
            raise ValueError(f"holder {holder.id!r} stands twice; give each holder an id of its own")
        by_id[holder.id] = holder
    by_key: dict[tuple[CredentialKind, str], Credential] = {}
    for credential in credentials:
        if credential.holder not in by_id:
            raise ValueError(f"a {credential.kind} belongs to {credential.holder!r}, who is no holder; add the holder")
        if (credential.kind, credential.key) in by_key:
            raise ValueError(
                f"one {credential.kind} of holder {credential.holder!r} is also registered for "
                f"{by_key[credential.kind, credential.key].holder!r}; a credential belongs to one holder"
            )
        by_key[credential.kind, credential.key] = credential
    by_portal = {portal.name: portal for portal in portals}
    for described in by_portal.values():
        if not all(described.accepts):
            raise ValueError(f"portal {described.name!r} accepts an empty combination, which anything meets; fill it")
    by_pair: dict[tuple[str, str], tuple[Rule, ...]] = {}
    for rule in rules:
        for portal in rule.portals:
            if portal not in by_portal:
                raise ValueError(f"a rule for group {rule.group!r} names portal {portal!r}, which does not exist")
            by_pair[rule.group, portal] = (*by_pair.get((rule.group, portal), ()), rule)
    return Policy(
        version=version,
        holders=MappingProxyType(by_id),
        portals=MappingProxyType(by_portal),
        credentials=MappingProxyType(by_key),
        rules=MappingProxyType(by_pair),
    )
