"""How long events are kept: whole UTC days since they were received. What went is recorded; its numbers stay known.

A clock that jumps ahead would make every event old at once. So the clock is believed only where events went on being
received under it: one must have come between one and three days ago, or there is none older than that.
"""

from __future__ import annotations

from dataclasses import dataclass

from center.errors import ClockDoubtedError
from center.store.statements import DAY_MS, Database, Statements

STEADY_FROM_MS, STEADY_UPTO_MS = 3 * DAY_MS, DAY_MS  # before now: how the clock is checked


@dataclass(frozen=True, slots=True)
class Report:
    """What was (or would be) removed.

    days: events by UTC day of receipt. undelivered: endpoint -> events among them that its webhook had not come to.
    dead_letters: dead letters older than the limit, which go too.
    """

    before_ms: int
    events: int
    days: dict[str, int]
    undelivered: dict[str, int]
    dead_letters: int


def limit_ms(now_ms: int, days: int) -> int:
    """The UTC midnight before which events go: those of today and of `days` whole days before it stay."""
    return now_ms - now_ms % DAY_MS - days * DAY_MS


def look(database: Database, now_ms: int, days: int) -> Report:
    """What `remove` would do now. Raises StoreError."""
    before_ms = limit_ms(now_ms, days)
    held = database.held_before(before_ms)
    with database.reading() as read:
        dead = read.rows("SELECT count(*) FROM dead_letter WHERE made_ms < ?", (before_ms,))[0][0]
        undelivered = _undelivered(read, before_ms)
    return Report(before_ms, held.events, held.days, undelivered, dead)


def remove(database: Database, now_ms: int, days: int, *, trust_clock: bool = False) -> Report:
    """Remove what is older, in bounded steps beside a running writer. Raises StoreError; done steps stay done.

    Raises ClockDoubtedError where `now_ms` may be wrong, unless a person says that it is right (trust_clock).
    """
    before_ms = limit_ms(now_ms, days)
    with database.reading() as read:
        if not trust_clock:
            _check_clock(read, now_ms)
        undelivered = _undelivered(read, before_ms)
    removed = database.remove_before(before_ms, now_ms)
    with database.writing() as write:
        write.many(
            "UPDATE webhook SET removed = removed + ? WHERE endpoint = ?",
            [(count, endpoint) for endpoint, count in undelivered.items()],
        )
        dead = write.run("DELETE FROM dead_letter WHERE made_ms < ?", (before_ms,))
    return Report(before_ms, removed.events, removed.days, undelivered, dead)


def _check_clock(read: Statements, now_ms: int) -> None:
    found = read.rows(
        "SELECT received_ms FROM event WHERE received_ms <= ? ORDER BY row DESC LIMIT 1", (now_ms - STEADY_UPTO_MS,)
    )
    if found and found[0][0] < now_ms - STEADY_FROM_MS:
        days = (now_ms - found[0][0]) // DAY_MS
        raise ClockDoubtedError(
            f"nothing was removed: the events before those of today were received {days} days ago, so this machine's"
            " clock may be wrong; check it (`zhian center retention --trust-clock` removes all the same)"
        )


def _undelivered(read: Statements, before_ms: int) -> dict[str, int]:
    found = read.rows(
        "SELECT w.endpoint, count(*) FROM webhook w JOIN event e ON e.row > w.upto_row WHERE e.received_ms < ?"
        " GROUP BY w.endpoint ORDER BY w.endpoint",
        (before_ms,),
    )
    return dict(found)
