"""Who may pass: each row is a request in a small site and the decision a reviewer expects."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access import reasons
from gateway.access.decide import State, decide
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS, Schedule, Span
from gateway.model import AccessRequest, CredentialKind, Decision, Language, Presented, Reason

SHANGHAI = ZoneInfo("Asia/Shanghai")
CARD, PIN, PLATE = CredentialKind.CARD, CredentialKind.PIN, CredentialKind.PLATE
MONDAY_10 = datetime(2026, 11, 23, 10, 0, tzinfo=SHANGHAI)
MONDAY_23 = datetime(2026, 11, 23, 23, 0, tzinfo=SHANGHAI)
SATURDAY_10 = datetime(2026, 11, 28, 10, 0, tzinfo=SHANGHAI)
TUESDAY_01 = datetime(2026, 11, 24, 1, 0, tzinfo=SHANGHAI)


def ms(day: int) -> int:
    """Midnight of a day in November 2026, as Unix ms."""
    return int(datetime(2026, 11, day, tzinfo=SHANGHAI).timestamp() * 1000)


WEEKDAYS = frozenset(range(5))
OFFICE = Schedule("office", (Span(WEEKDAYS, 8 * 60, 18 * 60),))
NIGHT = Schedule("night", (Span(frozenset({0}), 22 * 60, 6 * 60),))  # Monday evening into Tuesday morning


def site() -> Policy:
    return compile_policy(
        1,
        [
            Holder("lin", frozenset({"residents"}), {}),
            Holder("wu", frozenset({"cleaners"}), {}),
            Holder("guard", frozenset({"guards"}), {}),
            Holder("gone", frozenset(), {}),
        ],
        [
            Credential(CARD, "26:1", "lin"),
            Credential(CARD, "26:2", "lin", revoked=True),
            Credential(CARD, "26:3", "lin", valid_until_ms=ms(20)),
            Credential(CARD, "26:4", "lin", valid_from_ms=ms(25)),
            Credential(CARD, "26:5", "wu"),
            Credential(CARD, "26:6", "guard"),
            Credential(CARD, "26:7", "gone"),
            Credential(PIN, "pin-lin", "lin"),
            Credential(PIN, "pin-wu", "wu"),
            Credential(PLATE, "京A12345", "lin"),
        ],
        [
            Rule("residents", frozenset({"lobby", "garage", "gate"}), ALWAYS),
            Rule("cleaners", frozenset({"lobby"}), OFFICE),
            Rule("guards", frozenset({"lobby"}), NIGHT),
        ],
        [
            PortalPolicy("lobby", (frozenset({CARD}),)),
            PortalPolicy("garage", (frozenset({CARD, PIN}),)),
            PortalPolicy("gate", (frozenset({PLATE}),)),
        ],
    )


SITE = site()
C = lambda key: Presented(CARD, key)  # noqa: E731
P = lambda key: Presented(PIN, key)  # noqa: E731

TABLE = [
    # what it shows, portal, presented, now, clock certain, reason
    ("a resident's card", "lobby", [C("26:1")], MONDAY_10, True, Reason.PERMITTED),
    ("a card nobody registered", "lobby", [C("26:99")], MONDAY_10, True, Reason.UNKNOWN_CREDENTIAL),
    ("the same number in another format", "lobby", [C("34:1")], MONDAY_10, True, Reason.UNKNOWN_CREDENTIAL),
    ("a revoked card", "lobby", [C("26:2")], MONDAY_10, True, Reason.REVOKED),
    ("an expired card", "lobby", [C("26:3")], MONDAY_10, True, Reason.EXPIRED),
    ("a card of next week", "lobby", [C("26:4")], MONDAY_10, True, Reason.NOT_YET_VALID),
    ("a cleaner on Monday at 10", "lobby", [C("26:5")], MONDAY_10, True, Reason.PERMITTED),
    ("a cleaner on Monday at 23", "lobby", [C("26:5")], MONDAY_23, True, Reason.OUTSIDE_SCHEDULE),
    ("a cleaner on Saturday", "lobby", [C("26:5")], SATURDAY_10, True, Reason.OUTSIDE_SCHEDULE),
    ("a cleaner at a door without a rule", "garage", [C("26:5")], MONDAY_10, True, Reason.NO_RULE),
    ("a guard on Monday at 23", "lobby", [C("26:6")], MONDAY_23, True, Reason.PERMITTED),
    ("a guard past midnight", "lobby", [C("26:6")], TUESDAY_01, True, Reason.PERMITTED),
    ("a guard on Monday at 10", "lobby", [C("26:6")], MONDAY_10, True, Reason.OUTSIDE_SCHEDULE),
    ("a holder in no group", "lobby", [C("26:7")], MONDAY_10, True, Reason.NO_RULE),
    ("a card where a PIN belongs to it", "garage", [C("26:1")], MONDAY_10, True, Reason.PIN_REQUIRED),
    ("card and PIN", "garage", [C("26:1"), P("pin-lin")], MONDAY_10, True, Reason.PERMITTED),
    ("card and a PIN that nobody has", "garage", [C("26:1"), P("nonsense")], MONDAY_10, True, Reason.WRONG_PIN),
    ("card and another holder's PIN", "garage", [C("26:1"), P("pin-wu")], MONDAY_10, True, Reason.WRONG_PIN),
    ("two people's cards", "lobby", [C("26:1"), C("26:5")], MONDAY_10, True, Reason.UNKNOWN_CREDENTIAL),
    ("a revoked card with the right PIN", "garage", [C("26:2"), P("pin-lin")], MONDAY_10, True, Reason.REVOKED),
    ("a plate at the gate", "gate", [Presented(PLATE, "京A12345")], MONDAY_10, True, Reason.PERMITTED),
    ("a card at the gate", "gate", [C("26:1")], MONDAY_10, True, Reason.NOT_ACCEPTED_HERE),
    ("nothing", "lobby", [], MONDAY_10, True, Reason.UNKNOWN_CREDENTIAL),
    ("a door nobody described", "roof", [C("26:1")], MONDAY_10, True, Reason.UNKNOWN_PORTAL),
    ("always-valid, clock uncertain", "lobby", [C("26:1")], MONDAY_10, False, Reason.PERMITTED),
    ("timed rule, clock uncertain", "lobby", [C("26:5")], MONDAY_10, False, Reason.CLOCK_UNCERTAIN),
    ("expired, clock uncertain", "lobby", [C("26:3")], MONDAY_10, False, Reason.EXPIRED),
]


@pytest.mark.parametrize(("shows", "portal", "presented", "now", "certain", "reason"), TABLE, ids=[r[0] for r in TABLE])
def test_table(shows, portal, presented, now, certain, reason):
    decision = decide(AccessRequest(portal, "reader", tuple(presented)), SITE, State(certain), now)
    assert decision.reason is reason
    assert decision.granted is (reason is Reason.PERMITTED)


def test_pin_required_says_what_is_awaited_and_from_whom():
    decision = decide(AccessRequest("garage", "r", (C("26:1"),)), SITE, State(True), MONDAY_10)
    assert decision == Decision(False, Reason.PIN_REQUIRED, "lin", CARD, awaiting=PIN)


moments = st.integers(ms(1), ms(30)).map(lambda at_ms: datetime.fromtimestamp(at_ms / 1000, SHANGHAI))
presented = st.lists(
    st.one_of(
        st.sampled_from([Presented(k, key) for k, key in SITE.credentials]),
        st.builds(Presented, st.sampled_from(CredentialKind), st.text(max_size=8)),
    ),
    max_size=3,
)


@given(st.sampled_from(["lobby", "garage", "gate", "roof"]), presented, moments, st.booleans())
def test_a_grant_needs_a_registered_unrevoked_credential_of_a_holder_with_a_rule(portal, shown, now, certain):
    decision = decide(AccessRequest(portal, "r", tuple(shown)), SITE, State(certain), now)
    if decision.granted:
        credential = SITE.credentials[shown[0].kind, shown[0].key]
        assert not credential.revoked
        assert any((g, portal) in SITE.rules for g in SITE.holders[credential.holder].groups)
        assert decision.reason is Reason.PERMITTED
    else:
        assert decision.reason is not Reason.PERMITTED


@given(presented, moments)
def test_an_uncertain_clock_never_opens_what_a_certain_one_keeps_shut(shown, now):
    request = AccessRequest("lobby", "r", tuple(shown))
    if decide(request, SITE, State(False), now).granted:
        assert decide(request, SITE, State(True), now).granted


@given(st.integers(0, 7 * 24 * 60 - 1))
def test_a_span_past_midnight_covers_the_same_minutes_as_its_two_halves(minute):
    now = datetime(2026, 11, 23, tzinfo=SHANGHAI).replace(
        day=23 + minute // 1440, hour=minute // 60 % 24, minute=minute % 60
    )
    halves = Schedule("halves", (Span(frozenset({0}), 22 * 60, 1440), Span(frozenset({1}), 0, 6 * 60)))
    assert NIGHT.allows(now) == halves.allows(now)


def test_a_credential_cannot_belong_to_two_holders():
    holders = [Holder("a", frozenset(), {}), Holder("b", frozenset(), {})]
    with pytest.raises(ValueError, match="belongs to one holder"):
        compile_policy(1, holders, [Credential(CARD, "26:1", "a"), Credential(CARD, "26:1", "b")], [], [])


def test_every_reason_has_a_sentence_in_both_languages():
    for reason in Reason:
        for language in Language:
            assert reasons.sentence(reason, language).strip()
