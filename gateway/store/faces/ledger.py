"""The list of erasures: append-only, each line bound to the one before, holding no name and nothing of a face.

It lies beside the store, not in it, so that a store put back from a backup cannot bring an erased face back.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from gateway.errors import StoreError

Cause = Literal["withdrawn", "expired", "replaced", "holder-removed", "incomplete", "interrupted", "restored"]
FIRST = "0" * 64


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """One erasure. enrolment: random, told to the person at enrolment; digest: over this line and all before it.

    references: how many sealed references were removed. key_destroyed: their key was there, and is no more.
    """

    number: int
    enrolment: str
    at_ms: int
    cause: Cause
    references: int
    key_destroyed: bool
    previous: str
    digest: str = ""


class ErasureLedger:
    """`faces-erased.jsonl`. Not for use from two threads at once."""

    def __init__(self, file: Path) -> None:
        """Raises StoreError: a line was changed or removed, or the file cannot be read."""
        self._file = file
        self.receipts = _read(file)
        self._erased = {r.enrolment for r in self.receipts}

    def __contains__(self, enrolment: str) -> bool:
        return enrolment in self._erased

    def add(self, enrolment: str, at_ms: int, cause: Cause, references: int, *, key_destroyed: bool) -> Receipt:
        """Append one erasure, on the disk when this returns. Raises StoreError."""
        number, previous = self.head
        open_ = Receipt(number + 1, enrolment, at_ms, cause, references, key_destroyed, previous)
        receipt = msgspec.structs.replace(open_, digest=_digest(open_))
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(msgspec.json.encode(receipt) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as e:
            raise StoreError(f"{self._file}: the erasure cannot be written down ({e.strerror}); check the disk") from e
        self.receipts.append(receipt)
        self._erased.add(enrolment)
        return receipt

    @property
    def head(self) -> tuple[int, str]:
        """Number and digest of the newest erasure; (0, FIRST) where there is none."""
        return (len(self.receipts), self.receipts[-1].digest) if self.receipts else (0, FIRST)

    def check_head(self, number: int, digest: str) -> None:
        """Raises StoreError where the erasure that the store knows as the newest is not in this list."""
        known = number == 0 or (number <= len(self.receipts) and self.receipts[number - 1].digest == digest)
        if not known:
            raise StoreError(
                f"{self._file}: the store of faces knows of {number} erasures, this list has {len(self.receipts)} or"
                " others; faces stay off until the newest list is put back"
            )

    def find(self, enrolment: str) -> Receipt | None:
        """The first erasure of this enrolment."""
        return next((r for r in self.receipts if r.enrolment == enrolment), None)


def _digest(receipt: Receipt) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(receipt, digest=""))).hexdigest()


def _read(file: Path) -> list[Receipt]:
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise StoreError(f"{file}: the list of erasures cannot be read ({e.strerror}); check the disk") from e
    if lines and not lines[-1].endswith(b"\n"):
        # A power cut tore the last line, whose erasure was not told to anybody yet: it is done again at the next open.
        torn = lines.pop()
        with file.open("r+b") as short:
            short.truncate(file.stat().st_size - len(torn))
    receipts: list[Receipt] = []
    for number, line in enumerate(lines, 1):
        try:
            receipt = msgspec.json.decode(line, type=Receipt)
        except (msgspec.DecodeError, UnicodeDecodeError):
            receipt = None
        previous = receipts[-1].digest if receipts else FIRST
        if receipt is None or receipt.previous != previous or receipt.digest != _digest(receipt):
            raise StoreError(
                f"{file}: line {number} of the list of erasures was changed; faces stay off until the file of the last"
                " backup is put back"
            )
        receipts.append(receipt)
    return receipts
