"""How long events are kept: whole UTC days since they were received. What went is recorded; its numbers stay known."""

from __future__ import annotations

from dataclasses import dataclass

from center.store.statements import DAY_MS, Database, Statements


@dataclass(frozen=True, slots=True)
class Report:
    """What was (or would be) removed.

    days: events by UTC day of receipt. undelivered: endpoint -> events among them that its webhook had not reached.
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


def remove(database: Database, now_ms: int, days: int) -> Report:
    """Remove what is older, in bounded steps beside a running writer. Raises StoreError; done steps stay done."""
    before_ms = limit_ms(now_ms, days)
    with database.reading() as read:
        undelivered = _undelivered(read, before_ms)
    removed = database.remove_before(before_ms, now_ms)
    with database.writing() as write:
        dead = write.run("DELETE FROM dead_letter WHERE made_ms < ?", (before_ms,))
    return Report(before_ms, removed.events, removed.days, undelivered, dead)


def _undelivered(read: Statements, before_ms: int) -> dict[str, int]:
    found = read.rows(
        "SELECT w.endpoint, count(*) FROM webhook w JOIN event e ON e.row > w.upto_row WHERE e.received_ms < ?"
        " GROUP BY w.endpoint ORDER BY w.endpoint",
        (before_ms,),
    )
    return dict(found)
