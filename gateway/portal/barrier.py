"""A vehicle barrier as a table. "Moved" is believed only after a limit switch says so; lowering is a held signal that
is on in exactly one state and never while the loop is occupied (anti-smash)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BarrierState(StrEnum):
    """Where the arm is, and what it waits for."""

    UNKNOWN = "unknown"  # no limit switch has spoken yet, or the arm was moved by somebody else
    LOWERED = "lowered"
    RAISING = "raising"  # told to rise, limit switch not reached
    RAISED = "raised"  # up, waiting for the vehicle
    PASSING = "passing"  # up, a vehicle stands on the loop
    CLEARED = "cleared"  # up, the loop is free again, lowers at the deadline
    LOWERING = "lowering"  # the lower signal is held
    FAILED = "failed"  # told to move, no feedback in time
    FREEING = "freeing"  # told to rise and to stay up: fire, emergency open or an unlock schedule
    FREE = "free"  # up until further notice
    STUCK = "stuck"  # told to stay up, no feedback in time: told again and again


class BarrierEvent(StrEnum):
    """What can happen to a barrier."""

    ADMIT = "admit"
    AT_TOP = "at-top"
    AT_BOTTOM = "at-bottom"
    LEFT_BOTTOM = "left-bottom"
    LOOP_OCCUPIED = "loop-occupied"
    LOOP_FREE = "loop-free"
    TIMEOUT = "timeout"
    FREED = "freed"  # stay up until further notice
    SECURED = "secured"  # that has ended


class BarrierEffect(StrEnum):
    """What the caller does."""

    RAISE = "raise"
    REPORT_OPENED = "opened"
    REPORT_CLOSED = "closed"
    REPORT_FAILED = "failed"
    REPORT_FORCED = "forced"


_S, _E, _F = BarrierState, BarrierEvent, BarrierEffect
_NOTHING: tuple[BarrierEffect, ...] = ()

# (state, event) -> (next state, effects)
TABLE: dict[tuple[BarrierState, BarrierEvent], tuple[BarrierState, tuple[BarrierEffect, ...]]] = {
    (_S.UNKNOWN, _E.ADMIT): (_S.RAISING, (_F.RAISE,)),
    (_S.UNKNOWN, _E.AT_TOP): (_S.RAISED, _NOTHING),  # found so: nothing happened that would be worth an event
    (_S.UNKNOWN, _E.AT_BOTTOM): (_S.LOWERED, _NOTHING),
    (_S.UNKNOWN, _E.LEFT_BOTTOM): (_S.UNKNOWN, _NOTHING),
    (_S.UNKNOWN, _E.LOOP_OCCUPIED): (_S.UNKNOWN, _NOTHING),
    (_S.UNKNOWN, _E.LOOP_FREE): (_S.UNKNOWN, _NOTHING),
    (_S.UNKNOWN, _E.TIMEOUT): (_S.UNKNOWN, _NOTHING),
    (_S.UNKNOWN, _E.FREED): (_S.FREEING, (_F.RAISE,)),
    (_S.UNKNOWN, _E.SECURED): (_S.UNKNOWN, _NOTHING),
    (_S.LOWERED, _E.ADMIT): (_S.RAISING, (_F.RAISE,)),
    (_S.LOWERED, _E.AT_TOP): (_S.RAISED, (_F.REPORT_OPENED,)),  # raised by hand or by its own controller
    (_S.LOWERED, _E.AT_BOTTOM): (_S.LOWERED, _NOTHING),
    (_S.LOWERED, _E.LEFT_BOTTOM): (_S.UNKNOWN, (_F.REPORT_FORCED,)),  # lifted by hand, or broken
    (_S.LOWERED, _E.LOOP_OCCUPIED): (_S.LOWERED, _NOTHING),
    (_S.LOWERED, _E.LOOP_FREE): (_S.LOWERED, _NOTHING),
    (_S.LOWERED, _E.TIMEOUT): (_S.LOWERED, _NOTHING),
    (_S.LOWERED, _E.FREED): (_S.FREEING, (_F.RAISE,)),
    (_S.LOWERED, _E.SECURED): (_S.LOWERED, _NOTHING),
    (_S.RAISING, _E.ADMIT): (_S.RAISING, _NOTHING),
    (_S.RAISING, _E.AT_TOP): (_S.RAISED, (_F.REPORT_OPENED,)),
    (_S.RAISING, _E.AT_BOTTOM): (_S.RAISING, _NOTHING),
    (_S.RAISING, _E.LEFT_BOTTOM): (_S.RAISING, _NOTHING),
    (_S.RAISING, _E.LOOP_OCCUPIED): (_S.RAISING, _NOTHING),
    (_S.RAISING, _E.LOOP_FREE): (_S.RAISING, _NOTHING),
    (_S.RAISING, _E.TIMEOUT): (_S.FAILED, (_F.REPORT_FAILED,)),
    (_S.RAISING, _E.FREED): (_S.FREEING, (_F.RAISE,)),
    (_S.RAISING, _E.SECURED): (_S.RAISING, _NOTHING),
    (_S.RAISED, _E.ADMIT): (_S.RAISED, _NOTHING),
    (_S.RAISED, _E.AT_TOP): (_S.RAISED, _NOTHING),
    (_S.RAISED, _E.AT_BOTTOM): (_S.LOWERED, (_F.REPORT_CLOSED,)),
    (_S.RAISED, _E.LEFT_BOTTOM): (_S.RAISED, _NOTHING),
    (_S.RAISED, _E.LOOP_OCCUPIED): (_S.PASSING, _NOTHING),
    (_S.RAISED, _E.LOOP_FREE): (_S.CLEARED, _NOTHING),
    (_S.RAISED, _E.TIMEOUT): (_S.LOWERING, _NOTHING),
    (_S.RAISED, _E.FREED): (_S.FREE, _NOTHING),
    (_S.RAISED, _E.SECURED): (_S.RAISED, _NOTHING),
    (_S.PASSING, _E.ADMIT): (_S.PASSING, _NOTHING),
    (_S.PASSING, _E.AT_TOP): (_S.PASSING, _NOTHING),
    (_S.PASSING, _E.AT_BOTTOM): (_S.LOWERED, (_F.REPORT_CLOSED,)),
    (_S.PASSING, _E.LEFT_BOTTOM): (_S.PASSING, _NOTHING),
    (_S.PASSING, _E.LOOP_OCCUPIED): (_S.PASSING, _NOTHING),
    (_S.PASSING, _E.LOOP_FREE): (_S.CLEARED, _NOTHING),
    (_S.PASSING, _E.TIMEOUT): (_S.PASSING, _NOTHING),
    (_S.PASSING, _E.FREED): (_S.FREE, _NOTHING),
    (_S.PASSING, _E.SECURED): (_S.PASSING, _NOTHING),
    (_S.CLEARED, _E.ADMIT): (_S.RAISED, _NOTHING),
    (_S.CLEARED, _E.AT_TOP): (_S.CLEARED, _NOTHING),
    (_S.CLEARED, _E.AT_BOTTOM): (_S.LOWERED, (_F.REPORT_CLOSED,)),
    (_S.CLEARED, _E.LEFT_BOTTOM): (_S.CLEARED, _NOTHING),
    (_S.CLEARED, _E.LOOP_OCCUPIED): (_S.PASSING, _NOTHING),
    (_S.CLEARED, _E.LOOP_FREE): (_S.CLEARED, _NOTHING),
    (_S.CLEARED, _E.TIMEOUT): (_S.LOWERING, _NOTHING),
    (_S.CLEARED, _E.FREED): (_S.FREE, _NOTHING),
    (_S.CLEARED, _E.SECURED): (_S.CLEARED, _NOTHING),
    (_S.LOWERING, _E.ADMIT): (_S.RAISING, (_F.RAISE,)),
    (_S.LOWERING, _E.AT_TOP): (_S.LOWERING, _NOTHING),
    (_S.LOWERING, _E.AT_BOTTOM): (_S.LOWERED, (_F.REPORT_CLOSED,)),
    (_S.LOWERING, _E.LEFT_BOTTOM): (_S.LOWERING, _NOTHING),
    (_S.LOWERING, _E.LOOP_OCCUPIED): (_S.RAISING, (_F.RAISE,)),
    (_S.LOWERING, _E.LOOP_FREE): (_S.LOWERING, _NOTHING),
    (_S.LOWERING, _E.TIMEOUT): (_S.FAILED, (_F.REPORT_FAILED,)),
    (_S.LOWERING, _E.FREED): (_S.FREEING, (_F.RAISE,)),
    (_S.LOWERING, _E.SECURED): (_S.LOWERING, _NOTHING),
    (_S.FAILED, _E.ADMIT): (_S.RAISING, (_F.RAISE,)),
    (_S.FAILED, _E.AT_TOP): (_S.RAISED, (_F.REPORT_OPENED,)),
    (_S.FAILED, _E.AT_BOTTOM): (_S.LOWERED, (_F.REPORT_CLOSED,)),
    (_S.FAILED, _E.LEFT_BOTTOM): (_S.FAILED, _NOTHING),
    (_S.FAILED, _E.LOOP_OCCUPIED): (_S.FAILED, _NOTHING),
    (_S.FAILED, _E.LOOP_FREE): (_S.FAILED, _NOTHING),
    (_S.FAILED, _E.TIMEOUT): (_S.FAILED, _NOTHING),
    (_S.FAILED, _E.FREED): (_S.FREEING, (_F.RAISE,)),
    (_S.FAILED, _E.SECURED): (_S.FAILED, _NOTHING),
    (_S.FREEING, _E.ADMIT): (_S.FREEING, _NOTHING),
    (_S.FREEING, _E.AT_TOP): (_S.FREE, (_F.REPORT_OPENED,)),
    (_S.FREEING, _E.AT_BOTTOM): (_S.FREEING, _NOTHING),
    (_S.FREEING, _E.LEFT_BOTTOM): (_S.FREEING, _NOTHING),
    (_S.FREEING, _E.LOOP_OCCUPIED): (_S.FREEING, _NOTHING),
    (_S.FREEING, _E.LOOP_FREE): (_S.FREEING, _NOTHING),
    (_S.FREEING, _E.TIMEOUT): (_S.STUCK, (_F.RAISE, _F.REPORT_FAILED)),
    (_S.FREEING, _E.FREED): (_S.FREEING, _NOTHING),
    (_S.FREEING, _E.SECURED): (_S.RAISING, _NOTHING),
    (_S.FREE, _E.ADMIT): (_S.FREE, _NOTHING),
    (_S.FREE, _E.AT_TOP): (_S.FREE, _NOTHING),
    (_S.FREE, _E.AT_BOTTOM): (_S.FREEING, (_F.RAISE, _F.REPORT_CLOSED)),
    (_S.FREE, _E.LEFT_BOTTOM): (_S.FREE, _NOTHING),
    (_S.FREE, _E.LOOP_OCCUPIED): (_S.FREE, _NOTHING),
    (_S.FREE, _E.LOOP_FREE): (_S.FREE, _NOTHING),
    (_S.FREE, _E.TIMEOUT): (_S.FREE, _NOTHING),
    (_S.FREE, _E.FREED): (_S.FREE, _NOTHING),
    (_S.FREE, _E.SECURED): (_S.RAISED, _NOTHING),
    (_S.STUCK, _E.ADMIT): (_S.STUCK, _NOTHING),
    (_S.STUCK, _E.AT_TOP): (_S.FREE, (_F.REPORT_OPENED,)),
    (_S.STUCK, _E.AT_BOTTOM): (_S.STUCK, _NOTHING),
    (_S.STUCK, _E.LEFT_BOTTOM): (_S.STUCK, _NOTHING),
    (_S.STUCK, _E.LOOP_OCCUPIED): (_S.STUCK, _NOTHING),
    (_S.STUCK, _E.LOOP_FREE): (_S.STUCK, _NOTHING),
    (_S.STUCK, _E.TIMEOUT): (_S.STUCK, (_F.RAISE,)),
    (_S.STUCK, _E.FREED): (_S.STUCK, _NOTHING),
    (_S.STUCK, _E.SECURED): (_S.FAILED, _NOTHING),
}


@dataclass(frozen=True, slots=True)
class BarrierTimes:
    """Longest travel, wait after the loop is free, and wait for a vehicle that never comes, ms."""

    travel_ms: int
    lower_after_ms: int
    no_passage_ms: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """A barrier now; times are on the monotonic clock that `step` is given."""

    state: BarrierState = BarrierState.UNKNOWN
    since_ms: int = 0
    deadline_ms: int | None = None
    loop_occupied: bool = False
    next_admitted: bool = False  # another vehicle was admitted while one was passing

    @property
    def lower_held(self) -> bool:
        """Whether the lower signal is on. Off whenever the loop is occupied, whatever the state says."""
        return self.state is BarrierState.LOWERING and not self.loop_occupied


def step(
    barrier: Barrier, event: BarrierEvent, times: BarrierTimes, now_ms: int
) -> tuple[Barrier, tuple[BarrierEffect, ...]]:
    """Apply one event. A TIMEOUT before the deadline changes nothing."""
    if event is BarrierEvent.TIMEOUT and (barrier.deadline_ms is None or now_ms < barrier.deadline_ms):
        return barrier, _NOTHING
    occupied = {BarrierEvent.LOOP_OCCUPIED: True, BarrierEvent.LOOP_FREE: False}.get(event, barrier.loop_occupied)
    state, effects = TABLE[barrier.state, event]
    next_admitted = barrier.next_admitted or (event is BarrierEvent.ADMIT and barrier.state is BarrierState.PASSING)
    if state is BarrierState.RAISED and occupied:  # the vehicle already stands on the loop when the arm is up
        state = BarrierState.PASSING
    if state is BarrierState.CLEARED and next_admitted:  # the next vehicle has its own time to drive through
        state = BarrierState.RAISED
    if state is not BarrierState.PASSING:
        next_admitted = False
    renewed = (event is BarrierEvent.ADMIT and state is BarrierState.RAISED) or (
        event is BarrierEvent.TIMEOUT and state is BarrierState.STUCK
    )
    if state is barrier.state and not renewed:
        deadline = None if event is BarrierEvent.TIMEOUT else barrier.deadline_ms
        return Barrier(state, barrier.since_ms, deadline, occupied, next_admitted), effects
    after = {
        BarrierState.RAISING: times.travel_ms,
        BarrierState.FREEING: times.travel_ms,
        BarrierState.STUCK: times.travel_ms,
        BarrierState.RAISED: times.no_passage_ms,
        BarrierState.CLEARED: times.lower_after_ms,
        BarrierState.LOWERING: times.travel_ms,
    }.get(state)
    return Barrier(state, now_ms, None if after is None else now_ms + after, occupied, next_admitted), effects
