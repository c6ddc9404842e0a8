"""What the gateway's rooms ask of each other, as protocols. `app.py` plugs the real ones together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from center.contract.catalogue import AnyEventData, Event
from gateway.model import Command


class Clock(Protocol):
    """The only source of time. `certain` is False until the clock is known to be right."""

    @property
    def certain(self) -> bool: ...

    def now_ms(self) -> int:
        """Unix milliseconds, never below the newest stored time."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never jump; for time-outs only."""
        ...

    def local(self) -> datetime:
        """The same instant as `now_ms` as an aware datetime in the site's time zone."""
        ...


class Outbox(Protocol):
    """The journal as the uplink sees it. Numbers are contiguous within one epoch, from 1."""

    @property
    def epoch(self) -> str: ...

    @property
    def last_seq(self) -> int: ...

    @property
    def acked_upto(self) -> int: ...

    @property
    def committed(self) -> asyncio.Event:
        """Set at every commit; the reader clears it before it looks."""
        ...

    async def read(self, first: int, last: int, limit: int) -> list[Event]:
        """Events first..last inclusive in order, at most `limit`; those that are gone are absent. Raises StoreError
        where the disk cannot be read now: that does not mean that they are gone."""
        ...

    async def acknowledge(self, upto: int) -> None:
        """The center has stored everything up to and including `upto`. Never moves backwards, never raises."""
        ...

    @property
    def first_seq(self) -> int:
        """The lowest number that was ever meant for the center: 1, or where a site joined a center later."""
        ...

    async def report_lost(self, ranges: Sequence[tuple[int, int]], reason: str, *, again: bool = False) -> None:
        """Record OutboxLost for those of these numbers that are not here any more and were not reported yet, or with
        `again` whether they were or not. Raises StoreError."""
        ...

    async def begin_epoch(self) -> None:
        """The center has more of this epoch than was made here: an older copy of the store was put back. What is not
        acknowledged, and all that follows, is of a new epoch. Raises StoreError."""
        ...

    def early(self) -> Sequence[tuple[str, Sequence[Event]]]:
        """Alarms that cannot be stored now, unacknowledged, as (memory epoch, events ascending), for up/alarm.

        Fixes their identity: to be called only when they are about to be published.
        """
        ...

    def offer_early_again(self) -> None:
        """The center has forgotten what it had: what left early is offered again as soon as it asks for old numbers."""
        ...

    async def acknowledge_early(self, epoch: str, upto: int) -> None:
        """The center has stored these numbers of a memory epoch."""
        ...


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One fact to be recorded. `holder` (an id) and `plate` (text) stay in the site's journal, out of the event."""

    data: AnyEventData
    holder: str | None = None
    plate: str | None = None


class Recorder(Protocol):
    """The journal as the rooms that decide see it."""

    async def record(
        self, entries: Sequence[NewEntry], *, late_ok: bool = False, keep: Mapping[str, str | None] | None = None
    ) -> None:
        """Return once all entries are durably committed, in order, in one commit, with the kept values of `keep`.

        Raises StoreError where that cannot be; then none of them is stored. With `late_ok` it never does: what cannot
        be stored now waits in memory, bounded, and is stored with `recorded_late` when the disk is well again.
        """
        ...

    async def keep(self, key: str, value: str | None) -> None:
        """Remember `value` over a restart (None: forget). Raises StoreError where it is not durable yet; it is
        remembered all the same, and written when the disk is well again."""
        ...

    @property
    def kept(self) -> dict[str, str]:
        """The newest value of each key."""
        ...


class Actuator(Protocol):
    """Something that can be told to do a thing, e.g. one OSDP device."""

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """Return once the device has acknowledged. Raises DriverError (offline, refused, timed out)."""
        ...
