"""Every value that a step gives back: since when, until when, and what is carried on."""

from __future__ import annotations

import pytest

from gateway.portal import fire as f
from gateway.portal.barrier import Barrier, BarrierEvent, BarrierState, BarrierTimes
from gateway.portal.barrier import step as barrier_step
from gateway.portal.door import SHUNT_MS, Door, DoorEvent, DoorState, DoorTimes
from gateway.portal.door import step as door_step
from gateway.portal.lift import Lift, LiftEvent, LiftState
from gateway.portal.lift import step as lift_step
from gateway.portal.turnstile import MAX_WAITING, Turnstile, TurnstileEvent, TurnstileState
from gateway.portal.turnstile import step as turnstile_step

DOOR = DoorTimes(unlock_ms=5_000, held_open_ms=30_000, exit_ms=3_000)
BARRIER = BarrierTimes(travel_ms=6_000, lower_after_ms=2_000, no_passage_ms=20_000)
D, DE, B, BE = DoorState, DoorEvent, BarrierState, BarrierEvent
T, TE, L, LE = TurnstileState, TurnstileEvent, LiftState, LiftEvent
RELEASED = Door(D.RELEASED, 100, 5_600, 5_600)
OPEN = Door(D.OPEN, 1_100, 31_100, 5_600)


@pytest.mark.parametrize(
    ("door", "event", "now_ms", "after"),
    [
        (Door(), DE.RELEASE, 100, RELEASED),
        (Door(), DE.EXIT_REQUEST, 100, Door(D.RELEASED, 100, 3_600, 3_600)),
        (RELEASED, DE.RELEASE, 1_000, Door(D.RELEASED, 100, 6_500, 6_500)),  # renewed; released since it began
        (RELEASED, DE.EXIT_REQUEST, 1_000, RELEASED),  # never shorter
        (RELEASED, DE.TIMEOUT, 5_599, RELEASED),
        (RELEASED, DE.TIMEOUT, 5_600, Door(D.SECURE, 5_600, None, 5_600)),
        (RELEASED, DE.OPENED, 1_100, OPEN),
        (OPEN, DE.OPENED, 2_000, OPEN),
        (OPEN, DE.SECURED, 2_000, OPEN),
        (OPEN, DE.CLOSED, 5_599, Door(D.RELEASED, 5_599, 5_600, 5_600)),
        (OPEN, DE.CLOSED, 5_600, Door(D.SECURE, 5_600, None, 5_600)),
        (OPEN, DE.TIMEOUT, 31_100, Door(D.HELD, 31_100, None, 5_600)),
        (Door(), DE.SECURED, 9_000, Door()),
        (Door(D.FREE, 7, None, 8), DE.FREED, 9_000, Door(D.FREE, 7, None, 8)),
        (Door(D.FREE, 7), DE.SECURED, 9_000, Door(D.RELEASED, 9_000, 9_000 + SHUNT_MS, 9_000 + SHUNT_MS)),
        (Door(D.FREE_OPEN, 7), DE.SECURED, 9_000, Door(D.OPEN, 9_000, 39_000, 9_000 + SHUNT_MS)),
        (Door(D.FREE_OPEN, 7, None, 8), DE.CLOSED, 9_000, Door(D.FREE, 9_000, None, 8)),
    ],
)  # fmt: skip
def test_a_door(door, event, now_ms, after):
    assert door_step(door, event, DOOR, now_ms)[0] == after


@pytest.mark.parametrize(
    ("barrier", "event", "now_ms", "after"),
    [
        (Barrier(B.LOWERED), BE.ADMIT, 10, Barrier(B.RAISING, 10, 6_010)),
        (Barrier(B.RAISING, 10, 6_010), BE.ADMIT, 20, Barrier(B.RAISING, 10, 6_010)),
        (Barrier(B.RAISING, 10, 6_010), BE.AT_TOP, 30, Barrier(B.RAISED, 30, 20_030)),
        (Barrier(B.RAISING, 10, 6_010, True), BE.AT_TOP, 30, Barrier(B.PASSING, 30, None, True)),
        (Barrier(B.RAISED, 30, 20_030), BE.SECURED, 40, Barrier(B.RAISED, 30, 20_030)),
        (Barrier(B.RAISED, 30, 20_030), BE.ADMIT, 40, Barrier(B.RAISED, 40, 20_040)),
        (Barrier(B.RAISED, 30, 20_030), BE.TIMEOUT, 20_029, Barrier(B.RAISED, 30, 20_030)),
        (Barrier(B.RAISED, 30, 20_030), BE.TIMEOUT, 20_030, Barrier(B.LOWERING, 20_030, 26_030)),
        (Barrier(B.PASSING, 30, None, True), BE.ADMIT, 40, Barrier(B.PASSING, 30, None, True, True)),
        (Barrier(B.PASSING, 30, None, True, True), BE.AT_TOP, 40, Barrier(B.PASSING, 30, None, True, True)),
        (Barrier(B.PASSING, 30, None, True, True), BE.LOOP_FREE, 40, Barrier(B.RAISED, 40, 20_040)),
        (Barrier(B.PASSING, 30, None, True), BE.LOOP_FREE, 40, Barrier(B.CLEARED, 40, 2_040)),
        (Barrier(B.FREEING, 10, 6_010), BE.TIMEOUT, 6_010, Barrier(B.STUCK, 6_010, 12_010)),
        (Barrier(B.STUCK, 10, 6_010), BE.TIMEOUT, 6_010, Barrier(B.STUCK, 6_010, 12_010)),
        (Barrier(B.STUCK, 10, 6_010), BE.ADMIT, 20, Barrier(B.STUCK, 10, 6_010)),
        (Barrier(B.STUCK, 10, 6_010), BE.AT_TOP, 20, Barrier(B.FREE, 20)),
    ],
)
def test_a_barrier(barrier, event, now_ms, after):
    assert barrier_step(barrier, event, BARRIER, now_ms)[0] == after


IN, OUT = T.ENTERING, T.LEAVING


@pytest.mark.parametrize(
    ("arms", "event", "now_ms", "after"),
    [
        (Turnstile(), TE.GRANT_IN, 10, Turnstile(IN, 10, 6_010)),
        (Turnstile(), TE.JUMPED, 10, Turnstile()),
        (Turnstile(IN, 10, 6_010), TE.GRANT_OUT, 20, Turnstile(IN, 10, 6_010, (OUT,))),
        (Turnstile(IN, 10, 6_010, (IN,) * MAX_WAITING), TE.GRANT_IN, 20, Turnstile(IN, 10, 6_010, (IN,) * MAX_WAITING)),
        (Turnstile(IN, 10, 6_010, (OUT, IN, OUT)), TE.TURNED_IN, 30, Turnstile(OUT, 30, 6_030, (IN, OUT))),
        (Turnstile(IN, 10, 6_010, (IN,)), TE.TIMEOUT, 6_010, Turnstile(IN, 6_010, 12_010)),
        (Turnstile(IN, 10, 6_010), TE.TIMEOUT, 6_009, Turnstile(IN, 10, 6_010)),
        (Turnstile(IN, 10, 6_010), TE.TIMEOUT, 6_010, Turnstile(T.BLOCKED, 6_010)),
        (Turnstile(IN, 10, 6_010, (IN,)), TE.FREED, 20, Turnstile(T.FREE, 20)),
        (Turnstile(T.FREE, 20), TE.TURNED_IN, 30, Turnstile(T.FREE, 20)),
        (Turnstile(T.FREE, 20), TE.BLOCKED_AGAIN, 30, Turnstile(T.BLOCKED, 30)),
    ],
)
def test_a_turnstile(arms, event, now_ms, after):
    assert turnstile_step(arms, event, 6_000, now_ms)[0] == after


@pytest.mark.parametrize(
    ("state", "enabled"),
    [(T.BLOCKED, (False, False)), (IN, (True, False)), (OUT, (False, True)), (T.FREE, (True, True))],
)
def test_which_way_the_arms_turn(state, enabled):
    assert Turnstile(state).enabled() == enabled


SELECTABLE = Lift(L.SELECTABLE, 10, 8_010, frozenset({"f1"}))


@pytest.mark.parametrize(
    ("lift", "event", "now_ms", "after"),
    [
        (Lift(), LE.GRANT, 10, SELECTABLE),
        (SELECTABLE, LE.GRANT, 20, Lift(L.SELECTABLE, 10, 8_020, frozenset({"f1"}))),
        (SELECTABLE, LE.RESTRICTED_AGAIN, 20, SELECTABLE),
        (SELECTABLE, LE.TIMEOUT, 8_010, Lift(L.RESTRICTED, 8_010)),
        (SELECTABLE, LE.FREED, 20, Lift(L.FREE, 20)),
        (Lift(L.FREE, 20), LE.GRANT, 30, Lift(L.FREE, 20)),
        (Lift(L.FREE, 20), LE.FIRE, 30, Lift(L.DEFAULT, 30)),
        (Lift(L.DEFAULT, 30), LE.FREED, 40, Lift(L.DEFAULT, 30)),
    ],
)
def test_a_lift(lift, event, now_ms, after):
    assert lift_step(lift, event, 8_000, now_ms, frozenset({"f1"})) == after


def test_floors_count_while_they_can_be_selected_only():
    every = frozenset({"f1", "f2"})
    enabled = {state: Lift(state, floors=frozenset({"f1", "roof"})).enabled(every) for state in L}
    assert enabled == {L.RESTRICTED: frozenset(), L.SELECTABLE: {"f1"}, L.FREE: every, L.DEFAULT: frozenset()}


def test_a_fire_burns_until_its_last_input_rests():
    both = f.Fire(f.FireState.BURNING, frozenset({"a", "b"}))
    one, effect = f.signal(both, "a", False)
    assert (one, effect) == (f.Fire(f.FireState.BURNING, frozenset({"b"})), None)
    assert f.signal(one, "a", False) == (one, None)
    assert f.signal(one, "b", False) == (f.Fire(f.FireState.LATCHED), None)
