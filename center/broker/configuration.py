"""The text of nats-server's configuration. Pure: plain values in, JSON out (NATS reads JSON as its own format).

Nobody but ourselves is named in it: the server asks about every connection (callout.py). What the permissions rest on
was tried with nats-server 2.15.1 (docs/events.md): MQTT clients may use the internal `$MQTT.` subjects without an entry
of their own, and a publish that is not allowed is dropped *but acknowledged*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from center.broker.callout import ACCOUNT, ASK_TIMEOUT_S
from center.config import Broker
from center.contract.frame import MAX_FRAME_BYTES

# NATS counts the topic and a header of its own as payload.
_MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES + (64 << 10)
# Messages a subscription may have unacknowledged. Near 65535 a `#` subscription is granted and never served.
MAX_ACK_PENDING = 200
_ACK_WAIT = "30s"
_SYSTEM = "SYS"  # ours
_TLS_TIMEOUT_S = 5.0  # the default of 2 s is short for thousands of handshakes after a restart
_MAX_FILE_STORE_BYTES = 1 << 30
_MAX_MEMORY_STORE_BYTES = 64 << 20


def configuration(
    broker: Broker, store: Path, issuer: str, own: Mapping[str, str], tls: tuple[Path, Path, Path] | None = None
) -> str:
    """nats-server's configuration; `tls` = (authority, certificate, key): nobody connects without a certificate then.

    `issuer`: the public key with which we sign who may connect; `own`: our user and password, so write it where only
    the owner can read.
    """
    document: dict[str, Any] = {
        "server_name": "zhian",
        # The plain NATS listener is ours: whoever is let in is let in for MQTT only (allowed_connection_types).
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
        "accounts": {_SYSTEM: {"users": [dict(own)]}, ACCOUNT: {"jetstream": "enabled"}},
        "system_account": _SYSTEM,
        "authorization": {
            "timeout": ASK_TIMEOUT_S,
            "auth_callout": {"issuer": issuer, "account": _SYSTEM, "auth_users": [own["user"]]},
        },
    }
    return json.dumps(document, indent=1)


def _tls(ca_file: Path, certificate_file: Path, key_file: Path) -> dict[str, Any]:
    return {
        "ca_file": str(ca_file),
        "cert_file": str(certificate_file),
        "key_file": str(key_file),
        "verify": True,  # no certificate, no connection
        "timeout": _TLS_TIMEOUT_S,
    }
