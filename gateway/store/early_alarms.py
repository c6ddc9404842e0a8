"""Alarms that must leave while nothing can be stored: their identity, kept for ever, until the center has them.

A number of the journal's epoch is given by a durable commit and by nothing else: a number given in memory would be
given again after kill -9, to something else. So what leaves early is numbered in a memory epoch, random and of one run.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence

from center.contract.catalogue import Event, Severity
from gateway.store.journal_rows import RANK, decode
from gateway.store.memory_ring import MAX_EARLY, MemoryRow

_ALARM = RANK[Severity.ALARM]


class EarlyAlarms:
    """Unacknowledged ones only, of this run's memory epoch and of earlier ones."""

    def __init__(self) -> None:
        self._unacked: dict[str, dict[int, Event]] = {}
        self._epoch = ""
        self._last_seq = 0

    @property
    def epoch(self) -> str:
        """The memory epoch of this run, made when it is first needed."""
        if not self._epoch:
            self._epoch = secrets.token_hex(8)
        return self._epoch

    def found(self, stored: dict[str, dict[int, Event]]) -> None:
        """What was stored with its early identity and the center has not acknowledged, or has lost."""
        for epoch, events in stored.items():
            self._unacked.setdefault(epoch, {}).update(events)

    def take(self, rows: Iterable[MemoryRow], storing: Collection[int]) -> Sequence[tuple[str, Sequence[Event]]]:
        """Give the alarms among `rows` an identity, apart from those (by id()) that are being stored; then all."""
        waiting = len(self._unacked.get(self._epoch, {}))
        for row in rows:
            if waiting >= MAX_EARLY:
                break
            if row.severity < _ALARM or row.early_seq or id(row) in storing:
                continue
            self._last_seq += 1
            waiting += 1
            row.early_seq = self._last_seq
            event = Event(row.early_seq, row.time_ms, row.clock_certain, decode(row.data))
            self._unacked.setdefault(self.epoch, {})[row.early_seq] = event
        return [(epoch, [events[seq] for seq in sorted(events)]) for epoch, events in self._unacked.items() if events]

    def acknowledge(self, epoch: str, upto: int) -> bool:
        """The center has these; False where none was waiting."""
        events = self._unacked.get(epoch, {})
        gone = [seq for seq in events if seq <= upto]
        for seq in gone:
            del events[seq]
        return bool(gone)

    def acknowledged(self, seq: int) -> bool:
        """Whether the center has this number of this run's memory epoch."""
        return seq not in self._unacked.get(self.epoch, {})
