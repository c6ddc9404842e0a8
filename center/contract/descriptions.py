"""The catalogue as data and as a table: what documents and `zhian events catalogue` are generated from."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from center.contract.catalogue import CATALOGUE, UNITS, EventData
from center.contract.cloudevents import to_cloudevent
from center.contract.examples import EPOCH, EXAMPLES, example_event

EXAMPLE_PLACE = ("east-district", "willow-garden", "gw-1")


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
            "example_zh": EXAMPLES[kind].zh,
            "example_en": EXAMPLES[kind].en,
            "example": example_document(kind),
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


def example_document(kind: type[EventData]) -> dict[str, Any]:
    """The example of this event as everybody outside sees it."""
    return to_cloudevent(example_event(kind), *EXAMPLE_PLACE, EPOCH, False)


def examples_as_markdown() -> str:
    """docs/event-examples.md: every event with an example in both languages, its fields and their units."""
    parts = [_EXAMPLES_HEAD]
    for event in described():
        fields = "".join(_field_line(one) for one in event["fields"])
        table = f"\n| field | type | unit | may be absent |\n| --- | --- | --- | --- |\n{fields}" if fields else ""
        document = json.dumps(event["example"], ensure_ascii=False, indent=2)
        parts.append(
            f"## `{event['type']}` {event['title_zh']} · {event['title_en']}\n\n"
            f"Version {event['version']}, severity {event['severity']}. {event['meaning']}\n\n"
            f"{event['example_zh']}\n{event['example_en']}\n{table}\n```json\n{document}\n```\n"
        )
    return "\n".join(parts)


_EXAMPLES_HEAD = """# Every event, with an example

This page is the output of `zhian events catalogue --examples`; a test compares them. People and places are invented.
The documents are CloudEvents 1.0 in structured JSON, as `zhian center subscribe` prints them; how events travel is in
[events.md](events.md).
"""


def _field_line(field: dict[str, Any]) -> str:
    schema = field["schema"]
    kinds = [one.get("type", "null") for one in schema.get("anyOf", [schema])]
    return f"| `{field['name']}` | {' or '.join(kinds)} | {field['unit']} | {'' if field['required'] else 'yes'} |\n"


def unit_of(name: str) -> str:
    """The unit in which a number of this name is, or "" where it has none."""
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def _fields(kind: type[EventData]) -> list[dict[str, Any]]:
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/{name}")
    # An array-like struct is a JSON array whose first element is the tag; at every egress it is an object.
    items = components[schema["$ref"].removeprefix("#/")]["prefixItems"][1:]
    return [
        {"name": field.name, "required": field.required, "unit": unit_of(field.name), "schema": item}
        for field, item in zip(msgspec.structs.fields(kind), items, strict=True)
    ]
