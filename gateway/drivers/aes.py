"""AES-128 of `cryptography` in the shape that firmware.wire.secure asks for."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

Blocks = Callable[[bytes], bytes]


def aes(key: bytes) -> tuple[Blocks, Blocks]:
    """(encrypt, decrypt) under a 16-byte key, each ECB over a multiple of 16 bytes, usable any number of times."""
    # ECB is the building block only: chaining and MACs are OSDP's own, in firmware.wire.secure.
    cipher = Cipher(AES(key), ECB())  # noqa: S305
    return cipher.encryptor().update, cipher.decryptor().update
