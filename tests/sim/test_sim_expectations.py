"""The grammar of expectations, and that each kind of sentence can fail."""

from __future__ import annotations

from typing import Any

import pytest

from sim import expectations
from sim.errors import ExpectationError


def event(seq: int, type_: str, subject: str, **data: object) -> dict[str, Any]:
    return {
        "id": f"00000000000000aa-{seq}",
        "source": "/d/s/g",
        "type": f"zhian.{type_}",
        "subject": subject,
        "data": data,
    }


def fact(t_ms: float, kind: str, subject: str, **details: object) -> dict[str, Any]:
    return {"t_ms": t_ms, "kind": kind, "subject": subject, **details}


EVENTS = [
    event(1, "access.granted", "lobby", reason="permitted"),
    event(2, "access.denied", "lobby", reason="revoked"),
    event(3, "access.denied", "garage", reason="wrong-pin"),
    event(4, "device.lost", "lobby-reader", cause="timeout") | {"clock": "uncertain"},
]
FACTS = [
    fact(1000, "step", "lin-card"),
    fact(1400, "lock.released", "lobby"),
    fact(2100, "door.opened", "lobby"),
    fact(5000, "step", "car"),
    fact(9000, "arm.left-down", "north-gate"),
    fact(10500, "arm.raised", "north-gate"),
    fact(20000, "step", "stranger"),
    fact(30000, "step", "late"),
    fact(31000, "network.restored", "network", repeated=2),
    fact(40000, "world.stopped", "x"),
    fact(40000, "site.counted", "gateway", made=4, stored=4),
]


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("exactly 1 event access.granted at lobby", True),
        ("exactly 2 events access.granted at lobby", False),
        ("exactly 2 events access.denied", True),
        ("at least 1 event access.denied at lobby with reason revoked", True),
        ("at least 1 event access.denied at lobby with reason wrong-pin", False),
        ("at least 3 events access.denied", False),
        ("at most 1 event access.denied at garage", True),
        ("at most 1 event access.denied", False),
        ("no event access.granted at garage", True),
        ("no event access.granted at lobby", False),
        ("no event access.denied at lobby with reason wrong-pin.", True),
        ("exactly 1 event device.lost of lobby-reader with reason timeout", True),
        ("lobby unlocked within 1000 ms of step lin-card", True),
        ("lobby unlocked within 399 ms of step lin-card", False),
        ("lobby  opened within 1.2 s of step lin-card", True),
        ("lobby closed within 5 s of step lin-card", False),
        ("arm north-gate raised within 8 s of step car", True),
        ("arm north-gate raised within 5 s of step car", False),
        ("lobby stayed locked for 5 s after step stranger", True),
        ("lobby stayed locked for 5 s after step lin-card", False),
        ("arm north-gate stayed lowered for 8 s after step stranger", True),
        ("arm north-gate stayed lowered for 8 s after step car", False),
        ("exactly 1 event device.lost with cause timeout", True),
        ("exactly 1 event device.lost with cause timeout with clock uncertain", True),
        ("exactly 1 event device.lost with clock synced", False),
        ("lobby stayed locked from step stranger to step late", True),
        ("lobby stayed locked from step lin-card to step late", False),
        ("lobby stayed closed from step car to step stranger", True),
        ("lobby stayed locked from step late to step stranger", False),
        ("lobby stayed locked from step never to step late", False),
        ("the center has everything made", True),
        ("every action was done", True),
        ("the network repeated at least 2 messages", True),
        ("the network repeated at least 3 messages", False),
        ("arm north-gate never struck a car", True),
        ("no event was lost or stored twice", True),
    ],
)
def test_each_sentence_holds_or_fails_as_it_should(text: str, ok: bool) -> None:
    (result,) = expectations.check([text], FACTS, EVENTS)
    assert (result.ok, result.text) == (ok, text)
    assert result.seen


def test_a_struck_car_is_seen() -> None:
    (result,) = expectations.check(
        ["arm north-gate never struck a car"], [*FACTS, fact(1, "arm.struck", "north-gate")], []
    )
    assert (result.ok, result.seen) == (False, "struck 1 times")


@pytest.mark.parametrize(
    ("events", "seen"),
    [
        ([EVENTS[0], *EVENTS], "1 stored twice, first 1"),
        ([EVENTS[0], *EVENTS[2:]], "1 missing, first 2"),
        (EVENTS[1:], "1 missing, first 1"),
        ([], "no event at all"),
        ([{"id": "nonsense"}], "nonsense"),
    ],
)
def test_lost_and_duplicated_events_are_named(events: list[dict[str, Any]], seen: str) -> None:
    (result,) = expectations.check(["no event was lost or stored twice"], FACTS, events)
    assert not result.ok
    assert seen in result.seen


def test_a_failure_says_what_was_there_instead() -> None:
    (counted, timed, nowhere) = expectations.check(
        [
            "exactly 1 event access.granted at garage",
            "lobby closed within 5 s of step lin-card",
            "lobby opened within 5 s of step stranger",
        ],
        FACTS,
        EVENTS,
    )
    assert counted.seen == "0 matching; zhian.access.granted: 1 at lobby (permitted)"
    assert "never (there was lock.released, door.opened)" in timed.seen
    assert "nothing happened there" in nowhere.seen


def test_a_step_that_never_happened_fails() -> None:
    (result,) = expectations.check(["lobby stayed locked for 5 s after step other"], FACTS, [])
    assert (result.ok, result.seen) == (False, "step other never happened")


def test_every_round_of_a_loop_must_hold_but_a_round_cut_short_does_not_count() -> None:
    rounds = [fact(0, "step", "a"), fact(300, "lock.released", "lobby"), fact(50_000, "step", "a")]
    text = ["lobby unlocked within 500 ms of step a"]
    assert expectations.check(text, [*rounds, fact(50_200, "x", "y")], [])[0].ok
    assert not expectations.check(text, [*rounds, fact(60_000, "x", "y")], [])[0].ok


def test_an_unknown_sentence_names_the_known_ones() -> None:
    with pytest.raises(ExpectationError, match=r"the door is nice.*exactly 1 event access.granted at lobby"):
        expectations.parse("the door is nice")


@pytest.mark.parametrize(
    ("facts", "events", "seen"),
    [
        (FACTS, EVENTS[:3], "4 made, 3 at the center"),
        (FACTS, [*EVENTS[:3], EVENTS[2]], "4 made, 3 at the center"),
        (FACTS[:-1], EVENTS, "nobody counted"),
        ([fact(0, "site.counted", "gateway", made=0, stored=0)], [], "0 made, 0 at the center"),
        ([fact(0, "site.counted", "gateway", made=3, stored=4)], EVENTS, "3 made, 4 at the center"),
        (
            [fact(0, "site.counted", "gateway", made=4, stored=4, lost=1, unknown=1)],
            EVENTS,
            "1 of those made are not there, 1 of those there were not made here",
        ),
    ],
)
def test_what_did_not_arrive_is_seen(facts: list[dict[str, Any]], events: list[dict[str, Any]], seen: str) -> None:
    (result,) = expectations.check(["the center has everything made"], facts, events)
    assert not result.ok
    assert seen in result.seen


@pytest.mark.parametrize("kind", ["step.failed", "action.failed"])
def test_an_action_that_was_not_done_is_seen(kind: str) -> None:
    (result,) = expectations.check(["every action was done"], [*FACTS, fact(1, kind, "cut", cause="no socket")], [])
    assert (result.ok, result.seen) == (False, "1 failed, first cut: no socket")
