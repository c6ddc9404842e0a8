"""A door as a table: every (state, event) has one row. Timers are deadlines in the state; the caller waits.

What the portal is told to be (locked, unlocked, lockdown, emergency open, fire) is another table, `mode.py`; a door
only learns whether it is free for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DoorState(StrEnum):
    """Where a door is."""

    SECURE = "secure"  # closed and locked
    RELEASED = "released"  # closed, may be pulled open until the deadline
    OPEN = "open"  # opened after a release
    HELD = "held"  # open for longer than allowed
    FORCED = "forced"  # opened although nothing released it
    FREE = "free"  # closed, anybody may pull it until the mode ends
    FREE_OPEN = "free-open"  # open while it is free: no time limit


class DoorEvent(StrEnum):
    """What can happen to a door."""

    RELEASE = "release"  # a grant or an operator
    EXIT_REQUEST = "exit-request"  # request-to-exit: leaving is always allowed
    OPENED = "opened"  # contact
    FOUND_OPEN = "found-open"  # contact, first heard of since the device came online: nobody saw it open
    CLOSED = "closed"  # contact
    TIMEOUT = "timeout"  # the state's deadline passed
    FREED = "freed"  # fire, emergency open or an unlock schedule: released until further notice
    SECURED = "secured"  # that has ended


class DoorReport(StrEnum):
    """What is worth an event."""

    OPENED = "opened"
    CLOSED = "closed"
    FORCED = "forced"
    HELD = "held"


_S, _E, _R = DoorState, DoorEvent, DoorReport

# (state, event) -> (next state, report)
TABLE: dict[tuple[DoorState, DoorEvent], tuple[DoorState, DoorReport | None]] = {
    (_S.SECURE, _E.RELEASE): (_S.RELEASED, None),
    (_S.SECURE, _E.EXIT_REQUEST): (_S.RELEASED, None),
    (_S.SECURE, _E.OPENED): (_S.FORCED, _R.FORCED),
    (_S.SECURE, _E.FOUND_OPEN): (_S.OPEN, None),
    (_S.SECURE, _E.CLOSED): (_S.SECURE, None),
    (_S.SECURE, _E.TIMEOUT): (_S.SECURE, None),
    (_S.SECURE, _E.FREED): (_S.FREE, None),
    (_S.SECURE, _E.SECURED): (_S.SECURE, None),
    (_S.RELEASED, _E.RELEASE): (_S.RELEASED, None),
    (_S.RELEASED, _E.EXIT_REQUEST): (_S.RELEASED, None),
    (_S.RELEASED, _E.OPENED): (_S.OPEN, _R.OPENED),
    (_S.RELEASED, _E.FOUND_OPEN): (_S.OPEN, None),
    (_S.RELEASED, _E.CLOSED): (_S.RELEASED, None),
    (_S.RELEASED, _E.TIMEOUT): (_S.SECURE, None),
    (_S.RELEASED, _E.FREED): (_S.FREE, None),
    (_S.RELEASED, _E.SECURED): (_S.RELEASED, None),
    (_S.OPEN, _E.RELEASE): (_S.OPEN, None),
    (_S.OPEN, _E.EXIT_REQUEST): (_S.OPEN, None),
    (_S.OPEN, _E.OPENED): (_S.OPEN, None),
    (_S.OPEN, _E.FOUND_OPEN): (_S.OPEN, None),
    (_S.OPEN, _E.CLOSED): (_S.SECURE, _R.CLOSED),
    (_S.OPEN, _E.TIMEOUT): (_S.HELD, _R.HELD),
    (_S.OPEN, _E.FREED): (_S.FREE_OPEN, None),
    (_S.OPEN, _E.SECURED): (_S.OPEN, None),
    (_S.HELD, _E.RELEASE): (_S.HELD, None),
    (_S.HELD, _E.EXIT_REQUEST): (_S.HELD, None),
    (_S.HELD, _E.OPENED): (_S.HELD, None),
    (_S.HELD, _E.FOUND_OPEN): (_S.HELD, None),
    (_S.HELD, _E.CLOSED): (_S.SECURE, _R.CLOSED),
    (_S.HELD, _E.TIMEOUT): (_S.HELD, None),
    (_S.HELD, _E.FREED): (_S.FREE_OPEN, None),
    (_S.HELD, _E.SECURED): (_S.HELD, None),
    (_S.FORCED, _E.RELEASE): (_S.FORCED, None),
    (_S.FORCED, _E.EXIT_REQUEST): (_S.FORCED, None),
    (_S.FORCED, _E.OPENED): (_S.FORCED, None),
    (_S.FORCED, _E.FOUND_OPEN): (_S.FORCED, None),
    (_S.FORCED, _E.CLOSED): (_S.SECURE, _R.CLOSED),
    (_S.FORCED, _E.TIMEOUT): (_S.FORCED, None),
    (_S.FORCED, _E.FREED): (_S.FREE_OPEN, None),
    (_S.FORCED, _E.SECURED): (_S.FORCED, None),
    (_S.FREE, _E.RELEASE): (_S.FREE, None),
    (_S.FREE, _E.EXIT_REQUEST): (_S.FREE, None),
    (_S.FREE, _E.OPENED): (_S.FREE_OPEN, _R.OPENED),
    (_S.FREE, _E.FOUND_OPEN): (_S.FREE_OPEN, None),
    (_S.FREE, _E.CLOSED): (_S.FREE, None),
    (_S.FREE, _E.TIMEOUT): (_S.FREE, None),
    (_S.FREE, _E.FREED): (_S.FREE, None),
    (_S.FREE, _E.SECURED): (_S.SECURE, None),
    (_S.FREE_OPEN, _E.RELEASE): (_S.FREE_OPEN, None),
    (_S.FREE_OPEN, _E.EXIT_REQUEST): (_S.FREE_OPEN, None),
    (_S.FREE_OPEN, _E.OPENED): (_S.FREE_OPEN, None),
    (_S.FREE_OPEN, _E.FOUND_OPEN): (_S.FREE_OPEN, None),
    (_S.FREE_OPEN, _E.CLOSED): (_S.FREE, _R.CLOSED),
    (_S.FREE_OPEN, _E.TIMEOUT): (_S.FREE_OPEN, None),
    (_S.FREE_OPEN, _E.FREED): (_S.FREE_OPEN, None),
    (_S.FREE_OPEN, _E.SECURED): (_S.OPEN, None),  # its time to close begins now
}


# A door pulled in the last moment of a release is reported later: debounce of the contact (40 ms at our node), the bus
# and its retries. Less than somebody needs to force a door that has just locked.
SHUNT_MS = 500


@dataclass(frozen=True, slots=True)
class DoorTimes:
    """How long a release lasts, how long the door may stay open, how long the node itself releases on leaving; ms."""

    unlock_ms: int
    held_open_ms: int
    exit_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Door:
    """A door now. `since_ms` and the others are on the monotonic clock that `step` is given.

    `released_until_ms`: the lock's pulse runs on after the door has closed, so that a second person may still pull it.
    """

    state: DoorState = DoorState.SECURE
    since_ms: int = 0
    deadline_ms: int | None = None
    released_until_ms: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the leaf is open, as far as is known."""
        return self.state in (DoorState.OPEN, DoorState.HELD, DoorState.FORCED, DoorState.FREE_OPEN)


def step(door: Door, event: DoorEvent, times: DoorTimes, now_ms: int) -> tuple[Door, DoorReport | None]:
    """Apply one event. A repeated release renews the deadline; a TIMEOUT before the deadline changes nothing.

    A door that closes while the lock is still released is released, not yet secure.
    """
    if event is DoorEvent.TIMEOUT and (door.deadline_ms is None or now_ms < door.deadline_ms):
        return door, None
    state, report = TABLE[door.state, event]
    until_ms = door.released_until_ms
    if event is DoorEvent.RELEASE:
        until_ms = max(until_ms, now_ms + times.unlock_ms + SHUNT_MS)
    elif event is DoorEvent.EXIT_REQUEST:
        until_ms = max(until_ms, now_ms + times.exit_ms + SHUNT_MS)
    elif event is DoorEvent.SECURED and door.state in (DoorState.FREE, DoorState.FREE_OPEN):
        until_ms = max(until_ms, now_ms + SHUNT_MS)  # somebody may have pulled it just before
    if event in (DoorEvent.CLOSED, DoorEvent.SECURED) and state is DoorState.SECURE and now_ms < until_ms:
        state = DoorState.RELEASED
    if state is DoorState.RELEASED:
        since_ms = door.since_ms if door.state is state else now_ms
        return Door(state, since_ms, until_ms, until_ms), report
    if state is door.state:
        deadline = None if event is DoorEvent.TIMEOUT else door.deadline_ms
        return Door(state, door.since_ms, deadline, until_ms), report
    held_ms = now_ms + times.held_open_ms if state is DoorState.OPEN else None
    return Door(state, now_ms, held_ms, until_ms), report
