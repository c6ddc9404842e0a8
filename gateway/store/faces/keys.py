"""One random key per enrolment, each in a file of its own, so that destroying the file ends what it sealed.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits; a key seals at most MOST_REFERENCES references, far below
what random nonces allow. Where a medium keeps old blocks (flash does), overwriting is no proof: docs/faces-privacy.md.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import StoreError
from runtime.log import get

KEY_BYTES, NONCE_BYTES = 32, 12
log = get("faces")
_NAME = re.compile(r"[0-9a-f]{32}\Z")


class EnrolmentKeys:
    """The folder of key files, 0700; `enrolment` is 32 hex digits, random, and says nothing of the holder."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where the folder cannot be made."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as e:
            raise StoreError(f"{folder}: the folder of face keys cannot be made ({e.strerror}); check the disk") from e

    def make(self, enrolment: str) -> None:
        """A new key, on the disk before anything is sealed with it. Raises StoreError."""
        path = self._path(enrolment)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            self._sync()
        except OSError as e:
            raise StoreError(f"{self._folder}: a face key cannot be written ({e.strerror}); check the disk") from e

    def seal(self, enrolment: str, plain: bytes, bound_to: bytes) -> bytes:
        """nonce + ciphertext + tag; `bound_to` must be the same at opening. Raises StoreError: no such key."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._read(enrolment)).encrypt(nonce, plain, bound_to)

    def open(self, enrolment: str, sealed: bytes, bound_to: bytes) -> bytes:
        """Raises StoreError: the key was destroyed, or the bytes were changed."""
        try:
            return AESGCM(self._read(enrolment)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as e:
            raise StoreError("a face reference does not open with its key; enrol this holder again") from e

    def exists(self, enrolment: str) -> bool:
        return self._path(enrolment).exists()

    def destroy(self, enrolment: str) -> None:
        """Overwrite, unlink, and make both last. A key that is gone is destroyed already. Raises StoreError.

        It loses its name first: a power cut in between leaves no key that exists and opens nothing.
        """
        path = self._path(enrolment)
        going = path.with_suffix(".going")
        try:
            path.rename(going)
            self._sync()
            self._overwrite(going)
        except FileNotFoundError:
            self._finish(going)
        except OSError as e:
            raise self._undestroyed(e) from e

    def finish(self) -> set[str]:
        """Overwrite what a power cut left half destroyed; says which enrolments' keys. One that the disk refuses still
        has no name and opens nothing; whoever ends its erasure tries again."""
        found = list(self._folder.glob("*.going"))
        for going in found:
            try:
                self._finish(going)
            except StoreError as e:
                log.error("a key without a name will be overwritten later", enrolment=going.stem, error=str(e))
        return {going.stem for going in found}

    def _finish(self, going: Path) -> None:
        """Overwrite a key that has lost its name already, if there is one: the disk refused, or the power went."""
        try:
            if going.exists():
                self._overwrite(going)
        except OSError as e:
            raise self._undestroyed(e) from e

    def _overwrite(self, going: Path) -> None:
        with going.open("r+b") as file:
            file.write(bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        going.unlink()
        self._sync()

    def _undestroyed(self, e: OSError) -> StoreError:
        return StoreError(f"{self._folder}: a face key cannot be destroyed ({e.strerror}); check the disk")

    def all(self) -> set[str]:
        """Every enrolment that has a key."""
        return {p.stem for p in self._folder.glob("*.key") if _NAME.match(p.stem)}

    def _path(self, enrolment: str) -> Path:
        if not _NAME.match(enrolment):
            raise StoreError(
                f"{self._folder}: the key of this enrolment is damaged (not named by 32 hex digits); put the last"
                " backup back"
            )
        return self._folder / f"{enrolment}.key"

    def _read(self, enrolment: str) -> bytes:
        try:
            key = self._path(enrolment).read_bytes()
        except FileNotFoundError:
            raise StoreError("the key of this enrolment was destroyed; enrol the holder again") from None
        except OSError as e:
            raise StoreError(f"{self._folder}: a face key cannot be read ({e.strerror}); check the disk") from e
        if len(key) != KEY_BYTES:
            raise StoreError("the key of this enrolment is damaged; erase and enrol the holder again")
        return key

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
