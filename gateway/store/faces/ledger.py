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
from gateway.store.database import sync_folder

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
        self.receipts, self._whole_bytes = _read(file)
        self._erased = {r.enrolment for r in self.receipts}

    def __contains__(self, enrolment: str) -> bool:
        return enrolment in self._erased

    def add(self, enrolment: str, at_ms: int, cause: Cause, references: int, *, key_destroyed: bool) -> Receipt:
        """Append one erasure, on the disk when this returns. Raises StoreError; then it is not in the list.

        What follows the last whole line is cut off first: a power cut tore it, or the disk refused in its midst, and
        its erasure was not told to anybody.
        """
        number, previous = self.head
        open_ = Receipt(number + 1, enrolment, at_ms, cause, references, key_destroyed, previous)
        receipt = msgspec.structs.replace(open_, digest=_digest(open_))
        line = msgspec.json.encode(receipt) + b"\n"
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                if os.fstat(descriptor).st_size > self._whole_bytes:
                    os.ftruncate(descriptor, self._whole_bytes)
                file.write(line)
                file.flush()
                os.fsync(descriptor)
            if self._whole_bytes == 0:  # the file itself may be new
                sync_folder(self._file.parent)
        except OSError as e:
            raise StoreError(f"{self._file}: the erasure cannot be written down ({e.strerror}); check the disk") from e
        self._whole_bytes += len(line)
        self.receipts.append(receipt)
        self._erased.add(enrolment)
        return receipt

    @property
    def head(self) -> tuple[int, str]:
        """Number and digest of the newest erasure; (0, FIRST) where there is none."""
        return (len(self.receipts), self.receipts[-1].digest) if self.receipts else (0, FIRST)

    def has(self, number: int, digest: str) -> bool:
        """Whether this very erasure is in the list."""
        return 0 < number <= len(self.receipts) and self.receipts[number - 1].digest == digest

    def check_head(self, number: int, digest: str) -> None:
        """Raises StoreError where the erasure that the store knows as the newest is not in this list."""
        if number != 0 and not self.has(number, digest):
            raise StoreError(
                f"{self._file}: the store of faces knows of {number} erasures, this list has {len(self.receipts)} or"
                " others; faces stay off until the newest list is put back"
            )

    def find(self, enrolment: str) -> Receipt | None:
        """The first erasure of this enrolment."""
        return next((r for r in self.receipts if r.enrolment == enrolment), None)


def _digest(receipt: Receipt) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(receipt, digest=""))).hexdigest()


def _read(file: Path) -> tuple[list[Receipt], int]:
    """Every erasure, and how many bytes the whole lines are; a torn last one is none (its erasure is done again)."""
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return [], 0
    except OSError as e:
        raise StoreError(f"{file}: the list of erasures cannot be read ({e.strerror}); check the disk") from e
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
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
    return receipts, sum(map(len, lines))
