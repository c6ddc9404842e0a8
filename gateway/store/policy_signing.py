"""The site's policy key: what makes a version of the policy, and a visitor pass, the site's own.

One Ed25519 key (RFC 8032). The bytes signed for a policy begin with `POLICY_CONTEXT`, those for a pass are a COSE
Sig_structure (RFC 9052, 4.4): a signature over one can never be taken for the other.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from runtime.errors import ConfigError

POLICY_CONTEXT = b"zhian policy 1\0"
KEY_BYTES = 32
KEY_ID_BYTES = 8


class PolicyKey:
    """Signs and verifies. `seed` is the private key (32 bytes); it is never shown."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public: Ed25519PublicKey = self._private.public_key()

    @property
    def public(self) -> bytes:
        """32 bytes: what a verifier of passes needs."""
        return self._public.public_bytes_raw()

    @property
    def id(self) -> bytes:
        """Which key a pass was signed by: the beginning of the sha256 of the public key."""
        return hashlib.sha256(self.public).digest()[:KEY_ID_BYTES]

    def sign_policy(self, body: bytes) -> bytes:
        """The signature (64 bytes) over one version's canonical bytes."""
        return self._private.sign(POLICY_CONTEXT + body)

    def policy_is_ours(self, body: bytes, signature: bytes) -> bool:
        """Whether `signature` was made by this key over exactly `body`."""
        return self._verify(signature, POLICY_CONTEXT + body)

    def sign_pass(self, structure: bytes) -> bytes:
        """The signature over a pass's COSE Sig_structure."""
        return self._private.sign(structure)

    def pass_is_ours(self, structure: bytes, signature: bytes) -> bool:
        """Whether a pass's signature was made by this key."""
        return self._verify(signature, structure)

    def _verify(self, signature: bytes, signed: bytes) -> bool:
        try:
            self._public.verify(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def make_key_file(path: Path) -> None:
    """Write a new key, readable by its owner only, durably. Raises ConfigError where one is there already."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as e:
        raise ConfigError(f"{path}: the policy key cannot be written ({e.strerror}); choose another file") from e


def read_key(path: Path) -> PolicyKey:
    """The key of the file (64 hex digits). Raises ConfigError; never shows what the file holds."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: expected a file that only its owner can read; run chmod 600 on it")
        text = path.read_text("ascii").strip()
        seed = bytes.fromhex(text)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no policy key; put the site's key back, the policy is signed by it"
        ) from None
    except OSError as e:
        raise ConfigError(f"{path}: the policy key cannot be read ({e.strerror}); check its owner") from e
    except ValueError:
        seed = b""
    if len(seed) != KEY_BYTES:
        raise ConfigError(f"{path}: expected {2 * KEY_BYTES} hex digits; put the site's policy key back")
    return PolicyKey(seed)
