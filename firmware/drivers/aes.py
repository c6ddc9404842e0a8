"""AES-128 of MicroPython's cryptolib in the shape that firmware.wire.secure asks for."""

from cryptolib import aes as _aes

_ECB = 1


def aes(key: bytes) -> tuple:
    """(encrypt, decrypt), each ECB over a multiple of 16 bytes."""
    # An object of cryptolib is bound to one direction by its first use, hence two.
    return _aes(key, _ECB).encrypt, _aes(key, _ECB).decrypt
