"""A turnstile as a table: one passage for one grant, in the direction that was granted. Pure.

The arms turn freely in a direction only while that direction is enabled. Fire, emergency open and an unlock schedule
free both directions (and drop the arms where the model can).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class TurnstileState(StrEnum):
    """What the arms may do."""

    BLOCKED = "blocked"
    ENTERING = "entering"  # one passage inwards is due until the deadline
    LEAVING = "leaving"  # one passage outwards is due until the deadline
    FREE = "free"  # both ways, without a grant


class TurnstileEvent(StrEnum):
    """What can happen to a turnstile."""

    GRANT_IN = "grant-in"
    GRANT_OUT = "grant-out"
    TURNED_IN = "turned-in"  # the arms went round once, inwards
    TURNED_OUT = "turned-out"
    JUMPED = "jumped"  # the light barrier saw somebody and the arms did not turn
    TIMEOUT = "timeout"
    FREED = "freed"
    BLOCKED_AGAIN = "blocked-again"


class TurnstileReport(StrEnum):
    """What is worth an event."""

    PASSED = "passed"
    NOT_PASSED = "not-passed"  # the time ran out, nobody went through
    FORCED = "forced"  # turned or jumped without a grant for that direction


_S, _E, _R = TurnstileState, TurnstileEvent, TurnstileReport

# (state, event) -> (next state, report). Where more grants wait, `step` goes on to the next one instead of BLOCKED.
TABLE: dict[tuple[TurnstileState, TurnstileEvent], tuple[TurnstileState, TurnstileReport | None]] = {
    (_S.BLOCKED, _E.GRANT_IN): (_S.ENTERING, None),
    (_S.BLOCKED, _E.GRANT_OUT): (_S.LEAVING, None),
    (_S.BLOCKED, _E.TURNED_IN): (_S.BLOCKED, _R.FORCED),
    (_S.BLOCKED, _E.TURNED_OUT): (_S.BLOCKED, _R.FORCED),
    (_S.BLOCKED, _E.JUMPED): (_S.BLOCKED, _R.FORCED),
    (_S.BLOCKED, _E.TIMEOUT): (_S.BLOCKED, None),
    (_S.BLOCKED, _E.FREED): (_S.FREE, None),
    (_S.BLOCKED, _E.BLOCKED_AGAIN): (_S.BLOCKED, None),
    (_S.ENTERING, _E.GRANT_IN): (_S.ENTERING, None),  # a further one waits its turn
    (_S.ENTERING, _E.GRANT_OUT): (_S.ENTERING, None),
    (_S.ENTERING, _E.TURNED_IN): (_S.BLOCKED, _R.PASSED),
    (_S.ENTERING, _E.TURNED_OUT): (_S.ENTERING, _R.FORCED),
    (_S.ENTERING, _E.JUMPED): (_S.ENTERING, _R.FORCED),
    (_S.ENTERING, _E.TIMEOUT): (_S.BLOCKED, _R.NOT_PASSED),
    (_S.ENTERING, _E.FREED): (_S.FREE, None),
    (_S.ENTERING, _E.BLOCKED_AGAIN): (_S.ENTERING, None),
    (_S.LEAVING, _E.GRANT_IN): (_S.LEAVING, None),
    (_S.LEAVING, _E.GRANT_OUT): (_S.LEAVING, None),
    (_S.LEAVING, _E.TURNED_IN): (_S.LEAVING, _R.FORCED),
    (_S.LEAVING, _E.TURNED_OUT): (_S.BLOCKED, _R.PASSED),
    (_S.LEAVING, _E.JUMPED): (_S.LEAVING, _R.FORCED),
    (_S.LEAVING, _E.TIMEOUT): (_S.BLOCKED, _R.NOT_PASSED),
    (_S.LEAVING, _E.FREED): (_S.FREE, None),
    (_S.LEAVING, _E.BLOCKED_AGAIN): (_S.LEAVING, None),
    (_S.FREE, _E.GRANT_IN): (_S.FREE, None),
    (_S.FREE, _E.GRANT_OUT): (_S.FREE, None),
    (_S.FREE, _E.TURNED_IN): (_S.FREE, _R.PASSED),
    (_S.FREE, _E.TURNED_OUT): (_S.FREE, _R.PASSED),
    (_S.FREE, _E.JUMPED): (_S.FREE, None),  # whoever flees may jump
    (_S.FREE, _E.TIMEOUT): (_S.FREE, None),
    (_S.FREE, _E.FREED): (_S.FREE, None),
    (_S.FREE, _E.BLOCKED_AGAIN): (_S.BLOCKED, None),
}

MAX_WAITING = 4  # grants of people who stand in line, each way; a further one is told to wait


@dataclass(frozen=True, slots=True)
class Turnstile:
    """A turnstile now; times are on the monotonic clock that `step` is given. `waiting`: directions granted and not yet
    begun, in order."""

    state: TurnstileState = TurnstileState.BLOCKED
    since_ms: int = 0
    deadline_ms: int | None = None
    waiting: tuple[TurnstileState, ...] = ()

    def room(self, direction: TurnstileState) -> bool:
        """Whether another grant for `direction` can be taken. Who comes in takes no room from who leaves."""
        return self.waiting.count(direction) < MAX_WAITING

    @property
    def is_open(self) -> bool:
        """Whether somebody may pass now; for interlocks."""
        return self.state is not TurnstileState.BLOCKED

    def enabled(self) -> tuple[bool, bool]:
        """Whether the arms may turn inwards, outwards."""
        free = self.state is TurnstileState.FREE
        return (free or self.state is TurnstileState.ENTERING, free or self.state is TurnstileState.LEAVING)


_DIRECTION = {TurnstileEvent.GRANT_IN: TurnstileState.ENTERING, TurnstileEvent.GRANT_OUT: TurnstileState.LEAVING}


def step(
    turnstile: Turnstile, event: TurnstileEvent, passage_ms: int, now_ms: int
) -> tuple[Turnstile, TurnstileReport | None]:
    """Apply one event. `passage_ms`: how long a granted direction stays enabled. A TIMEOUT before the deadline changes
    nothing; a grant beyond MAX_WAITING is not taken (ask `room` first)."""
    if event is TurnstileEvent.TIMEOUT and (turnstile.deadline_ms is None or now_ms < turnstile.deadline_ms):
        return turnstile, None
    state, report = TABLE[turnstile.state, event]
    waiting = turnstile.waiting
    busy = turnstile.state in _DIRECTION.values()
    if event in _DIRECTION and busy and turnstile.room(_DIRECTION[event]):
        waiting = (*waiting, _DIRECTION[event])
    if state is TurnstileState.FREE:
        return Turnstile(state, turnstile.since_ms if turnstile.state is state else now_ms), report
    if busy and state is TurnstileState.BLOCKED and waiting:
        state, waiting = waiting[0], waiting[1:]
    elif state is turnstile.state:
        return Turnstile(state, turnstile.since_ms, turnstile.deadline_ms, waiting), report
    deadline_ms = now_ms + passage_ms if state in _DIRECTION.values() else None
    return Turnstile(state, now_ms, deadline_ms, waiting), report


def without_waiting_in(turnstile: Turnstile) -> Turnstile:
    """Nobody who still waits to come in may: a lockdown has begun. Who is in the arms already ends their passage."""
    return replace(turnstile, waiting=tuple(one for one in turnstile.waiting if one is not TurnstileState.ENTERING))
