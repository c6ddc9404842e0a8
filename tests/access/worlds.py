"""Small random sites with a request, a state and a time: every feature of the policy, and enough grants to matter.

Made from one number, so that Hypothesis spends its time on many of them and not on drawing each part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from gateway.access.decide import State
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.presence import InZone, Presence, Used
from gateway.access.schedule import ALWAYS, Calendar, Schedule, Span
from gateway.model import AccessRequest, CredentialKind, PortalMode, Presented

SHANGHAI = ZoneInfo("Asia/Shanghai")
BEGIN = datetime(2026, 11, 1, tzinfo=SHANGHAI)
MINUTES = 30 * 24 * 60
KINDS = (CredentialKind.CARD, CredentialKind.PIN, CredentialKind.QR)
HOLDERS, GROUPS, PORTALS, ZONES = ("ann", "ben", "cai"), ("g1", "g2"), ("p1", "p2"), ("z1", "z2")


@dataclass(frozen=True)
class World:
    """One question and everything the answer depends on."""

    request: AccessRequest
    policy: Policy
    state: State
    now: datetime

    @property
    def leaving(self) -> bool:
        portal = self.policy.portals.get(self.request.portal)
        return portal is not None and portal.leaving(self.request.point)


def _maybe(r: Random, chance: float, value: Any, otherwise: Any = None) -> Any:
    return value if r.random() < chance else otherwise


def _some(r: Random, of: tuple[str, ...], chance: float = 0.5) -> frozenset[str]:
    return frozenset(one for one in of if r.random() < chance)


def _ms(r: Random) -> int:
    return int((BEGIN + timedelta(minutes=r.randrange(MINUTES))).timestamp() * 1000)


def _days(r: Random) -> list[date]:
    return [date(2026, 11, r.randint(1, 30)) for _ in range(r.randrange(4))]


def _schedule(r: Random) -> Schedule:
    if r.random() < 0.4:
        return ALWAYS
    spans = [
        Span(frozenset(day for day in range(9) if r.random() < 0.8), r.randrange(1440), r.randrange(1441))
        for _ in range(r.randrange(3))
    ]
    exceptions = {day: r.choice([(), ((0, 720),), ((1200, 300),)]) for day in _days(r)}
    return Schedule("s", tuple(spans), holidays=r.choice(["follow", "ignore"]), exceptions=exceptions)


def _portal(r: Random, name: str) -> PortalPolicy:
    leaves, enters = r.choice([None, "z1"]), r.choice([None, "z2", "z2"])
    return PortalPolicy(
        name,
        tuple(frozenset(r.sample(KINDS, r.choice([1, 1, 2]))) for _ in range(r.randint(1, 3))),
        r.choice(["always-valid", "deny", "schedules"]),
        _maybe(r, 0.3, frozenset({"inner"}), frozenset()),
        leaves,
        enters,
        _maybe(r, 0.2, frozenset(PORTALS) - {name}, frozenset()),
        _maybe(r, 0.3, _some(r, GROUPS), frozenset()),
        r.random() < 0.3,
        _some(r, GROUPS),
        closed_dates=frozenset(_days(r)),
    )


def _credential(r: Random, number: int) -> Credential:
    begins, ends = sorted((_ms(r), _ms(r)))
    return Credential(
        r.choice(KINDS),
        f"26:{number}",
        r.choice(HOLDERS),
        r.random() < 0.1,
        _maybe(r, 0.2, begins),
        _maybe(r, 0.2, ends),
        uses=_maybe(r, 0.2, r.randint(1, 3)),
        portals=_maybe(r, 0.2, _some(r, PORTALS, 0.7)),
        duress=r.random() < 0.2,
    )


def _policy(r: Random) -> Policy:
    portals, opening = [_portal(r, name) for name in PORTALS], _schedule(r)
    if not any(portal.interlock for portal in portals):
        portals[0] = replace(portals[0], unlock_schedule=_maybe(r, 0.3, opening.name))
    return compile_policy(
        1,
        [Holder(name, _some(r, GROUPS, 0.7), {}) for name in HOLDERS],
        [_credential(r, number) for number in range(8)],
        [Rule(r.choice(GROUPS), _some(r, PORTALS, 0.8), _schedule(r)) for _ in range(r.randrange(6))],
        portals,
        zones=[Zone(name, r.choice(["hard", "soft", "timed", "off"]), 600) for name in ZONES],
        schedules=[] if opening is ALWAYS else [opening],
        calendar=Calendar({day: r.choice(["holiday", "workday"]) for day in _days(r)}),
    )


def _request(r: Random, policy: Policy) -> AccessRequest:
    """Mostly what somebody of the site would show to be let in; at times anything at all."""
    known = list(policy.credentials.values())
    portal = r.choice([*PORTALS, *PORTALS, *PORTALS, "roof"])
    shown: list[Presented] = []
    if portal in policy.portals and r.random() < 0.8:
        for holder in r.sample(HOLDERS, 2 if policy.portals[portal].two_person else 1):
            for kind in r.choice(policy.portals[portal].accepts):
                fitting = [one for one in known if one.kind is kind and one.holder == holder]
                shown += [Presented(kind, r.choice(fitting).key)] if fitting else []
    else:
        shown = [
            r.choice([Presented(one.kind, one.key), Presented(r.choice(KINDS), r.choice(["", "26:9"]))])
            for one in r.choices(known, k=r.randrange(4))
        ]
    return AccessRequest(portal, r.choice(["outer", "inner"]), tuple(shown))


def world(number: int) -> World:
    r = Random(number)
    policy = _policy(r)
    now = BEGIN + timedelta(minutes=r.randrange(MINUTES), seconds=r.randrange(60))
    presence = Presence(
        {
            name: InZone(r.choice(ZONES), int(now.timestamp() * 1000) - r.randrange(1_200_000))
            for name in _some(r, HOLDERS)
        },
        {name: now.date() - timedelta(days=r.choice([0, 0, 1])) for name in _some(r, PORTALS, 0.7)},
        {one.name: Used(r.randint(1, 4)) for one in policy.credentials.values() if r.random() < 0.3},
    )
    state = State(
        r.random() < 0.6,
        r.choice([PortalMode.LOCKED] * 6 + list(PortalMode)),
        r.random() < 0.05,
        _some(r, PORTALS, 0.2),
        presence,
    )
    return World(_request(r, policy), policy, state, now)


worlds = st.integers(0, 2**40).map(world)
