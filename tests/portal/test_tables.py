"""Door and barrier: every state handles every event, every state is reached, and the rules that matter hold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import PortalMode
from gateway.portal import barrier as b
from gateway.portal import door as d
from gateway.portal import fire as f
from gateway.portal import lift as lf
from gateway.portal import mode as m
from gateway.portal import turnstile as t

DOOR = d.DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
BARRIER = b.BarrierTimes(travel_ms=6_000, lower_after_ms=2_000, no_passage_ms=20_000)


TABLES = {
    "door": (d.DoorState, d.DoorEvent, {pair: row[0] for pair, row in d.TABLE.items()}),
    "barrier": (b.BarrierState, b.BarrierEvent, {pair: row[0] for pair, row in b.TABLE.items()}),
    "turnstile": (t.TurnstileState, t.TurnstileEvent, {pair: row[0] for pair, row in t.TABLE.items()}),
    "lift": (lf.LiftState, lf.LiftEvent, lf.TABLE),
    "fire": (f.FireState, f.FireEvent, {pair: row[0] for pair, row in f.TABLE.items()}),
    "mode": (PortalMode, m.ModeEvent, m.TABLE),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_pair_has_a_row_and_every_state_is_reached(name):
    states, events, table = TABLES[name]
    assert set(table) == set(itertools.product(states, events))
    reached, frontier = set(), [next(iter(states))]
    while frontier:
        state = frontier.pop()
        if state not in reached:
            reached.add(state)
            frontier += [table[state, event] for event in events]
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
        assert door.is_open == contact_open


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


# --- what a door is while it is free ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "state", "reports"),
    [
        ([(0, E.FREED), (100, E.OPENED), (90_000, E.TIMEOUT)], d.DoorState.FREE_OPEN, [R.OPENED]),  # no time limit
        ([(0, E.FREED), (100, E.OPENED), (200, E.CLOSED)], d.DoorState.FREE, [R.OPENED, R.CLOSED]),
        ([(0, E.OPENED), (10, E.FREED), (20, E.CLOSED)], d.DoorState.FREE, [R.FORCED, R.CLOSED]),
        ([(0, E.FREED), (9_000, E.SECURED), (9_100, E.OPENED)], d.DoorState.OPEN, [R.OPENED]),  # pulled just before
        ([(0, E.FREED), (9_000, E.SECURED), (9_500, E.TIMEOUT), (9_600, E.OPENED)], d.DoorState.FORCED, [R.FORCED]),
        (
            [(0, E.FREED), (100, E.OPENED), (50_000, E.SECURED), (80_000, E.TIMEOUT)],
            d.DoorState.HELD,
            [R.OPENED, R.HELD],
        ),
    ],
)
def test_a_free_door(events, state, reports):
    door, seen = run_door(*events)
    assert (door.state, seen) == (state, reports)


LEVELS = st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=60)


@given(LEVELS, st.sets(st.integers(0, 59)), st.sampled_from([None, E.RELEASE, E.FREED, E.EXIT_REQUEST]))
def test_whatever_a_contact_bounces_opened_and_closed_alternate(levels, releases, event):
    door, now_ms, reports = d.Door(), 0, []
    for i, (after_ms, is_open) in enumerate(levels):
        now_ms += after_ms
        if event is not None and i in releases:
            door, _ = d.step(door, event, DOOR, now_ms)
        door, report = d.step(door, E.OPENED if is_open else E.CLOSED, DOOR, now_ms)
        reports += [report] if report else []
    opened = [report in (R.OPENED, R.FORCED) for report in reports]
    assert opened == [i % 2 == 0 for i in range(len(opened))]


# --- fire ------------------------------------------------------------------------------------------------------------

SIGNALS = st.lists(
    st.one_of(
        st.tuples(st.just("signal"), st.sampled_from("abc"), st.booleans()),
        st.tuples(st.sampled_from(["reset", "found"]), st.just(""), st.just(True)),
    ),
    max_size=40,
)


@given(SIGNALS)
def test_fire_is_ended_only_by_a_reset_and_never_while_an_input_is_active(steps):
    fire, active = f.Fire(), set()
    for what, source, on in steps:
        before = fire
        if what == "signal":
            active = active | {source} if on else active - {source}
            fire, effect = f.signal(fire, source, on)
        elif what == "found":
            fire, effect = f.found_released(fire)
        else:
            fire, effect = f.reset(fire)
        assert fire.active == active
        assert (fire.state is f.FireState.BURNING) == bool(active)
        assert (effect is f.FireEffect.RELEASE) == (fire.released and not before.released)
        if before.released and not fire.released:
            assert what == "reset"
            assert not active
            assert effect is f.FireEffect.SECURE


def test_a_reset_without_a_fire_is_refused():
    assert f.reset(f.Fire()) == (f.Fire(), f.FireEffect.REFUSE)


# --- modes -----------------------------------------------------------------------------------------------------------


def test_the_schedule_never_ends_what_an_operator_asked_for():
    strict = (PortalMode.CARD_AND_PIN, PortalMode.LOCKDOWN, PortalMode.EMERGENCY_OPEN)
    for mode in strict:
        assert m.TABLE[mode, m.ModeEvent.SCHEDULE_OPENS] is mode
        assert m.TABLE[mode, m.ModeEvent.SCHEDULE_CLOSES] is mode


def test_an_operators_word_holds_in_every_mode():
    for mode, wanted in itertools.product(PortalMode, PortalMode):
        assert m.TABLE[mode, m.EVENT_OF[wanted]] is wanted


def test_only_open_modes_and_fire_are_free():
    assert {mode for mode in PortalMode if m.free(mode, fire=False)} == {PortalMode.UNLOCKED, PortalMode.EMERGENCY_OPEN}
    assert all(m.free(mode, fire=True) for mode in PortalMode)


# --- turnstile -------------------------------------------------------------------------------------------------------

T, TS, TR = t.TurnstileEvent, t.TurnstileState, t.TurnstileReport


def run_turnstile(*events: tuple[int, t.TurnstileEvent]) -> tuple[t.Turnstile, list[t.TurnstileReport]]:
    arms, reports = t.Turnstile(), []
    for now_ms, event in events:
        arms, report = t.step(arms, event, 6_000, now_ms)
        reports += [report] if report else []
    return arms, reports


@pytest.mark.parametrize(
    ("events", "state", "reports"),
    [
        ([(0, T.GRANT_IN), (900, T.TURNED_IN)], TS.BLOCKED, [TR.PASSED]),
        ([(0, T.GRANT_IN), (900, T.TURNED_IN), (1_000, T.TURNED_IN)], TS.BLOCKED, [TR.PASSED, TR.FORCED]),
        ([(0, T.GRANT_IN), (900, T.TURNED_OUT)], TS.ENTERING, [TR.FORCED]),
        ([(0, T.GRANT_IN), (6_000, T.TIMEOUT), (6_100, T.TURNED_IN)], TS.BLOCKED, [TR.NOT_PASSED, TR.FORCED]),
        ([(0, T.GRANT_IN), (10, T.GRANT_OUT), (900, T.TURNED_IN), (1_500, T.TURNED_OUT)], TS.BLOCKED, [TR.PASSED] * 2),
        ([(0, T.JUMPED)], TS.BLOCKED, [TR.FORCED]),
        ([(0, T.FREED), (1, T.TURNED_IN), (2, T.TURNED_OUT), (3, T.JUMPED)], TS.FREE, [TR.PASSED, TR.PASSED]),
        ([(0, T.GRANT_IN), (1, T.FREED), (2, T.BLOCKED_AGAIN)], TS.BLOCKED, []),
    ],
)
def test_a_day_of_a_turnstile(events, state, reports):
    arms, seen = run_turnstile(*events)
    assert (arms.state, seen) == (state, reports)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from(T)), max_size=60))
def test_a_blocked_turnstile_lets_no_more_through_than_were_granted(steps):
    arms, now_ms, granted, passed = t.Turnstile(), 0, 0, 0
    for after_ms, event in steps:
        now_ms += after_ms
        if event is T.FREED:
            continue
        way = {T.GRANT_IN: TS.ENTERING, T.GRANT_OUT: TS.LEAVING}.get(event)
        granted += way is not None and (arms.state is TS.BLOCKED or arms.room(way))
        arms, report = t.step(arms, event, 6_000, now_ms)
        passed += report is TR.PASSED
        assert passed <= granted
        assert sum(arms.enabled()) <= 1


def test_who_waits_to_come_in_takes_no_room_from_who_leaves_and_waits_no_longer_in_a_lockdown():
    arms = t.Turnstile()
    for _ in range(1 + t.MAX_WAITING):
        arms, _ = t.step(arms, T.GRANT_IN, 1_000, 0)
    assert not arms.room(TS.ENTERING)
    assert arms.room(TS.LEAVING)
    arms, _ = t.step(arms, T.GRANT_OUT, 1_000, 0)
    arms = t.without_waiting_in(arms)
    assert (arms.state, arms.waiting) == (TS.ENTERING, (TS.LEAVING,))


# --- lift ------------------------------------------------------------------------------------------------------------

L, LS = lf.LiftEvent, lf.LiftState
EVERY = frozenset({"f1", "f2", "f3"})


def test_granted_floors_can_be_selected_for_a_while_and_no_others():
    lift = lf.step(lf.Lift(), L.GRANT, 8_000, 0, frozenset({"f2"}))
    assert lift.enabled(EVERY) == {"f2"}
    lift = lf.step(lift, L.GRANT, 8_000, 1_000, frozenset({"f3"}))
    assert lift.enabled(EVERY) == {"f2", "f3"}
    assert lf.step(lift, L.TIMEOUT, 8_000, 8_999).enabled(EVERY) == {"f2", "f3"}
    assert lf.step(lift, L.TIMEOUT, 8_000, 9_000).enabled(EVERY) == frozenset()


def test_in_a_fire_every_relay_rests_whatever_comes():
    lift = lf.step(lf.step(lf.Lift(), L.FREED, 8_000, 0), L.FIRE, 8_000, 1)
    for event in set(L) - {L.FIRE_RESET}:
        after = lf.step(lift, event, 8_000, 2, EVERY)
        assert (after.state, after.enabled(EVERY)) == (LS.DEFAULT, frozenset())
    assert lf.step(lift, L.FIRE_RESET, 8_000, 3).state is LS.RESTRICTED


# --- a barrier that is to stay up ------------------------------------------------------------------------------------


def test_a_freed_barrier_rises_and_stays_up_until_it_is_secured():
    barrier, effects = run_barrier((0, B.FREED), (2_000, B.AT_TOP), (500_000, B.TIMEOUT), (600_000, B.LOOP_FREE))
    assert (barrier.state, effects) == (S.FREE, [b.BarrierEffect.RAISE, b.BarrierEffect.REPORT_OPENED])
    barrier, _ = b.step(barrier, B.SECURED, BARRIER, 700_000)
    assert barrier.state is S.RAISED  # a vehicle may still be coming


def test_a_freed_barrier_that_does_not_move_is_told_again_and_reported_once():
    barrier, effects = run_barrier((0, B.FREED), (6_000, B.TIMEOUT), (12_000, B.TIMEOUT), (18_000, B.TIMEOUT))
    assert barrier.state is S.STUCK
    assert effects.count(b.BarrierEffect.RAISE) == 4
    assert effects.count(b.BarrierEffect.REPORT_FAILED) == 1
