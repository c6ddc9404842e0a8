"""The AsyncAPI 3 document of a district: what travels on which topic, generated from the catalogue. Pure."""

from __future__ import annotations

from typing import Any

from center.contract.catalogue import Severity
from center.contract.descriptions import described
from center.contract.topics import PATTERN, Kind, topic_template

ASYNCAPI_VERSION = "3.1.0"
CONTRACT_VERSION = "1.0.0"  # of topics and documents; every event has a version of its own in the catalogue

_FRAME = (
    "A binary frame of one or more events: byte 0 codec, byte 1 dictionary, then the body (docs/events.md). Decode it"
    " with center.contract.frame of the base package; each event in it then has the shape of one of these messages."
)
_CHANNELS: dict[Kind, tuple[str, str]] = {
    Kind.EVENT: ("events", "Every event of a gateway, in frames, at least once."),
    Kind.ALARM: ("alarms", "One alarm by itself, at once; the same event is also in events."),
    Kind.STATE: ("state", "What a gateway is doing; retained, and the broker's word once it is gone."),
    Kind.ACK: ("acknowledgements", "What the center has stored, or why it refused a frame."),
}
_PARAMETERS = {
    "district": "name of the district",
    "site": "name of the residential community",
    "gateway": "name of the gateway",
}


def asyncapi() -> dict[str, Any]:
    """A JSON-able AsyncAPI document, from the point of view of a program that listens."""
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "zhian district events 智安事件",
            "version": CONTRACT_VERSION,
            "description": (
                "Events of residential communities' gateways as a district center and its subscribers see them. No"
                " name, plate text, face or picture is in any: people and vehicles are tokens that change daily."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "district": {
                "host": "broker.example:8883",
                "protocol": "secure-mqtt",
                "protocolVersion": "3.1.1",
                "description": "The district's broker; TLS with a client certificate.",
                "security": [{"$ref": "#/components/securitySchemes/certificate"}],
            }
        },
        "channels": {name: _channel(kind, name, text) for kind, (name, text) in _CHANNELS.items()},
        "operations": {f"receive-{name}": _operation(name) for name, _ in _CHANNELS.values()},
        "components": {
            "securitySchemes": {"certificate": {"type": "X509", "description": "CN is the user's name at the broker."}},
            "messages": {one["type"]: _message(one) for one in described()} | _documents(),
            "schemas": {"attributes": _attributes()},
        },
    }


def _channel(kind: Kind, name: str, text: str) -> dict[str, Any]:
    return {
        "address": topic_template(kind),
        "description": text if kind in (Kind.STATE, Kind.ACK) else f"{text} {_FRAME}",
        "parameters": {one: {"description": f"{text}; matches {PATTERN}"} for one, text in _PARAMETERS.items()},
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in _messages_on(kind, name)},
        "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
    }


def _messages_on(kind: Kind, name: str) -> list[str]:
    if kind in (Kind.STATE, Kind.ACK):
        return [name]
    alarms = (Severity.ALARM.value, Severity.LIFE_SAFETY.value)
    return [one["type"] for one in described() if kind is Kind.EVENT or one["severity"] in alarms]


def _operation(name: str) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "bindings": {"mqtt": {"qos": 1, "bindingVersion": "0.2.0"}},
    }


def _message(event: dict[str, Any]) -> dict[str, Any]:
    fields = event["fields"]
    properties = {one["name"]: _with_unit(one) for one in fields}
    return {
        "name": event["type"],
        "title": f"{event['title_zh']} · {event['title_en']}",
        "summary": event["meaning"],
        "contentType": "application/json",
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/attributes"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event["type"]},
                        "severity": {"const": event["severity"]},
                        "data": {
                            "type": "object",
                            "properties": properties,
                            "required": [one["name"] for one in fields if one["required"]],
                        },
                    },
                },
            ]
        },
        "examples": [{"name": "example", "summary": event["example_en"], "payload": event["example"]}],
    }


def _with_unit(field: dict[str, Any]) -> dict[str, Any]:
    # `(?!...)` is of ECMA-262, too; only the anchor that Python needs has no meaning in JSON Schema.
    schema: dict[str, Any] = field["schema"]
    return schema | ({"description": f"in {field['unit']}"} if field["unit"] else {})


def _attributes() -> dict[str, Any]:
    texts = ("id", "source", "type", "subject", "datacontenttype", "severity")
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes and the extensions severity, clock, simulated, address and grid.",
        "required": ["specversion", "time", "clock", "data", *texts],
        "properties": {
            "specversion": {"const": "1.0"},
            **{name: {"type": "string"} for name in texts},
            "time": {"type": "string", "format": "date-time", "description": "UTC, with milliseconds"},
            "clock": {"enum": ["synced", "uncertain"]},
            "simulated": {"type": "boolean"},
            "address": {"type": "string", "description": "standard address code, where the center knows it"},
            "grid": {"type": "string", "description": "grid cell, where the center knows it"},
            "data": {"type": "object"},
        },
    }


def _documents() -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0}
    epoch = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
    state = {
        "type": "object",
        "required": ["online"],
        "properties": {
            "online": {"type": "boolean"},
            "version": {"type": "string", "maxLength": 32},
            "epoch": {"anyOf": [epoch, {"type": "null"}]},
            "last_seq": number,
            "first_seq": number | {"description": "the first number this center is ever sent of the epoch"},
            "simulated": {"type": "boolean"},
            "clock_certain": {"type": "boolean"},
        },
    }
    ranges = {
        "type": "array",
        "maxItems": 64,
        "items": {"type": "array", "items": number, "minItems": 2, "maxItems": 2},
    }
    ack = {
        "type": "object",
        "properties": {
            "epoch": epoch,
            "stored_upto": number,
            "missing": ranges,
            "seen_upto": number,
            "refused": {"type": "string"},
            "codec": number,
            "dictionary": number,
        },
    }
    return {
        "state": {"name": "state", "title": "网关状态 · A gateway's state", "payload": state},
        "acknowledgements": {"name": "acknowledgements", "title": "中心应答 · The center's answer", "payload": ack},
    }
