"""The text of nats-server's configuration. Pure: plain values in, JSON out (NATS reads JSON as its own format).

What the permissions rest on was tried with nats-server 2.15.1 (docs/events.md): MQTT clients may use the internal
`$MQTT.` subjects without an entry of their own, and a publish that is not allowed is dropped *but acknowledged*.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from center.broker.rights import rights
from center.config import Broker, User
from center.contract import topics
from center.contract.frame import MAX_FRAME_BYTES

# NATS counts the topic and a header of its own as payload.
_MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES + (64 << 10)
# Messages a subscription may have unacknowledged. Near 65535 a `#` subscription is granted and never served.
MAX_ACK_PENDING = 200
_ACK_WAIT = "30s"
_TLS_TIMEOUT_S = 5.0  # the default of 2 s is short for thousands of handshakes after a restart
_MAX_FILE_STORE_BYTES = 1 << 30
_MAX_MEMORY_STORE_BYTES = 64 << 20


def configuration(
    broker: Broker, store: Path, users: Sequence[User], tls: tuple[Path, Path, Path] | None = None
) -> str:
    """nats-server's configuration; `tls` = (authority, certificate, key), and then certificates say who is who.

    Without TLS it holds every password: write it where only the owner can read.
    """
    document: dict[str, Any] = {
        "server_name": "zhian",
        # The plain NATS listener cannot be left out; nobody may sign in there (allowed_connection_types).
        "host": "127.0.0.1",
        "port": -1,
        "max_payload": _MAX_PAYLOAD_BYTES,
        "mqtt": {
            "host": broker.host,
            "port": broker.port,
            "max_ack_pending": MAX_ACK_PENDING,
            "ack_wait": _ACK_WAIT,
            **({"tls": _tls(*tls)} if tls else {}),
        },
        "jetstream": {
            "store_dir": str(store),
            "max_file_store": _MAX_FILE_STORE_BYTES,
            "max_memory_store": _MAX_MEMORY_STORE_BYTES,
        },
        "authorization": {"timeout": 2.0, "users": [_user(user, by_certificate=tls is not None) for user in users]},
    }
    return json.dumps(document, indent=1)


def _tls(ca_file: Path, certificate_file: Path, key_file: Path) -> dict[str, Any]:
    return {
        "ca_file": str(ca_file),
        "cert_file": str(certificate_file),
        "key_file": str(key_file),
        "verify_and_map": True,  # no certificate, no connection; its subject is the user
        "timeout": _TLS_TIMEOUT_S,
    }


def _user(user: User, *, by_certificate: bool) -> dict[str, Any]:
    may = rights(user)
    who = {"user": f"CN={user.username}"} if by_certificate else {"user": user.username, "password": user.password}
    return {
        **who,
        "allowed_connection_types": ["MQTT"],
        "permissions": {
            "publish": _permission(may.publish),
            "subscribe": _permission(may.subscribe),
        },
    }


def _permission(of_topics: tuple[str, ...]) -> dict[str, list[str]]:
    # An empty list would allow everything.
    return {"allow": [topics.nats_subject(one) for one in of_topics]} if of_topics else {"deny": [">"]}
