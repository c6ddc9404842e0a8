"""Door and barrier: every state handles every event, every state is reached, and the rules that matter hold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.portal import barrier as b
from gateway.portal import door as d

DOOR = d.DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
BARRIER = b.BarrierTimes(travel_ms=6_000, lower_after_ms=2_000, no_passage_ms=20_000)


@pytest.mark.parametrize(
    ("states", "events", "table"), [(d.DoorState, d.DoorEvent, d.TABLE), (b.BarrierState, b.BarrierEvent, b.TABLE)]
)
def test_every_pair_has_a_row_and_every_state_is_reached(states, events, table):
    assert set(table) == set(itertools.product(states, events))
    reached, frontier = set(), [next(iter(states))]
    while frontier:
        state = frontier.pop()
        if state not in reached:
            reached.add(state)
            frontier += [table[state, event][0] for event in events]
    assert reached == set(states)


def run_door(*events: tuple[int, d.DoorEvent]) -> tuple[d.Door, list[d.DoorReport]]:
    door, reports = d.Door(), []
    for now_ms, event in events:
        door, report = d.step(door, event, DOOR, now_ms)
        reports += [report] if report else []
    return door, reports


E, R = d.DoorEvent, d.DoorReport


@pytest.mark.parametrize(
    ("events", "state", "reports"),
    [
        ([(0, E.RELEASE), (100, E.OPENED), (2000, E.CLOSED)], d.DoorState.RELEASED, [R.OPENED, R.CLOSED]),
        ([(0, E.RELEASE), (100, E.OPENED), (6000, E.CLOSED)], d.DoorState.SECURE, [R.OPENED, R.CLOSED]),
        ([(0, E.EXIT_REQUEST), (100, E.OPENED), (6000, E.CLOSED)], d.DoorState.SECURE, [R.OPENED, R.CLOSED]),
        (  # a second person leaves while the lock is still released
            [(0, E.EXIT_REQUEST), (100, E.OPENED), (2000, E.CLOSED), (3000, E.OPENED), (9000, E.CLOSED)],
            d.DoorState.SECURE,
            [R.OPENED, R.CLOSED, R.OPENED, R.CLOSED],
        ),
        (  # and nobody after it has locked
            [(0, E.RELEASE), (100, E.OPENED), (2000, E.CLOSED), (5_500, E.TIMEOUT), (5_600, E.OPENED)],
            d.DoorState.FORCED,
            [R.OPENED, R.CLOSED, R.FORCED],
        ),
        ([(0, E.OPENED)], d.DoorState.FORCED, [R.FORCED]),
        ([(0, E.OPENED), (10, E.OPENED), (20, E.CLOSED)], d.DoorState.SECURE, [R.FORCED, R.CLOSED]),
        ([(0, E.RELEASE), (5_500, E.TIMEOUT), (5_600, E.OPENED)], d.DoorState.FORCED, [R.FORCED]),
        ([(0, E.RELEASE), (4_000, E.RELEASE), (6_000, E.TIMEOUT)], d.DoorState.RELEASED, []),
        ([(0, E.RELEASE), (1, E.OPENED), (30_001, E.TIMEOUT)], d.DoorState.HELD, [R.OPENED, R.HELD]),
        ([(0, E.RELEASE), (1, E.OPENED), (29_000, E.TIMEOUT)], d.DoorState.OPEN, [R.OPENED]),
        (
            [(0, E.RELEASE), (1, E.OPENED), (30_001, E.TIMEOUT), (60_000, E.TIMEOUT), (70_000, E.CLOSED)],
            d.DoorState.SECURE,
            [R.OPENED, R.HELD, R.CLOSED],
        ),
    ],
)
def test_a_day_of_a_door(events, state, reports):
    door, seen = run_door(*events)
    assert (door.state, seen) == (state, reports)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(d.DoorEvent))))
def test_a_door_that_is_secure_was_last_closed_or_never_opened(steps):
    door, now_ms, contact_open = d.Door(), 0, False
    for after_ms, event in steps:
        now_ms += after_ms
        door, _ = d.step(door, event, DOOR, now_ms)
        contact_open = {E.OPENED: True, E.FOUND_OPEN: True, E.CLOSED: False}.get(event, contact_open)
        assert (door.state in (d.DoorState.OPEN, d.DoorState.HELD, d.DoorState.FORCED)) == contact_open


B, S = b.BarrierEvent, b.BarrierState


def run_barrier(*events: tuple[int, b.BarrierEvent]) -> tuple[b.Barrier, list[b.BarrierEffect]]:
    barrier, effects = b.Barrier(b.BarrierState.LOWERED), []
    for now_ms, event in events:
        barrier, more = b.step(barrier, event, BARRIER, now_ms)
        effects += more
    return barrier, effects


PASSAGE = [
    (0, B.LOOP_OCCUPIED),
    (1, B.ADMIT),
    (2_000, B.AT_TOP),
    (5_000, B.LOOP_FREE),
    (7_000, B.TIMEOUT),
    (9_000, B.AT_BOTTOM),
]


def test_a_vehicle_passes():
    barrier, effects = run_barrier(*PASSAGE)
    assert barrier.state is S.LOWERED
    assert effects == [b.BarrierEffect.RAISE, b.BarrierEffect.REPORT_OPENED, b.BarrierEffect.REPORT_CLOSED]


def test_nobody_drives_through_and_the_arm_comes_down():
    barrier, _ = run_barrier((0, B.ADMIT), (2_000, B.AT_TOP), (22_000, B.TIMEOUT))
    assert barrier.state is S.LOWERING
    assert barrier.lower_held


def test_no_feedback_is_a_failure_and_not_a_movement():
    barrier, effects = run_barrier((0, B.ADMIT), (6_000, B.TIMEOUT))
    assert barrier.state is S.FAILED
    assert b.BarrierEffect.REPORT_OPENED not in effects


def test_a_vehicle_under_the_lowering_arm_raises_it_at_once():
    barrier, effects = run_barrier(*PASSAGE[:5], (7_500, B.LOOP_OCCUPIED))
    assert barrier.state is S.RAISING
    assert not barrier.lower_held
    assert effects[-1] is b.BarrierEffect.RAISE


def test_a_vehicle_admitted_behind_another_gets_its_own_time():
    barrier, _ = run_barrier(*PASSAGE[:3], (4_000, B.ADMIT), (5_000, B.LOOP_FREE), (7_000, B.TIMEOUT))
    assert barrier.state is S.RAISED
    assert barrier.deadline_ms == 5_000 + BARRIER.no_passage_ms


def test_an_arm_that_nobody_told_to_rise_was_forced():
    barrier, effects = run_barrier((0, B.LEFT_BOTTOM))
    assert (barrier.state, effects) == (S.UNKNOWN, [b.BarrierEffect.REPORT_FORCED])


def test_before_a_switch_has_spoken_the_arm_is_nowhere_and_moves_are_no_events():
    barrier, effects = b.step(b.Barrier(), B.AT_BOTTOM, BARRIER, 0)
    assert (b.Barrier().state, barrier.state, effects) == (S.UNKNOWN, S.LOWERED, ())


def test_leaving_is_never_shorter_than_what_the_node_itself_releases():
    door, _ = run_door((0, E.EXIT_REQUEST))
    assert door.deadline_ms >= DOOR.exit_ms


def test_a_second_vehicle_keeps_the_arm_up():
    barrier, _ = run_barrier(*PASSAGE[:4], (5_500, B.LOOP_OCCUPIED), (7_000, B.TIMEOUT), (60_000, B.TIMEOUT))
    assert barrier.state is S.PASSING


@given(st.lists(st.tuples(st.integers(0, 30_000), st.sampled_from(b.BarrierEvent))))
def test_the_lower_signal_is_never_held_over_an_occupied_loop(steps):
    barrier, now_ms, occupied = b.Barrier(), 0, False
    for after_ms, event in steps:
        now_ms += after_ms
        barrier, _ = b.step(barrier, event, BARRIER, now_ms)
        occupied = {B.LOOP_OCCUPIED: True, B.LOOP_FREE: False}.get(event, occupied)
        assert barrier.loop_occupied is occupied
        assert not (barrier.lower_held and occupied)
