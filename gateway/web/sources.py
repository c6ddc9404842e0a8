"""Where the pages' data comes from, as protocols, and one look at all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from zoneinfo import ZoneInfo

from gateway.errors import OperationsUnavailableError, StoreError
from gateway.model import PortalMode, PortalStatus, SiteStatus
from gateway.store.reading import JournalCounts, RecordedEvent


class StatusClient(Protocol):
    """gateway.operations.client.OperationsClient."""

    async def status(self) -> SiteStatus:
        """Raises OperationsUnavailableError."""
        ...

    async def open_portal(self, portal: str, operator: str) -> None:
        """Raises OperationRefusedError, OperationsUnavailableError, as all below."""
        ...

    async def set_portal_mode(self, portal: str, mode: PortalMode, operator: str) -> None: ...

    async def begin_lockdown(self, operator: str) -> None: ...

    async def end_lockdown(self, operator: str) -> None: ...

    async def reset_fire(self, operator: str) -> None: ...


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

    def counts(self) -> JournalCounts:
        """Totals of the present epoch. Raises StoreError."""
        ...

    def shown(self, seq: int) -> int:
        """What a number of the journal is counted as here. Raises StoreError."""
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
        status = await counted(await client.status(), reading)
    except OperationsUnavailableError:
        status = None
    newest = await events(reading, limit=1)
    return Look(status, None if newest is None else (newest[0].seq if newest else 0))


async def counted(status: SiteStatus, reading: Reading) -> SiteStatus:
    """The status with its numbers counted as the list of events counts them: what may not be seen leaves no gap."""
    try:
        made = await asyncio.to_thread(reading.shown, status.uplink.made)
        acked = await asyncio.to_thread(reading.shown, status.uplink.acked_upto)
    except StoreError:
        made = acked = 0
    return replace(status, uplink=replace(status.uplink, made=made, acked_upto=acked))


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
