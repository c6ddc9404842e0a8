"""The newest committed rows, so that what was just stored need not be read back from the disk to be sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from center.contract.catalogue import Event
from gateway.store.journal_rows import decode
from gateway.store.memory_ring import MemoryRow

MAX_ROWS = 512  # a few of the uplink's frames; about 200 kB


class Recent:
    """Rows by number, of one epoch. Only what COMMIT has confirmed may be added; what is not here may be on disk."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._rows: dict[int, MemoryRow] = {}  # insertion order is the order of committing
        self.epoch = ""

    def add(self, epoch: str, first: int, rows: Sequence[MemoryRow]) -> None:
        """`rows` were committed with the numbers from `first` on."""
        if epoch != self.epoch:
            self._rows.clear()
            self.epoch = epoch
        known = self._rows
        for seq, row in enumerate(rows, first):
            known[seq] = row
        while len(known) > self._max_rows:
            del known[next(iter(known))]

    def clear(self) -> None:
        """Rows were removed from the disk: what is gone there must not be offered from here."""
        self._rows.clear()

    def events(self, epoch: str, first: int, last: int) -> list[Event] | None:
        """Events first..last in order; None where one of them is not here (then the disk knows)."""
        if epoch != self.epoch or last - first >= self._max_rows:
            return None
        found = [self._rows.get(seq) for seq in range(first, last + 1)]
        if not found or None in found:
            return None
        return [
            Event(seq, row.time_ms, row.clock_certain, decode(row.data))
            for seq, row in enumerate(found, first)
            if row is not None
        ]
