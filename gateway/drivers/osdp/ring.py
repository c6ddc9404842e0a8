"""The newest bytes of a line, kept in memory for whoever asks what was said. What is encrypted stays encrypted."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MAX_RECORDS = 8192
MAX_BYTES = 256 * 1024


class Heard(NamedTuple):
    """Bytes as they were written or read: Unix nanoseconds, whether the panel sent them, the bytes."""

    time_ns: int
    from_panel: bool
    data: bytes


class Ring:
    """Bounded: the oldest goes first. `lost` counts what has gone."""

    def __init__(self, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        self._records: deque[Heard] = deque()
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._bytes = 0
        self.lost = 0

    def add(self, time_ns: int, from_panel: bool, data: bytes) -> None:
        """One write or one read."""
        self._records.append(Heard(time_ns, from_panel, data))
        self._bytes += len(data)
        while len(self._records) > self._max_records or self._bytes > self._max_bytes:
            self._bytes -= len(self._records.popleft().data)
            self.lost += 1

    def newest(self, count: int = MAX_RECORDS) -> list[Heard]:
        """The newest `count` records, oldest first."""
        records = list(self._records)
        return records[-count:] if count > 0 else []
