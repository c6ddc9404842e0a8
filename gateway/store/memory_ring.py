"""What is kept in memory while the disk cannot be written: bounded, the least important dropped first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

MAX_ROWS = 2_000  # about 1 MB; an evening of a large site
MAX_EARLY = 256  # alarms that may leave under a memory epoch while nothing can be stored


@dataclass(slots=True, eq=False)
class MemoryRow:
    """One row of the journal that has no number yet."""

    time_ms: int
    clock_certain: bool
    type: str
    portal: str | None
    data: bytes
    holder: str | None
    plate: str | None
    severity: int
    early_seq: int = 0  # set once it has left under the memory epoch; never changed again
    early_acked: bool = False  # the center has it


class MemoryRing:
    """Rows in the order they were made. What has left and is not acknowledged is never dropped (at most MAX_EARLY)."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._rows: list[MemoryRow] = []
        self.overflowed = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> tuple[MemoryRow, ...]:
        """All, oldest first."""
        return tuple(self._rows)

    def add(self, rows: Iterable[MemoryRow], *, older: bool = False) -> None:
        """Keep these, behind the others or (`older`) before them. Where there is no room what the center has goes
        first, then the least severe and oldest; it is counted."""
        self._rows = [*rows, *self._rows] if older else [*self._rows, *rows]
        over = len(self._rows) - self._max_rows
        if over > 0:
            droppable = (
                (-1 if row.early_acked else row.severity, i)
                for i, row in enumerate(self._rows)
                if row.early_acked or not row.early_seq
            )
            gone = {i for _, i in heapq.nsmallest(over, droppable)}
            self._rows = [row for i, row in enumerate(self._rows) if i not in gone]
            self.overflowed += len(gone)

    def remove(self, rows: Iterable[MemoryRow]) -> None:
        """These are stored now."""
        gone = {id(row) for row in rows}
        self._rows = [row for row in self._rows if id(row) not in gone]
