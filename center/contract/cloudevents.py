"""An event as everybody outside sees it: CloudEvents 1.0 attribute names, structured JSON form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from center.contract.catalogue import Event, EventData, entry, subject


def to_cloudevent(event: Event, district: str, site: str, gateway: str, epoch: str, simulated: bool) -> dict[str, Any]:
    """A JSON-able dict: CloudEvents attributes, then the extensions severity, clock and (only if true) simulated."""
    described = entry(event.data)
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{epoch}-{event.seq}",
        "source": f"/{district}/{site}/{gateway}",
        "type": described.type,
        "time": rfc3339(event.time_ms),
        "subject": subject(event.data, gateway),
        "datacontenttype": "application/json",
        "severity": described.severity.value,
        "clock": "synced" if event.clock_certain else "uncertain",
    }
    if simulated:
        document["simulated"] = True
    document["data"] = data_fields(event.data)
    return document


def data_fields(data: EventData) -> dict[str, Any]:
    """The event's data by field name, of JSON types only."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.structs.asdict(data)))
    return fields


def rfc3339(time_ms: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC with milliseconds."""
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    except (OverflowError, ValueError, OSError):  # beyond the year 9999: keep the order, not the value
        return "9999-12-31T23:59:59.999Z"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
