"""Who is where and what was used, after grants and passages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import worlds

from gateway.access import presence as presence_module
from gateway.access.decide import State, decide
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.presence import (
    EMPTY_PRESENCE,
    InZone,
    Presence,
    Used,
    after_grant,
    after_passage,
    as_rows,
    forgotten,
    from_rows,
    pruned,
)
from gateway.access.schedule import ALWAYS
from gateway.model import AccessRequest, CredentialKind, Decision, Presented, Reason

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 10, tzinfo=SHANGHAI)
NOW_MS = int(NOW.timestamp() * 1000)
CARD, QR = CredentialKind.CARD, CredentialKind.QR
GRANTED, BY_FIRE = Decision(True, Reason.PERMITTED), Decision(True, Reason.FIRE)
POLICY = compile_policy(
    1,
    [Holder("ann", frozenset({"keys"}), {}), Holder("ben", frozenset(), {})],
    [
        Credential(CARD, "26:1", "ann"),
        Credential(CARD, "26:2", "ben"),
        Credential(CARD, "26:3", "ben", uses=2, valid_until_ms=NOW_MS + 5),
        Credential(CARD, "26:4", "ben", uses=1, id="once"),
    ],
    [Rule("keys", frozenset({"in", "both", "out", "plain", "deeper"}), ALWAYS)],
    [
        PortalPolicy("in", (frozenset({CARD}),), enters_zone="yard", first_person_groups=frozenset({"keys"})),
        PortalPolicy("both", (frozenset({CARD}),), enters_zone="yard", exit_points=frozenset({"inner"})),
        PortalPolicy(
            "deeper", (frozenset({CARD}),), leaves_zone="yard", enters_zone="vault", exit_points=frozenset({"inner"})
        ),
        PortalPolicy("out", (frozenset({CARD}),), leaves_zone="yard"),
        PortalPolicy("plain", (frozenset({CARD}),)),
    ],
    zones=[Zone("yard", "hard"), Zone("vault")],
)
PASS = Credential(QR, "cc", "ann", uses=2, portals=frozenset({"in"}), valid_until_ms=NOW_MS + 9)


def request(portal: str, *keys: str, point: str = "outer", kind: CredentialKind = CARD) -> AccessRequest:
    return AccessRequest(portal, point, tuple(Presented(kind, key) for key in keys))


def walk(presence: Presence, *asked: AccessRequest, decision: Decision = GRANTED) -> Presence:
    for one in asked:
        presence = after_passage(presence, one, decision, POLICY, NOW)
    return presence


def test_zones_follow_the_people():
    inside = walk(EMPTY_PRESENCE, request("in", "26:1"))
    assert inside.zones == {"ann": InZone("yard", NOW_MS)}
    assert walk(inside, request("out", "26:1")).zones == {}
    assert walk(inside, request("both", "26:1", point="inner")).zones == {}
    assert walk(inside, request("both", "26:2")).zones == {"ann": InZone("yard", NOW_MS), "ben": InZone("yard", NOW_MS)}
    deeper = walk(inside, request("deeper", "26:1"))
    assert deeper.zones == {"ann": InZone("vault", NOW_MS)}
    assert walk(deeper, request("deeper", "26:1", point="inner")).zones == {"ann": InZone("yard", NOW_MS)}
    assert walk(inside, request("plain", "26:1")).zones == inside.zones


def test_both_of_two_persons_come_in_and_strangers_are_nobody():
    assert set(walk(EMPTY_PRESENCE, request("in", "26:1", "26:2", "26:9")).zones) == {"ann", "ben"}


def test_a_refusal_and_an_unknown_portal_move_nobody():
    assert walk(EMPTY_PRESENCE, request("in", "26:1"), decision=Decision(False, Reason.NO_RULE)) == EMPTY_PRESENCE
    assert walk(EMPTY_PRESENCE, request("roof", "26:1")) == EMPTY_PRESENCE


def test_who_comes_in_by_fire_is_inside_but_no_first_person():
    found = walk(EMPTY_PRESENCE, request("in", "26:1"), decision=BY_FIRE)
    assert set(found.zones) == {"ann"}
    assert found.first_persons == {}


def test_a_first_person_opens_the_day_for_their_portal_only():
    assert walk(EMPTY_PRESENCE, request("in", "26:1")).first_persons == {"in": date(2026, 11, 23)}
    assert walk(EMPTY_PRESENCE, request("in", "26:2")).first_persons == {}
    assert walk(EMPTY_PRESENCE, request("both", "26:1")).first_persons == {}
    leaving = replace(POLICY.portals["in"], exit_points=frozenset({"inner"}))
    policy = replace(POLICY, portals={"in": leaving})
    found = after_passage(EMPTY_PRESENCE, request("in", "26:1", point="inner"), GRANTED, policy, NOW)
    assert found.first_persons == {}


def test_uses_are_counted_at_the_grant():
    once = after_grant(EMPTY_PRESENCE, request("in", "26:3", "26:1"), GRANTED, POLICY)
    assert once.uses == {"card:26:3": Used(1, NOW_MS + 5)}
    twice = after_grant(once, request("in", "26:3"), GRANTED, POLICY)
    assert twice.used(POLICY.credentials[CARD, "26:3"]) == 2
    assert after_grant(twice, request("in", "26:4"), GRANTED, POLICY).uses["once"] == Used(1, None)
    assert EMPTY_PRESENCE.used(POLICY.credentials[CARD, "26:3"]) == 0


@pytest.mark.parametrize(
    ("asked", "decision"),
    [
        (request("in", "26:1"), GRANTED),
        (request("in", "26:3"), Decision(False, Reason.NO_RULE)),
        (request("in", "26:3"), BY_FIRE),
        (request("in", "26:3"), Decision(False, Reason.PERMITTED)),
        (request("out", "26:3"), GRANTED),
        (request("both", "26:3", point="inner"), GRANTED),
        (request("roof", "26:3"), GRANTED),
    ],
    ids=["unlimited", "refused", "fire", "no grant", "leaving", "inner side", "unknown portal"],
)
def test_what_uses_nothing_up(asked, decision):
    assert after_grant(EMPTY_PRESENCE, asked, decision, POLICY) is EMPTY_PRESENCE


def test_a_signed_pass_is_counted_and_walks_by_itself():
    passes = {"cc": PASS}
    asked = request("in", "cc", kind=QR)
    used = after_grant(EMPTY_PRESENCE, asked, GRANTED, POLICY, passes)
    assert used.uses == {"qr:cc": Used(1, NOW_MS + 9)}
    moved = after_passage(used, asked, GRANTED, POLICY, NOW, passes)
    assert moved.zones == {"credential qr:cc": InZone("yard", NOW_MS)}
    assert moved.first_persons == {}  # its host is a first person; the visitor is none
    assert not after_grant(EMPTY_PRESENCE, request("in", "cc"), GRANTED, POLICY, passes).uses  # a card "cc" is no pass


def test_the_policy_stands_above_what_a_pass_says():
    revoked = replace(POLICY, credentials={(QR, "cc"): replace(PASS, revoked=True)})
    decision = decide(request("in", "cc", kind=QR), revoked, State(True, passes={"cc": PASS}), NOW)
    assert decision.reason is Reason.REVOKED


CAR, VISITOR = "credential plate:京A12345", "credential pass-cc"
ON_SITE = Presence(
    {"ann": InZone("yard", 1), CAR: InZone("vault", 2), VISITOR: InZone("yard", 3), "ben": InZone("yard", 4)},
    {"in": NOW.date()},
    {"x": Used(1)},
)


@pytest.mark.parametrize(
    ("what", "name", "left"),
    [
        ("holder", "ann", {"ben"}),  # with her car and her visitor
        ("holder", "ben", {"ann", CAR, VISITOR}),
        ("zone", "yard", {CAR}),
        ("zone", "ann", {"ann", CAR, VISITOR, "ben"}),
        ("all", "", set()),
    ],
)
def test_forgetting_where_some_are(what, name, left):
    policy = compile_policy(
        1,
        [Holder("ann", frozenset(), {}), Holder("ben", frozenset(), {})],
        [
            Credential(CredentialKind.PLATE, "京A12345", "ann"),
            Credential(QR, "cc", "ann", id="pass-cc", portals=frozenset()),
            Credential(CARD, "26:2", "ben"),
        ],
        [],
        [],
    )
    found = forgotten(ON_SITE, what, name, policy)
    assert found == replace(ON_SITE, zones={who: ON_SITE.zones[who] for who in left}), "nothing else is forgotten"
    assert forgotten(found, what, name, policy) is found


def test_who_was_erased_from_the_policy_can_be_forgotten_too():
    assert "ben" not in forgotten(ON_SITE, "holder", "ben", compile_policy(1, [], [], [], [])).zones


def test_after_forgetting_anti_passback_lets_in_again():
    inside = walk(EMPTY_PRESENCE, request("in", "26:1"))
    asked = request("in", "26:1")
    assert decide(asked, POLICY, State(True, presence=inside), NOW).reason is Reason.ANTI_PASSBACK
    released = forgotten(inside, "holder", "ann", POLICY)
    assert decide(asked, POLICY, State(True, presence=released), NOW).granted


def test_the_qr_code_and_the_plate_of_one_pass_share_its_uses():
    portals = frozenset({"gate"})
    parts = [
        Credential(kind, key, "ann", id=name, uses=2, portals=portals, counter="pass-cc")
        for kind, key, name in ((QR, "cc", "pass-cc"), (CredentialKind.PLATE, "京A12345", "pass-cc-plate"))
    ]
    policy = compile_policy(
        1,
        [Holder("ann", frozenset({"keys"}), {})],
        parts,
        [Rule("keys", portals, ALWAYS)],
        [PortalPolicy("gate", tuple(frozenset({one.kind}) for one in parts))],
    )
    presence, granted = EMPTY_PRESENCE, []
    for one in (*parts, *parts):
        asked = AccessRequest("gate", "camera", (Presented(one.kind, one.key),))
        decision = decide(asked, policy, State(True, presence=presence), NOW)
        presence = after_grant(presence, asked, decision, policy)
        granted.append(decision.granted)
    assert granted == [True, True, False, False]
    both = AccessRequest("gate", "camera", tuple(Presented(one.kind, one.key) for one in parts))
    assert after_grant(EMPTY_PRESENCE, both, GRANTED, policy).uses == {"pass-cc": Used(1)}, "shown together: one use"


def test_what_cannot_be_counted_any_more_does_not_open(monkeypatch):
    monkeypatch.setattr(presence_module, "MAX_COUNTED", 1)
    policy = replace(POLICY, rules={("keys", "in"): (Rule("keys", frozenset({"in"}), ALWAYS),)})
    policy = replace(policy, holders={**POLICY.holders, "ben": Holder("ben", frozenset({"keys"}), {})})
    full = State(True, presence=Presence(uses={"card:26:3": Used(1)}))
    assert decide(request("in", "26:3"), policy, full, NOW).granted, "it has its place"
    assert decide(request("in", "26:4"), policy, full, NOW).reason is Reason.USED_UP
    assert decide(request("in", "26:4"), policy, State(True), NOW).granted
    assert decide(request("in", "26:1"), policy, full, NOW).granted, "without uses there is nothing to count"


def test_expired_counts_go_and_others_stay():
    found = pruned(Presence(uses={"a": Used(1, 10), "b": Used(1, 11), "c": Used(1)}), 10)
    assert found.uses == {"b": Used(1, 11), "c": Used(1)}
    assert pruned(found, 10) is found


def test_a_full_memory_forgets_no_one_and_takes_no_more(monkeypatch):
    monkeypatch.setattr(presence_module, "MAX_PRESENT", 1)
    inside = walk(EMPTY_PRESENCE, request("in", "26:1"))
    assert walk(inside, request("in", "26:2")).zones == inside.zones
    assert set(walk(inside, request("deeper", "26:1")).zones) == {"ann"}


names = st.text(max_size=6)
presences = st.builds(
    Presence,
    st.dictionaries(names, st.builds(InZone, names, st.integers(0, 2**50))),
    st.dictionaries(names, st.dates()),
    st.dictionaries(names, st.builds(Used, st.integers(1, 9), st.one_of(st.none(), st.integers(0, 2**50)))),
)


@given(presences)
def test_rows_say_everything(presence):
    rows = as_rows(presence)
    assert from_rows(rows) == presence
    assert from_rows(reversed(rows)) == presence
    assert all([type(cell) for cell in row] == [str, str, str, int] for row in rows)


def test_rows_are_in_a_fixed_order_and_strange_ones_are_refused():
    presence = Presence(
        {"b": InZone("y", 2), "a": InZone("x", 1)}, {"p": date(2026, 1, 2)}, {"u": Used(3, 4), "v": Used(5)}
    )
    assert as_rows(presence) == [
        ("zone", "a", "x", 1),
        ("zone", "b", "y", 2),
        ("first", "p", "2026-01-02", 0),
        ("uses", "u", "4", 3),
        ("uses", "v", "", 5),
    ]
    with pytest.raises(ValueError, match=r"^presence: expected a row of zone, first or uses, got 'x'; drop the stored"):
        from_rows([("x", "a", "b", 1)])


@given(worlds)
def test_who_has_just_come_in_hard_cannot_come_in_again(at):
    """The whole circle: decide, walk, ask again."""
    decision = decide(at.request, at.policy, at.state, at.now)
    after = after_passage(at.state.presence, at.request, decision, at.policy, at.now)
    portal = at.policy.portals.get(at.request.portal)
    if decision.granted and decision.reason is Reason.PERMITTED and not at.leaving and portal.enters_zone:
        later = at.now + timedelta(seconds=1)
        if at.policy.zones[portal.enters_zone].passback == "hard" and later.date() == at.now.date():
            again = decide(at.request, at.policy, replace(at.state, presence=after), later)
            assert not again.granted or again.reason is not Reason.PERMITTED
