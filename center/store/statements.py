"""What the store asks of a database: a small SQL surface that SQLite and PostgreSQL both have.

Statements are written once, with `?` for values, in the SQL that both understand. What differs (how many rows go in at
once, how old ones go away) is a method of `Database`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

DAY_MS = 86_400_000

# One event as it goes into the table: row, epoch_id, seq, time_ms, received_ms, clock_certain, simulated, type,
# severity, subject, data (JSON text), address, grid.
EventRow = tuple[int, int, int, int, int, bool, bool, str, int, str, str, str | None, str | None]
EVENT_COLUMNS = (
    "row, epoch_id, seq, time_ms, received_ms, clock_certain, simulated, type, severity, subject, data, address, grid"
)


class Statements(Protocol):
    """One transaction."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query answers."""
        ...

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Carry out one statement; how many rows it changed."""
        ...

    def many(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Carry out one statement for each entry."""
        ...


@dataclass(slots=True)
class Removed:
    """What retention took away: events by UTC day of receipt ("2026-01-31")."""

    days: dict[str, int] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """How many in all."""
        return sum(self.days.values())


class Database(Protocol):
    """Where the store is. One thread at a time; every method raises StoreError with one sentence."""

    @property
    def place(self) -> str:
        """What errors call it: the file, or the server and database; no password."""
        ...

    @property
    def generation(self) -> int:
        """Rises whenever the connection was made anew: what was remembered may then be old."""
        ...

    def writing(self) -> AbstractContextManager[Statements]:
        """A transaction that is committed, durably, at the end of the block, and undone where the block raises."""
        ...

    def reading(self) -> AbstractContextManager[Statements]:
        """A snapshot that cannot write. May be used by several threads at once, each with its own."""
        ...

    def insert_events(self, statements: Statements, rows: Sequence[EventRow]) -> int:
        """Put new events in; how many were really new."""
        ...

    def held_before(self, before_ms: int) -> Removed:
        """What `remove_before` would take away."""
        ...

    def remove_before(self, before_ms: int, at_ms: int) -> Removed:
        """Remove events received before this moment (a UTC midnight) and record it, in bounded steps."""
        ...

    def size_bytes(self) -> int:
        """What the store takes on disk."""
        ...

    def claim(self) -> None:
        """Become the one writer, until `close` or the end of the process. Raises StoreError where there is one."""
        ...

    def close(self) -> None:
        """Close all connections and give the claim back."""
        ...
