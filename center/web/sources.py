"""Where the page's data comes from, as a protocol, and one look at all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from center.errors import StoreError
from center.store.reading import Counts, EpochRow, GatewayRow, StoredEvent
from center.store.search import Search


class Reading(Protocol):
    """center.store.reading.EventReading. Blocking: called in a thread. Every method raises StoreError."""

    def newest(
        self,
        *,
        limit: int = 50,
        before_row: int | None = None,
        after_row: int | None = None,
        gateway: str | None = None,
        severity_at_least: str | None = None,
    ) -> Sequence[StoredEvent]:
        """Newest first."""
        ...

    def search(
        self,
        search: Search,
        *,
        limit: int = 50,
        before_row: int | None = None,
        after_row: int | None = None,
        oldest_first: bool = False,
    ) -> Sequence[StoredEvent]:
        """In the order of storing, or against it. Raises SearchError, too."""
        ...

    def run_of(self, row: int) -> int:
        """The run of ingest that gave this row its number."""
        ...

    def every(self, search: Search, limit: int) -> Iterator[StoredEvent]:
        """Oldest first, read a piece at a time."""
        ...

    def coverage(self, *, incomplete: bool = False) -> Sequence[EpochRow]:
        """Every epoch of every gateway."""
        ...

    def gateways(self) -> Sequence[GatewayRow]:
        """Every gateway ever seen."""
        ...

    def counts(self) -> Counts:
        """Totals."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the events is asked for; None = all of it."""

    gateway: str | None = None
    severity_at_least: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The center at one moment. `readable` is False while the store cannot be read; then the rest is empty."""

    readable: bool
    gateways: tuple[GatewayRow, ...] = ()
    counts: Counts | None = None
    newest_row: int = 0


async def look(reading: Reading) -> Look:
    """Ask the store. That it is not there yet is no error here: the page shows it."""

    def ask() -> Look:
        newest = reading.newest(limit=1)
        return Look(True, tuple(reading.gateways()), reading.counts(), newest[0].row if newest else 0)

    try:
        return await asyncio.to_thread(ask)
    except StoreError:
        return Look(False)


async def events(
    reading: Reading, asked: Filter, *, limit: int, before_row: int | None = None, after_row: int | None = None
) -> list[StoredEvent] | None:
    """Events newest first, or None while the store cannot be read."""
    try:
        found = await asyncio.to_thread(
            reading.newest,
            limit=limit,
            before_row=before_row,
            after_row=after_row,
            gateway=asked.gateway,
            severity_at_least=asked.severity_at_least,
        )
    except StoreError:
        return None
    return sorted(found, key=lambda event: event.row, reverse=True)
