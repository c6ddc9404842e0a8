"""The files for Debian's mosquitto (2.0) that make it the district's broker. Pure: plain values in, texts out.

It is used as a pipe that may forget: nothing is persisted, because the gateway's journal is the store. What the lines
rest on was tried with 2.0.11 (docs/broker.md): `use_username_as_clientid` keeps one user from displacing another.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from center.broker.rights import rights
from center.config import Broker, User
from center.contract.frame import MAX_FRAME_BYTES

CONFIGURATION, ACL, PASSWORDS = "mosquitto.conf", "acl", "passwords"
_ITERATIONS = 101  # mosquitto_passwd's own; what is hashed are machines' secrets of at least 16 random characters
_SALT_BYTES = 12
_IN_FLIGHT = 200
_QUEUED = 10_000  # for a center that is away; more is not kept and is sent again by the gateways
_QUEUED_BYTES = 64 << 20  # of one client; 10 000 of the largest messages would be 10 GB


def mosquitto_conf(broker: Broker, folder: Path, tls: tuple[Path, Path, Path] | None) -> str:
    """mosquitto.conf; `tls` = (authority, certificate, key)."""
    lines = [
        "# Made by `zhian broker mosquitto`; make it again instead of editing it.",
        "per_listener_settings false",
        "persistence false",
        f"max_inflight_messages {_IN_FLIGHT}",
        f"max_queued_messages {_QUEUED}",
        f"max_queued_bytes {_QUEUED_BYTES}",
        f"message_size_limit {MAX_FRAME_BYTES + 1024}",
        "allow_anonymous false",
        "allow_zero_length_clientid false",
        "connection_messages true",
        f"acl_file {folder / ACL}",
        *([] if tls else [f"password_file {folder / PASSWORDS}"]),
        f"listener {broker.port} {broker.host}",
        "use_username_as_clientid true",
    ]
    if tls:
        lines += [
            f"cafile {tls[0]}",
            f"certfile {tls[1]}",
            f"keyfile {tls[2]}",
            "require_certificate true",
            "use_identity_as_username true",
            "tls_version tlsv1.2",  # and above
        ]
    return "\n".join(lines) + "\n"


def acl(users: Sequence[User]) -> str:
    """The acl file: each user's own topics and nothing else."""
    parts = []
    for user in users:
        may = rights(user)
        parts += [f"user {user.username}", *(f"topic write {one}" for one in may.publish)]
        parts += [*(f"topic read {one}" for one in may.subscribe), ""]
    return "\n".join(parts)


def passwords(users: Sequence[User], salt: bytes) -> str:
    """The password file: PBKDF2-HMAC-SHA512 in mosquitto's own form. `salt`: random bytes, made for this file."""
    lines = []
    for user in users:
        own = hashlib.sha256(salt + user.username.encode()).digest()[:_SALT_BYTES]
        digest = hashlib.pbkdf2_hmac("sha512", (user.password or "").encode(), own, _ITERATIONS)
        lines.append(f"{user.username}:$7${_ITERATIONS}${_b64(own)}${_b64(digest)}")
    return "\n".join(lines) + "\n"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
