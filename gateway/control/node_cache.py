"""What a node may decide alone: the policy of one portal as the bytes of its node's offline cache. Pure.

Only what a lone node can judge exactly as `access.decide` would goes in (docs/offline.md, "What a node judges"); where
a portal asks for more, its cache says that nobody enters. Hours, holidays and exceptions are resolved here, for the
time the cache lives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from types import MappingProxyType

from firmware.wire import cache_file, offline
from gateway.access import tokens
from gateway.access.attempts import AttemptLimits
from gateway.access.policy import Credential, Policy, PortalPolicy
from gateway.access.schedule import MINUTES_PER_DAY, Schedule
from gateway.model import CredentialKind, PortalMode

_CARD, _PIN = CredentialKind.CARD, CredentialKind.PIN
_CLOCK = {"always-valid": cache_file.ALWAYS_VALID, "deny": cache_file.DENY, "schedules": cache_file.SCHEDULES}
_MAX_PROFILES = 255  # one byte names one
_MAX_S = 0xFFFFFFFF
_HOUR_S = 3600
NODE_MODES = {
    PortalMode.CARD_AND_PIN: offline.MODE_CARD_AND_PIN,
    PortalMode.LOCKDOWN: offline.MODE_NOBODY,
}  # every other mode: as the cache says, which opens no more than those do


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One node that decides alone. after_ms: how long its gateway must be silent; life_ms: how long a cache holds."""

    device: str
    portal: str
    unlock_ms: int
    wait_ms: int
    after_ms: int
    life_ms: int


@dataclass(frozen=True, slots=True)
class Built:
    """A cache. holders: whose credential a digest is, of all that may stand in this node's records. excluded: why the
    portal is judged by no lone node, or None. left_out: credentials for which there was no room."""

    data: bytes
    content: bytes
    expires_ms: int
    credentials: int
    left_out: int
    excluded: str | None
    holders: Mapping[bytes, str]


def build(
    policy: Policy,
    settings: NodeSettings,
    keys: offline.CacheKeys,
    site_key: bytes,
    limits: AttemptLimits,
    now: datetime,
    mode: PortalMode = PortalMode.LOCKED,
) -> Built:
    """The cache of one node. now: aware local time of the site; where the clock is uncertain, a lower bound."""
    made_ms = int(now.timestamp() * 1000)
    expires_ms = made_ms + settings.life_ms
    portal = policy.portals.get(settings.portal)
    excluded = excluded_for(portal, policy)
    tables: list[list[tuple[object, ...]]] = [[] for _ in cache_file.TABLES]
    left_out = 0
    flags = accepts = clock = 0
    if portal is not None and excluded is None:
        flags = cache_file.LEAVES if portal.leaving(settings.device) else cache_file.JUDGES
        accepts, clock = _accepts(portal), _CLOCK[portal.clock_uncertain]
        if flags == cache_file.JUDGES:
            pins = bool(accepts & (offline.PIN | cache_file.CARD_PIN)) or mode is PortalMode.CARD_AND_PIN
            writer = _Writer(policy, portal, keys, site_key, now, made_ms, expires_ms)
            left_out = writer.fill(accepts, pins)
            tables = writer.tables()
    header = cache_file.Header(
        policy.version, made_ms, expires_ms, settings.unlock_ms, settings.wait_ms, settings.after_ms,
        limits.wrong, limits.window_s, limits.lockout_s, flags, accepts, clock,
    )  # fmt: skip
    data = cache_file.encode(header, tables, keys)
    credentials = len(tables[cache_file.CREDENTIALS])
    holders = holders_by_digest(policy, keys)
    content = data[len(cache_file.MAGIC) :][: offline.CONTENT_BYTES]
    return Built(data, content, expires_ms, credentials, left_out, excluded, holders)


def excluded_for(portal: PortalPolicy | None, policy: Policy) -> str | None:
    """Why no lone node may let anybody in here, as a machine word, or None where one may.

    What a node cannot know alone: who is where, which other door is open, whether somebody came first, whether a second
    person is another one, and that its record is safe at the gateway.
    """
    if portal is None:
        return "unknown-portal"
    zone = policy.zones[portal.enters_zone] if portal.enters_zone is not None else None
    for found, word in (
        (portal.high_security, "high-security"),
        (portal.two_person, "two-person"),
        (bool(portal.interlock), "interlock"),
        (bool(portal.first_person_groups), "first-person"),
        (zone is not None and zone.passback in ("hard", "timed"), "anti-passback"),
    ):
        if found:
            return word
    return None


def holders_by_digest(policy: Policy, keys: offline.CacheKeys) -> Mapping[bytes, str]:
    """Whose card or PIN a digest in a record is; also of those who may not enter now: they may have entered before
    the node heard of it."""
    found: dict[bytes, str] = {}
    for credential in policy.credentials.values():
        if credential.kind in (_CARD, _PIN):
            found[_digest(credential, keys)] = credential.holder
    return MappingProxyType(found)


def _digest(credential: Credential, keys: offline.CacheKeys) -> bytes:
    if credential.kind is _CARD:
        bits, _, value = credential.key.partition(":")
        return bytes(keys.card(int(bits), int(value)))
    return bytes(keys.pin(bytes.fromhex(credential.key)))


def _has_rule(credential: Credential, portal: str, policy: Policy) -> bool:
    return any((group, portal) in policy.rules for group in policy.holders[credential.holder].groups)


def _accepts(portal: PortalPolicy) -> int:
    """The combinations that a node knows, as bits."""
    accepts = 0
    for combination in portal.accepts:
        if combination == {_CARD}:
            accepts |= offline.CARD
        elif combination == {_PIN}:
            accepts |= offline.PIN
        elif combination == {_CARD, _PIN}:
            accepts |= cache_file.CARD_PIN
    return accepts


class _Writer:
    """Fills the tables of one cache, as far as there is room."""

    def __init__(
        self,
        policy: Policy,
        portal: PortalPolicy,
        keys: offline.CacheKeys,
        site_key: bytes,
        now: datetime,
        made_ms: int,
        expires_ms: int,
    ) -> None:
        self._policy = policy
        self._portal = portal
        self._keys = keys
        self._site_key = site_key
        self._life_ms = (made_ms, expires_ms)
        self._times = OpenTimes(now, made_ms // 1000, -(-expires_ms // 1000))
        self._closed = self._times.of(lambda local: local.date() in portal.closed_dates, ())
        self._profiles: dict[frozenset[str], int] = {}
        self._profile_rows: list[tuple[object, ...]] = []
        self._open: list[tuple[object, ...]] = []
        self._windows: dict[tuple[int, int], int] = {}
        self._holders: list[tuple[object, ...]] = []
        self._pin_keys: list[tuple[int, bytes]] = []
        self._credentials: list[tuple[bytes, int, int, int]] = []
        rows = cache_file.TABLE_BYTES
        self._room = cache_file.MAX_CACHE_BYTES - cache_file.HEADER_BYTES - offline.MAC_BYTES
        self._room -= len(self._closed) * rows[cache_file.CLOSED_TIMES]

    def tables(self) -> list[list[tuple[object, ...]]]:
        """In the order of cache_file.TABLES."""
        windows: list[tuple[object, ...]] = list(self._windows)
        pin_keys: list[tuple[object, ...]] = [*sorted(self._pin_keys)]
        credentials: list[tuple[object, ...]] = [*sorted(self._credentials)]
        return [[*self._closed], self._profile_rows, self._open, windows, self._holders, pin_keys, credentials]

    def fill(self, accepts: int, pins: bool) -> int:
        """Put everybody in who fits, residents before visitors; returns how many credentials do not."""
        by_holder: dict[str, list[Credential]] = {}
        for credential in self._policy.credentials.values():
            if (credential.kind is _CARD or (pins and credential.kind is _PIN)) and self._counts(credential):
                by_holder.setdefault(credential.holder, []).append(credential)
        if accepts & offline.PIN:
            self._pin_keys.append((cache_file.NO_HOLDER, tokens.pin_key(self._site_key)))
            self._room -= cache_file.TABLE_BYTES[cache_file.PIN_KEYS]
        left_out = 0
        with_card_first = accepts & ~offline.PIN or pins
        for holder in sorted(by_holder, key=lambda holder: (_visitors(by_holder[holder]), holder)):
            if not self._add(holder, by_holder[holder], bool(with_card_first)):
                left_out += len(by_holder[holder])
        return left_out

    def _counts(self, credential: Credential) -> bool:
        """Whether it may open here during the cache's life, as far as a node can judge."""
        made_ms, expires_ms = self._life_ms
        return not (
            credential.revoked
            or credential.uses is not None  # only the gateway counts uses
            or (credential.portals is not None and self._portal.name not in credential.portals)
            or (credential.valid_until_ms is not None and credential.valid_until_ms <= made_ms)
            or (credential.valid_from_ms is not None and credential.valid_from_ms >= expires_ms)
            or not _has_rule(credential, self._portal.name, self._policy)
        )

    def _add(self, holder: str, credentials: Sequence[Credential], pin_key: bool) -> bool:
        """All of one holder's, or nothing where there is no room."""
        rows = cache_file.TABLE_BYTES
        keyed = pin_key and any(credential.kind is _PIN for credential in credentials)
        windows = {_window(credential) for credential in credentials} - self._windows.keys()
        schedules = self._schedules(holder)
        names = frozenset(schedule.name for schedule in schedules)
        opening = self._opening(schedules) if names not in self._profiles else []
        needed = rows[cache_file.HOLDERS] + len(credentials) * rows[cache_file.CREDENTIALS]
        needed += keyed * rows[cache_file.PIN_KEYS] + len(windows) * rows[cache_file.WINDOWS]
        if names not in self._profiles:
            needed += rows[cache_file.PROFILES] + len(opening) * rows[cache_file.OPEN_TIMES]
            if len(self._profiles) >= _MAX_PROFILES:
                return False
        if needed > self._room or len(self._holders) >= cache_file.NO_HOLDER:
            return False
        self._room -= needed
        number = len(self._holders)
        self._holders.append((self._profile(names, schedules, opening),))
        if keyed:
            self._pin_keys.append((number, tokens.pin_key(self._site_key, holder)))
        for credential in credentials:
            window = self._windows.setdefault(_window(credential), len(self._windows))
            flags = cache_file.CREDENTIAL_PIN if credential.kind is _PIN else 0
            flags |= cache_file.CREDENTIAL_DURESS if credential.duress else 0
            self._credentials.append((_digest(credential, self._keys), number, window, flags))
        return True

    def _schedules(self, holder: str) -> list[Schedule]:
        groups = self._policy.holders[holder].groups
        rules = (rule for group in groups for rule in self._policy.rules.get((group, self._portal.name), ()))
        return list({rule.schedule.name: rule.schedule for rule in rules}.values())

    def _opening(self, schedules: Iterable[Schedule]) -> list[tuple[int, int]]:
        """When one of the schedules is open; [] where one always is, which needs no times."""
        listed = [schedule for schedule in schedules if not schedule.always]
        if len(listed) < len(list(schedules)):
            return []
        calendar = self._policy.calendar
        minutes = {minute for schedule in listed for minute in edges(schedule)}
        return self._times.of(lambda local: any(one.allows(local, calendar) for one in listed), minutes)

    def _profile(self, names: frozenset[str], schedules: Iterable[Schedule], opening: list[tuple[int, int]]) -> int:
        if names not in self._profiles:
            always = cache_file.PROFILE_ALWAYS if any(schedule.always for schedule in schedules) else 0
            self._profiles[names] = len(self._profile_rows)
            self._profile_rows.append((always, len(self._open), len(opening)))
            self._open += opening
        return self._profiles[names]


def _window(credential: Credential) -> tuple[int, int]:
    until = credential.valid_until_ms
    return max(credential.valid_from_ms or 0, 0), cache_file.FOREVER_MS if until is None else until


def _visitors(credentials: Iterable[Credential]) -> bool:
    return all(credential.portals is not None for credential in credentials)


def edges(schedule: Schedule) -> set[int]:
    """The local minutes of a day at which `schedule` may begin or end."""
    found = {minute for span in schedule.spans for minute in (span.start_minute, span.end_minute)}
    return found | {minute for openings in schedule.exceptions.values() for edge in openings for minute in edge}


class OpenTimes:
    """From a rule about local wall time to the stretches of Unix seconds in which it holds, over one life."""

    def __init__(self, now: datetime, start_s: int, end_s: int) -> None:
        if now.tzinfo is None:
            raise ValueError("expected an aware local time; pass the clock's local()")
        self._zone: tzinfo = now.tzinfo
        self._start_s = start_s
        self._end_s = min(end_s, _MAX_S)
        self._shifts = list(self._offset_changes())

    def of(self, holds: Callable[[datetime], bool], minutes: Iterable[int]) -> list[tuple[int, int]]:
        """The stretches [from, until) in which `holds`, which may change only at these minutes of a local day, at
        midnight, and where the zone changes its offset."""
        cuts = sorted({self._start_s, *self._shifts, *self._moments({0, *minutes})})
        found: list[tuple[int, int]] = []
        for place in range(bisect_right(cuts, self._start_s) - 1, len(cuts)):
            since = cuts[place]
            until = min(cuts[place + 1], self._end_s) if place + 1 < len(cuts) else self._end_s
            if since >= self._end_s or until <= since or not holds(datetime.fromtimestamp(since, self._zone)):
                continue
            if found and found[-1][1] == since:
                found[-1] = (found[-1][0], until)
            else:
                found.append((since, until))
        return found

    def _moments(self, minutes: Iterable[int]) -> Iterator[int]:
        day = datetime.fromtimestamp(self._start_s, self._zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(self._end_s, self._zone).date() + timedelta(days=1)
        listed = [minute for minute in minutes if minute < MINUTES_PER_DAY]
        while day <= last:
            for minute in listed:
                for fold in (0, 1):  # a wall time may come twice
                    wall = time(minute // 60, minute % 60, fold=fold)
                    at_s = int(datetime.combine(day, wall, self._zone).timestamp())
                    if self._start_s < at_s < self._end_s:
                        yield at_s
            day += timedelta(days=1)

    def _offset_changes(self) -> Iterator[int]:
        """The seconds at which the zone's offset changes."""
        low = self._start_s
        while low < self._end_s:
            high = min(low + _HOUR_S, self._end_s)
            if self._offset(low) != self._offset(high):
                before, after = low, high
                while after - before > 1:
                    middle = (before + after) // 2
                    before, after = (middle, after) if self._offset(middle) == self._offset(low) else (before, middle)
                yield after
            low = high

    def _offset(self, at_s: int) -> timedelta | None:
        return datetime.fromtimestamp(at_s, self._zone).utcoffset()
