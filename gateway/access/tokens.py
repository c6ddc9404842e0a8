"""Keyed one-way values: tokens that stand for people and vehicles in events, and the digest a PIN is looked up by."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import date

PIN_KEY_BYTES = 16
TOKEN_BYTES = 10  # 16 base32 letters: 2^80 values, far beyond a site's holders, and short on the wire


def token(site_key: bytes, kind: str, subject: str, day: date) -> str:
    """16 letters [a-z2-7] that stand for `subject` on `day` at this site, and nowhere else and no other day."""
    message = f"token|{kind}|{day.isoformat()}|{subject}".encode()
    return base64.b32encode(hmac.digest(site_key, message, hashlib.sha256)[:TOKEN_BYTES]).decode().lower()


def pin_digest(site_key: bytes, pin: str, holder: str = "") -> str:
    """64 hex digits by which a PIN is looked up; the PIN itself is never stored.

    With `holder` it is a second factor of that holder (two holders may choose the same PIN); without, a PIN that
    identifies alone and is therefore unique on the site.
    """
    return hmac.digest(site_key, f"pin|{holder}|{pin}".encode(), hashlib.sha256).hex()


def pin_key(site_key: bytes, holder: str = "") -> bytes:
    """16 bytes under which the PINs of `holder` are digested, or with "" those that identify alone. A node that decides
    while its gateway is away is given the keys of its holders, never the site's."""
    return hmac.digest(site_key, f"pin key|{holder}".encode(), hashlib.sha256)[:PIN_KEY_BYTES]


def offline_pin_digest(site_key: bytes, pin: str, holder: str = "") -> str:
    """As `pin_digest`, in the form that a node can check: with `pin_key` instead of the site's key."""
    return hmac.digest(pin_key(site_key, holder), b"pin " + pin.encode(), hashlib.sha256).hex()


def card_key(bits: int, data: bytes) -> str:
    """The look-up key of a card read: bit count and value of the bits, first bit most significant."""
    value = int.from_bytes(data, "big") >> (len(data) * 8 - bits)
    return f"{bits}:{value}"
