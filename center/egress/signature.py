"""Signatures of webhooks as Standard Webhooks 1.0.0 asks (github.com/standard-webhooks/standard-webhooks). Pure.

HMAC-SHA256 over `id.timestamp.body`; header `webhook-signature` holds one `v1,<base64>` for each secret, so that a
secret can be exchanged without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from center.errors import WebhookError

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # the specification's bounds
MAX_SECRETS = 2


def secrets_of(text: str, source: str) -> tuple[bytes, ...]:
    """One or two secrets, `whsec_<base64>`, separated by a space. Raises WebhookError; never shows the text."""
    words = text.split()
    found = []
    for word in words[: MAX_SECRETS + 1]:
        try:
            key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not word.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
            found = []
            break
        found.append(key)
    if not 1 <= len(found) <= MAX_SECRETS:
        raise WebhookError(
            f"{source}: expected 1 or 2 secrets such as {PREFIX}<base64 of {MIN_SECRET_BYTES}..{MAX_SECRET_BYTES}"
            " bytes>, separated by a space; make one with: zhian center webhooks secret"
        )
    return tuple(found)


def secret_text(key: bytes) -> str:
    """As it is written into a secret file and given to the receiver."""
    return PREFIX + base64.b64encode(key).decode()


def headers(message_id: str, timestamp_s: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The three headers of one attempt."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
