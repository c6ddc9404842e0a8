"""The text of nats-server's configuration. Pure: plain values in, JSON out (NATS reads JSON as its own format).

What the permissions rest on was tried with nats-server 2.15.1 (docs/events.md): MQTT clients may use the internal
`$MQTT.` subjects without an entry of their own, and a publish that is not allowed is dropped *but acknowledged*.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from center.config import Broker, User
from center.contract import topics
from center.contract.frame import MAX_FRAME_BYTES

# NATS counts the topic and a header of its own as payload.
_MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES + (64 << 10)
# Messages a subscription may have unacknowledged. Near 65535 a `#` subscription is granted and never served.
MAX_ACK_PENDING = 200
_ACK_WAIT = "30s"
_MAX_FILE_STORE_BYTES = 1 << 30
_MAX_MEMORY_STORE_BYTES = 64 << 20


def configuration(broker: Broker, store: Path, users: Sequence[User]) -> str:
    """nats-server's configuration. It holds every password: write it where only the owner can read."""
    document: dict[str, Any] = {
        "server_name": "zhian",
        # The plain NATS listener cannot be left out; nobody may sign in there (allowed_connection_types).
        "host": broker.host,
        "port": -1,
        "max_payload": _MAX_PAYLOAD_BYTES,
        "mqtt": {
            "host": broker.host,
            "port": broker.port,
            "max_ack_pending": MAX_ACK_PENDING,
            "ack_wait": _ACK_WAIT,
        },
        "jetstream": {
            "store_dir": str(store),
            "max_file_store": _MAX_FILE_STORE_BYTES,
            "max_memory_store": _MAX_MEMORY_STORE_BYTES,
        },
        "authorization": {"timeout": 2.0, "users": [_user(user) for user in users]},
    }
    return json.dumps(document, indent=1)


def _user(user: User) -> dict[str, Any]:
    if user.role == "center":
        publish = [topics.nats_subject(topics.every_gateway(kind)) for kind in topics.DOWN]
        subscribe = [topics.nats_subject(topics.every_gateway(kind)) for kind in topics.UP]
    else:
        name = topics.GatewayName(user.district or "", user.site or "", user.gateway or "")
        publish = [topics.nats_subject(topics.topic(name, kind)) for kind in topics.UP]
        subscribe = [topics.nats_subject(topics.topic(name, kind)) for kind in topics.DOWN]
    return {
        "user": user.username,
        "password": user.password,
        "allowed_connection_types": ["MQTT"],
        "permissions": {"publish": {"allow": publish}, "subscribe": {"allow": subscribe}},
    }
