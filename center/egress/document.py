"""A stored event as others see it: the contract's CloudEvents attributes, and where it happened. Pure."""

from __future__ import annotations

from typing import Any

from center.contract.cloudevents import rfc3339
from center.store.reading import StoredEvent


def document(event: StoredEvent) -> dict[str, Any]:
    """A JSON-able dict: CloudEvents 1.0 in structured form, extensions severity, clock, address, grid and simulated."""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{event.epoch}-{event.seq}",
        "source": f"/{event.district}/{event.site}/{event.gateway}",
        "type": event.type,
        "time": rfc3339(event.time_ms),
        "subject": event.subject,
        "datacontenttype": "application/json",
        "severity": event.severity,
        "clock": "synced" if event.clock_certain else "uncertain",
    }
    if event.address is not None:
        made["address"] = event.address
    if event.grid is not None:
        made["grid"] = event.grid
    if event.simulated:
        made["simulated"] = True
    made["data"] = event.data
    return made
