"""The node's own code and `decide`, asked the same: the same answer on plain portals, never a wider one on others."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.node.cache import Cache
from firmware.wire import offline as wire
from firmware.wire.cache_file import Blocks
from gateway.access.attempts import AttemptLimits
from gateway.access.decide import State, decide
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS, Calendar, Schedule, Span
from gateway.access.tokens import offline_pin_digest
from gateway.control.node_cache import NODE_MODES, NodeSettings, build, excluded_for
from gateway.model import AccessRequest, CredentialKind, Decision, PortalMode, Presented

KEY = bytes(range(32))
SCBK = bytes(range(16))
CARD, PIN, FACE = CredentialKind.CARD, CredentialKind.PIN, CredentialKind.FACE
PORTAL, NODE = "lobby", "lobby-reader"
ZONES = [ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")]
LIFE_MS = 7 * 86_400_000
EXACT = ("permitted", "pin-required", "clock-uncertain")  # refusals may say less: what is gone is wrong or unknown
GROUPS = ["a", "b", "c"]
HOLDERS = ["lin", "wu", "zhou"]
PINS = ["1234", "4729", "0000"]
CARDS = ["26:1", "26:2", "34:5", "26:77"]
MINUTES = st.integers(0, 1440)

spans = st.builds(
    Span,
    weekdays=st.frozensets(st.integers(0, 8), min_size=1) | st.just(frozenset(range(5))) | st.just(frozenset(range(7))),
    start_minute=st.integers(0, 1439),
    end_minute=MINUTES,
)


def days(start: date) -> st.SearchStrategy[date]:
    return st.integers(-1, 8).map(lambda n: start + timedelta(days=n))


def schedules(start: date) -> st.SearchStrategy[Schedule]:
    openings = st.lists(st.tuples(st.integers(0, 1439), MINUTES), max_size=2).map(tuple)
    return st.just(ALWAYS) | st.builds(
        Schedule,
        name=st.sampled_from(["s1", "s2", "s3"]),
        spans=st.lists(spans, max_size=2).map(tuple),
        holidays=st.sampled_from(["follow", "ignore"]),
        exceptions=st.dictionaries(days(start), openings, max_size=2),
    )


@st.composite
def credentials(draw: st.DrawFn, made_ms: int) -> list[Credential]:
    days = st.sampled_from([None] * 10 + list(range(-3, 9)))
    moments = days.map(lambda n: None if n is None else made_ms + n * 86_400_000 + 1)
    uses = st.sampled_from([None, None, 2]) if draw(st.integers(0, 5)) == 0 else st.none()
    found: dict[tuple[str, str], Credential] = {}
    keys = [(CARD, key, None) for key in CARDS]
    keys += [(PIN, offline_pin_digest(KEY, pin, holder), holder) for pin in PINS for holder in HOLDERS]
    keys += [(PIN, offline_pin_digest(KEY, pin), None) for pin in PINS]
    for n, (kind, key, owner) in enumerate(keys):
        if not draw(st.sampled_from([True, True, False])):
            continue
        found[kind, key] = Credential(
            kind,
            key,
            owner or draw(st.sampled_from(HOLDERS)),
            revoked=draw(st.sampled_from([False] * 7 + [True])),
            valid_from_ms=draw(moments),
            valid_until_ms=draw(moments),
            id=f"c{n}",
            uses=draw(uses),
            portals=draw(st.sampled_from([None] * 6 + [frozenset({PORTAL}), frozenset({"other"})])),
            duress=draw(st.booleans()) if kind is PIN else False,
        )
    return list(found.values())


@st.composite
def policies(draw: st.DrawFn, made: datetime) -> Policy:
    start = made.date()
    rules = draw(
        st.lists(
            st.builds(
                Rule,
                st.sampled_from(GROUPS),
                st.sampled_from([frozenset({PORTAL}), frozenset({PORTAL, "other"}), frozenset({"other"})]),
                schedules(start),
            ),
            min_size=1,
            max_size=4,
        )
    )
    # One name, one schedule: as in a policy document.
    named = {rule.schedule.name: rule.schedule for rule in rules}
    rules = [replace(rule, schedule=named[rule.schedule.name]) for rule in rules]
    combinations = st.sampled_from(
        [frozenset({CARD, PIN})] * 3 + [frozenset({CARD}), frozenset({PIN}), frozenset({FACE, CARD}), frozenset({FACE})]
    )
    odd = draw(
        st.sampled_from(
            ["", "", "", "", "", "", "", "", "hard", "soft", "two", "first", "inter", "high", "unlock", "out"]
        )
    )
    portal = PortalPolicy(
        PORTAL,
        tuple(draw(st.lists(combinations, min_size=1, max_size=2))),
        clock_uncertain=draw(st.sampled_from(["always-valid", "deny", "schedules"])),
        closed_dates=draw(st.frozensets(days(start), max_size=2)),
        enters_zone="in" if odd in ("hard", "soft") else None,
        leaves_zone="in" if odd == "out" else None,
        two_person=odd == "two",
        first_person_groups=frozenset({"a"}) if odd == "first" else frozenset(),
        interlock=frozenset({"other"}) if odd == "inter" else frozenset(),
        high_security=odd == "high",
        unlock_schedule="always" if odd == "unlock" else None,
    )
    kinds = st.sampled_from(["holiday", "workday"])
    return compile_policy(
        1,
        [
            Holder(name, draw(st.frozensets(st.sampled_from(GROUPS), min_size=1)), {"zh": name, "en": name})
            for name in HOLDERS
        ],
        draw(credentials(int(made.timestamp() * 1000))),
        rules,
        [portal, PortalPolicy("other", (frozenset({CARD}),))],
        zones=[Zone("in", "hard" if odd != "soft" else "soft")],
        calendar=Calendar(draw(st.dictionaries(days(start), kinds, max_size=3))),
    )


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, list[datetime]]:
    """When a cache is made, and some moments of its life, many of them at or just before a full minute."""
    zone = draw(st.sampled_from(ZONES))
    begin = datetime(2026, 3, 25, 12, tzinfo=zone).timestamp()  # Berlin's and Lord Howe's clocks change in this time
    made = begin + draw(st.integers(0, 900_000) | st.integers(0, 400 * 24).map(lambda hours: hours * 3600))
    into_ms = draw(st.lists(st.integers(0, LIFE_MS - 1), min_size=3, max_size=3))
    into_ms += [ms // 60_000 * 60_000 - (ms % 2 if ms >= 60_000 else 0) for ms in into_ms]
    return datetime.fromtimestamp(made, zone), [datetime.fromtimestamp(made + ms / 1000, zone) for ms in into_ms]


def settings() -> NodeSettings:
    return NodeSettings(NODE, PORTAL, 5000, 15_000, 10_000, LIFE_MS)


def decided(policy: Policy, state: State, now: datetime, card: str | None, pin: str | None) -> Decision:
    """What the gateway says, asked as its access point does: a PIN after a card is looked for as its holder's."""
    shown = (Presented(CARD, card),) if card else ()
    if card and pin:
        known = policy.credentials.get((CARD, card))
        shown += (Presented(PIN, offline_pin_digest(KEY, pin, known.holder if known else "")),)
    elif pin:
        shown = (Presented(PIN, offline_pin_digest(KEY, pin)),)
    return decide(AccessRequest(PORTAL, NODE, shown), policy, state, now)


def questions() -> list[tuple[str | None, str | None]]:
    cards, pins = [*CARDS, "26:99"], [*PINS, "5555"]
    return [*((card, None) for card in cards), *((None, pin) for pin in pins), *itertools.product(cards, pins)]


asked: Counter[str] = Counter()


@given(st.data(), moments())
def check_a_node_answers_as_decide_or_less(data: st.DataObject, times: tuple[datetime, list[datetime]]) -> None:
    made, moments_ = times
    policy = data.draw(policies(made))
    modes = list(PortalMode) if data.draw(st.integers(0, 3)) == 0 else [PortalMode.LOCKED, PortalMode.CARD_AND_PIN]
    mode = data.draw(st.sampled_from(modes))
    keys = wire.CacheKeys(SCBK)
    built = build(policy, settings(), keys, KEY, AttemptLimits(), made, mode)
    node = Cache(Blocks.of(built.data), keys)
    counted = any(one.uses is not None for one in policy.credentials.values())
    portal = policy.portals[PORTAL]
    free = portal.unlock_schedule is not None or mode not in (PortalMode.LOCKED, PortalMode.CARD_AND_PIN)
    plain = excluded_for(portal, policy) is None and not counted and not free
    pins = mode is PortalMode.CARD_AND_PIN or any(PIN in one and FACE not in one for one in portal.accepts)
    for now, certain, (card, pin) in itertools.product(moments_, (True, False), questions()):
        expected = decided(policy, State(certain, mode), now, card, pin)
        shown = tuple(int(part) for part in card.split(":")) if card else None
        answer = node.judge(shown, pin, NODE_MODES.get(mode, 0), int(now.timestamp() * 1000), certain)
        kind = "card+PIN" if card and pin else "card" if card else "PIN"
        asked[f"{'plain' if plain else 'other'} {kind} {'granted' if answer.granted else 'refused'}"] += 1
        assert not (answer.granted and not expected.granted), (answer.reason, expected)
        if not plain or (card and pin and not pins):  # a PIN that nobody asks for is in no cache
            continue
        assert answer.granted == expected.granted, (answer.reason, expected)
        assert answer.waiting == (expected.awaiting is PIN), (answer.reason, expected)
        if answer.granted and not portal.leaving(NODE):
            assert answer.duress == expected.duress
            assert built.holders[answer.digest] == expected.holder
        if answer.reason in EXACT and not portal.leaving(NODE):
            assert answer.reason == expected.reason


@pytest.mark.timeout(120 if os.environ.get("ZHIAN_OFFLINE_EXAMPLES") is None else 3600)
def test_a_node_answers_as_decide_or_less(capsys: pytest.CaptureFixture[str]) -> None:
    """How many questions were asked is printed; ZHIAN_OFFLINE_EXAMPLES asks of more policies."""
    asked.clear()
    check_a_node_answers_as_decide_or_less()
    with capsys.disabled():
        print(f"\n{sum(asked.values())} questions:", ", ".join(f"{n} {what}" for what, n in sorted(asked.items())))
    assert sum(asked.values()) > 1000
    for kind in ("card", "PIN", "card+PIN"):
        assert min(asked[f"plain {kind} {answer}"] for answer in ("granted", "refused")) > 0, asked
