"""The catalogue as data and as a table: what documents and `zhian events catalogue` are generated from."""

from __future__ import annotations

from typing import Any

import msgspec

from center.contract.catalogue import CATALOGUE, EventData


def described() -> list[dict[str, Any]]:
    """One JSON-able dict per event, in the order of the catalogue."""
    return [
        {
            "type": entry.type,
            "version": entry.version,
            "severity": entry.severity.value,
            "title_zh": entry.title_zh,
            "title_en": entry.title_en,
            "subject": entry.subject or "gateway",
            "meaning": " ".join((kind.__doc__ or "").split()),
            "fields": _fields(kind),
        }
        for kind, entry in CATALOGUE.items()
    ]


def as_markdown() -> str:
    """A table for docs/events.md, one line per event."""
    lines = ["| type | severity | 中文 | English | fields | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for event in described():
        fields = ", ".join(f"`{one['name']}`" + ("" if one["required"] else "?") for one in event["fields"])
        lines.append(
            f"| `{event['type']}` | {event['severity']} | {event['title_zh']} | {event['title_en']} | {fields or '–'} |"
            f" {event['meaning']} |"
        )
    return "\n".join(lines) + "\n"


def _fields(kind: type[EventData]) -> list[dict[str, Any]]:
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/{name}")
    # An array-like struct is a JSON array whose first element is the tag; at every egress it is an object.
    items = components[schema["$ref"].removeprefix("#/")]["prefixItems"][1:]
    return [
        {"name": field.name, "required": field.required, "schema": item}
        for field, item in zip(msgspec.structs.fields(kind), items, strict=True)
    ]
