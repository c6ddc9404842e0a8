"""What the gateway's rooms ask of each other, as protocols. `app.py` plugs the real ones together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
        """Events first..last inclusive in order, at most `limit`; [] beyond the end."""
        ...

    async def acknowledge(self, upto: int) -> None:
        """The center has stored everything up to and including `upto`. Never moves backwards."""
        ...


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One fact to be recorded. `holder` (an id) and `plate` (text) stay in the site's journal, out of the event."""

    data: AnyEventData
    holder: str | None = None
    plate: str | None = None


class Recorder(Protocol):
    """The journal as the rooms that decide see it."""

    async def record(self, entries: Sequence[NewEntry]) -> None:
        """Return once all entries are durably committed, in order, in one commit. Raises StoreError."""
        ...


class Actuator(Protocol):
    """Something that can be told to do a thing, e.g. one OSDP device."""

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """Return once the device has acknowledged. Raises DriverError (offline, refused, timed out)."""
        ...
