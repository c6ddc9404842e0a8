"""Every version of the site's policy, as signed bytes in a SQLite file of its own; the newest is the one in force.

A file of its own, since the journal has one writer and a busy commit path, and an edit of the policy must neither
wait for it nor be able to break it. Rollback journal with synchronous=EXTRA: what was committed survives a power cut
at any byte, and between edits there is one file and nothing beside it (tests/store/test_policy_power_cut.py).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import zstandard

from gateway.errors import StoreError

T = TypeVar("T")
KEPT_VERSIONS = 100  # the newest so many; "why was it so last month" is answered from them
MAX_BODY_BYTES = 16 * 1024 * 1024  # canonical bytes of one version; see policy_document for the limits of its parts
SCHEMA_VERSION = 1

SCHEMA = (
    """CREATE TABLE version (
        version   INTEGER PRIMARY KEY,
        made_ms   INTEGER NOT NULL,
        operator  TEXT NOT NULL,
        cause     TEXT NOT NULL,     -- import, revoke, restore, pass, undo
        digest    TEXT NOT NULL,     -- sha256 of the canonical bytes, hex
        signature BLOB NOT NULL,     -- Ed25519, policy_signing
        body      BLOB NOT NULL,     -- the canonical bytes, zstd
        announced INTEGER NOT NULL   -- 1: the event zhian.policy.changed is in the journal
    ) STRICT""",
    "CREATE TABLE mark (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO mark VALUES ('newest', '0'), ('imported-file', '')",
)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version without its body."""

    version: int
    made_ms: int
    operator: str
    cause: str
    digest: str


@dataclass(frozen=True, slots=True)
class SignedVersion:
    """One version with its canonical bytes and their signature, not yet verified."""

    row: VersionRow
    signature: bytes
    body: bytes


def open_versions(file: Path) -> PolicyVersions:
    """Open or create. Only one process writes (core, or a command while core is stopped). Raises StoreError.

    Where the disk can only be read, what is there is opened for reading: doors go on, edits are refused.
    """
    try:
        if file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
            return open_versions_read_only(file)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        prepare(connection)
    except (sqlite3.Error, OSError) as e:
        raise StoreError(f"{file}: the policy store cannot be opened ({e}); check its owner and the disk") from e
    except ValueError as e:
        raise StoreError(f"{file}: {e}") from None
    return PolicyVersions(connection, file)


def open_versions_read_only(file: Path) -> PolicyVersions:
    """For commands and pages beside a running core. Raises StoreError where there is none yet."""
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("SELECT 1 FROM version LIMIT 1")
    except sqlite3.Error as e:
        raise StoreError(f"{file}: no policy can be read there ({e}); start the gateway's core once") from e
    return PolicyVersions(connection, file)


def prepare(connection: Any) -> None:
    """Settings and, in a new file, the tables, in one commit. `connection` is sqlite3's, or one like it.

    Raises ValueError for a schema of another release.
    """
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA synchronous=EXTRA")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == SCHEMA_VERSION:
        return
    if found != 0:
        raise ValueError(f"schema version {found}, this program knows {SCHEMA_VERSION}; install the matching release")
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


class PolicyVersions:
    """The table. Synchronous; every write is one transaction."""

    def __init__(self, connection: Any, file: Path) -> None:
        self._connection = connection
        self._file = file

    @property
    def file(self) -> Path:
        """Where the versions are."""
        return self._file

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def newest_number(self) -> int:
        """The highest version this store ever held; 0 in a new one. May be above the newest row only if rows were
        taken away."""
        marked = int(self._marks()["newest"])
        rows = self._read("SELECT coalesce(max(version), 0) FROM version")
        return max(marked, int(rows[0][0]))

    def newest(self) -> SignedVersion | None:
        """The newest version, or None in a new store. Raises StoreError."""
        rows = self._read("SELECT max(version) FROM version")
        return None if rows[0][0] is None else self.load(rows[0][0])

    def load(self, version: int) -> SignedVersion:
        """One version. Raises StoreError where it is not kept (any more) or its bytes cannot be unpacked."""
        found = self._read(
            "SELECT version, made_ms, operator, cause, digest, signature, body FROM version WHERE version = ?",
            (version,),
        )
        if not found:
            kept = [row.version for row in self.rows()]
            span = f"{kept[-1]} to {kept[0]} are kept" if kept else "none is kept"
            raise StoreError(f"{self._file}: there is no version {version}; {span}")
        *row, signature, packed = found[0]
        try:
            body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY_BYTES)
        except zstandard.ZstdError as e:
            raise StoreError(f"{self._file}: version {version} is damaged ({e}); restore the file from a backup") from e
        return SignedVersion(VersionRow(*row), signature, body)

    def rows(self, limit: int = KEPT_VERSIONS) -> list[VersionRow]:
        """What is kept, newest first."""
        found = self._read(
            "SELECT version, made_ms, operator, cause, digest FROM version ORDER BY version DESC LIMIT ?", (limit,)
        )
        return [VersionRow(*row) for row in found]

    def in_force_at(self, at_ms: int) -> int | None:
        """The version that was in force at `at_ms`; None before the oldest that is kept."""
        rows = self._read("SELECT max(version) FROM version WHERE made_ms <= ?", (at_ms,))
        return None if rows[0][0] is None else int(rows[0][0])

    def imported_file(self) -> str:
        """sha256 (hex) of the file that was last imported; "" before the first import."""
        return str(self._marks()["imported-file"])

    def append(self, new: SignedVersion, imported_file: str | None = None) -> None:
        """Make `new` the newest, in one commit: afterwards it is there, or nothing has changed. Raises StoreError."""
        row = new.row
        packed = zstandard.ZstdCompressor(level=6).compress(new.body)

        def write() -> None:
            execute = self._connection.execute
            execute(
                "INSERT INTO version VALUES (?,?,?,?,?,?,?,0)",
                (row.version, row.made_ms, row.operator, row.cause, row.digest, new.signature, packed),
            )
            execute("UPDATE mark SET value = ? WHERE key = 'newest'", (str(row.version),))
            if imported_file is not None:
                execute("UPDATE mark SET value = ? WHERE key = 'imported-file'", (imported_file,))
            execute("DELETE FROM version WHERE version <= ?", (row.version - KEPT_VERSIONS,))

        self._commit(write)

    def unannounced(self) -> list[VersionRow]:
        """Versions whose event is not in the journal yet, oldest first."""
        found = self._read(
            "SELECT version, made_ms, operator, cause, digest FROM version WHERE announced = 0 ORDER BY version"
        )
        return [VersionRow(*row) for row in found]

    def mark_announced(self, upto: int) -> None:
        """The journal has the events of all versions up to `upto`. Raises StoreError."""
        self._commit(lambda: self._connection.execute("UPDATE version SET announced = 1 WHERE version <= ?", (upto,)))

    def _marks(self) -> dict[str, str]:
        return dict(self._read("SELECT key, value FROM mark"))

    def _read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        return self._told("read", lambda: list(self._connection.execute(query, values)))

    def _commit(self, write: Callable[[], object]) -> None:
        def transaction() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                write()
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

        self._told("written", transaction)

    def _told(self, what: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as e:
            raise StoreError(f"{self._file}: cannot be {what} ({e}); check the disk's space and health") from e
