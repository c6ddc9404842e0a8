"""A lift's car panel as a table: after a grant some floors can be selected for a while. Pure.

The lift itself belongs to its own controller, and so does what it does in a fire. Here, in a fire, every floor relay
goes back to rest, which is wired as "the controller's own default": this gateway then neither enables nor blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LiftState(StrEnum):
    """What the car panel allows."""

    RESTRICTED = "restricted"  # only floors that need no permission
    SELECTABLE = "selectable"  # the granted floors, until the deadline
    FREE = "free"  # every floor, without a grant
    DEFAULT = "default"  # fire: all relays at rest, the lift's own controller decides


class LiftEvent(StrEnum):
    """What can happen to a lift."""

    GRANT = "grant"
    TIMEOUT = "timeout"
    FREED = "freed"  # emergency open or an unlock schedule
    RESTRICTED_AGAIN = "restricted-again"
    FIRE = "fire"
    FIRE_RESET = "fire-reset"


_S, _E = LiftState, LiftEvent

# (state, event) -> next state. After a reset the caller asks the portal's mode whether it is free.
TABLE: dict[tuple[LiftState, LiftEvent], LiftState] = {
    (_S.RESTRICTED, _E.GRANT): _S.SELECTABLE,
    (_S.RESTRICTED, _E.TIMEOUT): _S.RESTRICTED,
    (_S.RESTRICTED, _E.FREED): _S.FREE,
    (_S.RESTRICTED, _E.RESTRICTED_AGAIN): _S.RESTRICTED,
    (_S.RESTRICTED, _E.FIRE): _S.DEFAULT,
    (_S.RESTRICTED, _E.FIRE_RESET): _S.RESTRICTED,
    (_S.SELECTABLE, _E.GRANT): _S.SELECTABLE,
    (_S.SELECTABLE, _E.TIMEOUT): _S.RESTRICTED,
    (_S.SELECTABLE, _E.FREED): _S.FREE,
    (_S.SELECTABLE, _E.RESTRICTED_AGAIN): _S.SELECTABLE,
    (_S.SELECTABLE, _E.FIRE): _S.DEFAULT,
    (_S.SELECTABLE, _E.FIRE_RESET): _S.SELECTABLE,
    (_S.FREE, _E.GRANT): _S.FREE,
    (_S.FREE, _E.TIMEOUT): _S.FREE,
    (_S.FREE, _E.FREED): _S.FREE,
    (_S.FREE, _E.RESTRICTED_AGAIN): _S.RESTRICTED,
    (_S.FREE, _E.FIRE): _S.DEFAULT,
    (_S.FREE, _E.FIRE_RESET): _S.FREE,
    (_S.DEFAULT, _E.GRANT): _S.DEFAULT,
    (_S.DEFAULT, _E.TIMEOUT): _S.DEFAULT,
    (_S.DEFAULT, _E.FREED): _S.DEFAULT,
    (_S.DEFAULT, _E.RESTRICTED_AGAIN): _S.DEFAULT,
    (_S.DEFAULT, _E.FIRE): _S.DEFAULT,
    (_S.DEFAULT, _E.FIRE_RESET): _S.RESTRICTED,
}


@dataclass(frozen=True, slots=True)
class Lift:
    """A car panel now. `floors`: those that can be selected; meaningful in SELECTABLE."""

    state: LiftState = LiftState.RESTRICTED
    since_ms: int = 0
    deadline_ms: int | None = None
    floors: frozenset[str] = frozenset()

    def enabled(self, every: frozenset[str]) -> frozenset[str]:
        """Whose relays are driven, of `every` floor that has one."""
        if self.state is LiftState.FREE:
            return every
        return self.floors & every if self.state is LiftState.SELECTABLE else frozenset()


def step(lift: Lift, event: LiftEvent, select_ms: int, now_ms: int, floors: frozenset[str] = frozenset()) -> Lift:
    """Apply one event. A further grant adds its `floors` and renews the time for all; a TIMEOUT before the deadline
    changes nothing."""
    if event is LiftEvent.TIMEOUT and (lift.deadline_ms is None or now_ms < lift.deadline_ms):
        return lift
    state = TABLE[lift.state, event]
    since_ms = lift.since_ms if state is lift.state else now_ms
    if state is not LiftState.SELECTABLE:
        return Lift(state, since_ms)
    if event is LiftEvent.GRANT:
        return Lift(state, since_ms, now_ms + select_ms, lift.floors | floors)
    return Lift(state, since_ms, lift.deadline_ms, lift.floors)
