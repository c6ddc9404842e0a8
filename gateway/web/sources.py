"""Where the pages' data comes from, as protocols, and one look at all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from gateway.errors import OperationsUnavailableError, StoreError
from gateway.model import PortalStatus, SiteStatus
from gateway.store.reading import RecordedEvent


class StatusClient(Protocol):
    """gateway.operations.client.OperationsClient."""

    async def status(self) -> SiteStatus:
        """Raises OperationsUnavailableError."""
        ...

    async def open_portal(self, portal: str, operator: str) -> None:
        """Raises OperationRefusedError, OperationsUnavailableError."""
        ...


class Reading(Protocol):
    """gateway.store.reading.JournalReading. Blocking: called in a thread."""

    def newest(
        self,
        *,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        portal: str | None = None,
    ) -> Sequence[RecordedEvent]:
        """Newest first. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What the pages know of the site without core: from gateway.toml. portals: name -> label."""

    district: str
    site: str
    gateway: str
    label: Mapping[str, str]
    simulated: bool
    zone: ZoneInfo
    portals: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Look:
    """The site at one moment. `status` is None while core is away; `newest_seq` while the journal cannot be read."""

    status: SiteStatus | None
    newest_seq: int | None

    @property
    def portals(self) -> tuple[PortalStatus, ...]:
        """The portals as core tells them."""
        return () if self.status is None else self.status.portals


async def look(client: StatusClient, reading: Reading) -> Look:
    """Ask core and the journal. Neither being away is an error here: the page shows it."""
    try:
        status = await client.status()
    except OperationsUnavailableError:
        status = None
    newest = await events(reading, limit=1)
    return Look(status, None if newest is None else (newest[0].seq if newest else 0))


async def events(
    reading: Reading,
    *,
    limit: int,
    before_seq: int | None = None,
    after_seq: int | None = None,
    portal: str | None = None,
) -> list[RecordedEvent] | None:
    """Events newest first, or None while the journal cannot be read."""
    try:
        found = await asyncio.to_thread(
            reading.newest, limit=limit, before_seq=before_seq, after_seq=after_seq, portal=portal
        )
    except StoreError:
        return None
    return sorted(found, key=lambda event: event.seq, reverse=True)
