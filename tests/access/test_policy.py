"""What `compile_policy` refuses, each in one sentence, and what it makes of an interlock."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.access.formats import FORMATS, with_parity
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS, Calendar, Schedule
from gateway.model import CredentialKind

CARD, PIN = CredentialKind.CARD, CredentialKind.PIN
ANY_CARD = (frozenset({CARD}),)


def made(**changed: Any) -> Policy:
    parts: dict[str, Any] = {
        "holders": [Holder("a", frozenset({"g"}), {}), Holder("b", frozenset(), {})],
        "credentials": [Credential(CARD, "26:1", "a")],
        "rules": [Rule("g", frozenset({"p"}), ALWAYS)],
        "portals": [PortalPolicy("p", ANY_CARD), PortalPolicy("q", ANY_CARD)],
        "zones": [Zone("z")],
    } | changed
    return compile_policy(7, **parts)


WRONG = [
    ({"holders": [Holder("a", frozenset(), {})] * 2}, "holder 'a' stands twice; give each holder a name of its own"),
    ({"portals": [PortalPolicy("p", ANY_CARD)] * 2}, "portal 'p' stands twice; give each portal a name of its own"),
    ({"zones": [Zone("z")] * 2}, "zone 'z' stands twice; give each zone a name of its own"),
    ({"schedules": [Schedule("s")] * 2}, "schedule 's' stands twice; give each schedule a name of its own"),
    ({"card_formats": ["h10301", "w26"]}, f"card format 'w26' is not one of {sorted(FORMATS)}; correct it"),
    (
        {"credentials": [Credential(CARD, "26:1", "x")]},
        "a card belongs to 'x', who is no holder; add the holder",
    ),
    (
        {"credentials": [Credential(CARD, "26:1", "a"), Credential(CARD, "26:1", "b")]},
        "one card of holder 'b' is also registered for 'a'; a credential belongs to one holder",
    ),
    (
        {"credentials": [Credential(CARD, "26:1", "a", id="c"), Credential(PIN, "x", "a", id="c")]},
        "credential 'c' stands twice; give each credential an id of its own",
    ),
    (
        {"credentials": [Credential(CARD, "26:1", "a", uses=0)]},
        "a card of holder 'a' has 0 uses; expected 1 or more, or none",
    ),
    (
        {"credentials": [Credential(CARD, "26:1", "a", portals=frozenset({"p", "roof"}))]},
        "a card of holder 'a' names portal 'roof', which does not exist; correct it",
    ),
    (
        {"credentials": [Credential(CARD, "26:0", "a")], "card_formats": ["h10301"]},
        "card 26:0 of holder 'a': the parity of its 26 bits is wrong for h10301; read the card again",
    ),
    (
        {"rules": [Rule("g", frozenset({"p", "roof"}), ALWAYS)]},
        "a rule for group 'g' names portal 'roof', which does not exist",
    ),
    (
        {"portals": [PortalPolicy("p", (frozenset({CARD}), frozenset()))]},
        "portal 'p' accepts an empty combination, which anything meets; fill it",
    ),
    (
        {"portals": [PortalPolicy("p", ANY_CARD, interlock=frozenset({"p"}))]},
        "portal 'p' is in an interlock with itself; name the other door",
    ),
    (
        {"portals": [PortalPolicy("p", ANY_CARD, interlock=frozenset({"roof"}))]},
        "portal 'p' is in an interlock with 'roof', which does not exist; add it",
    ),
    (
        {
            "portals": [
                PortalPolicy("p", ANY_CARD, interlock=frozenset({"q"})),
                PortalPolicy("q", ANY_CARD, unlock_schedule="always"),
            ]
        },
        "portal 'q' is in an interlock and unlocks by schedule; it can do one of them",
    ),
    (
        {"portals": [PortalPolicy("p", ANY_CARD, enters_zone="y")]},
        "portal 'p' leads to zone 'y', which does not exist; add the zone",
    ),
    (
        {"portals": [PortalPolicy("p", ANY_CARD, leaves_zone="y", enters_zone="z")]},
        "portal 'p' leads to zone 'y', which does not exist; add the zone",
    ),
    (
        {"portals": [PortalPolicy("p", ANY_CARD, leaves_zone="z", enters_zone="z")]},
        "portal 'p' leads from zone 'z' to itself; correct one side",
    ),
    (
        {"portals": [PortalPolicy("p", ANY_CARD, unlock_schedule="s")]},
        "portal 'p' unlocks by schedule 's', which does not exist; add it",
    ),
]


@pytest.mark.parametrize(("changed", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_refused_in_one_sentence(changed, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        made(**({"rules": []} if "portals" in changed else {}) | changed)


def test_an_interlock_that_one_side_names_holds_both():
    policy = made(portals=[PortalPolicy("p", ANY_CARD, interlock=frozenset({"q"})), PortalPolicy("q", ANY_CARD)])
    assert policy.portals["p"].interlock == {"q"}
    assert policy.portals["q"].interlock == {"p"}


def test_everything_given_is_in_the_policy():
    office, calendar = Schedule("office"), Calendar(known_years=frozenset({2026}))
    rules = [Rule("g", frozenset({"p", "q"}), ALWAYS), Rule("g", frozenset({"p"}), office)]
    value = with_parity(FORMATS["h10301"], 1)
    cards = [Credential(CARD, f"26:{value}", "a"), Credential(CARD, "26:no", "b")]
    with pytest.raises(ValueError, match="it is no number of 26 bits"):
        made(credentials=cards, card_formats=["h10301"])
    policy = made(rules=rules, schedules=[office], calendar=calendar, card_formats=["h10301"], credentials=cards[:1])
    assert policy.version == 7
    assert list(policy.holders) == ["a", "b"]
    assert policy.credentials == {(CARD, f"26:{value}"): cards[0]}
    assert policy.rules == {("g", "p"): tuple(rules), ("g", "q"): (rules[0],)}
    assert policy.zones == {"z": Zone("z")}
    assert policy.schedules == {"always": ALWAYS, "office": office}
    assert policy.calendar is calendar
    assert policy.card_formats == {"h10301"}


def test_names_and_subjects():
    card = Credential(CARD, "26:1", "a")
    assert (card.name, card.subject) == ("card:26:1", "a")
    visitor = Credential(CARD, "26:2", "a", id="v1", portals=frozenset({"p"}))
    assert (visitor.name, visitor.subject) == ("v1", "credential v1")
    car = Credential(CredentialKind.PLATE, "京A12345", "a")
    assert car.subject == "credential plate:京A12345"


def test_which_requests_are_on_the_way_out():
    assert PortalPolicy("p", ANY_CARD, exit_points=frozenset({"inner"})).leaving("inner")
    assert not PortalPolicy("p", ANY_CARD, exit_points=frozenset({"inner"})).leaving("outer")
    assert PortalPolicy("p", ANY_CARD, leaves_zone="z").leaving("any")
    assert not PortalPolicy("p", ANY_CARD, leaves_zone="z", enters_zone="y").leaving("any")
    assert not PortalPolicy("p", ANY_CARD).leaving("any")
