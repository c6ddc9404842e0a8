"""Enrolments with their sealed references in SQLite, erased for good when consent ends.

Order of an erasure: the key is destroyed, the ledger says so, the rows go. A power cut between two of these is finished
at the next open. `secure_delete` overwrites the rows' pages, and the WAL is truncated after an erasure. The store keeps
the newest line of the ledger that it saw, so that a ledger which lost its end is noticed, and how many of its lines
have their event in the journal.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from gateway.errors import OperationRefusedError, StoreError
from gateway.store.faces import consent as rules
from gateway.store.faces.consent import Consent
from gateway.store.faces.keys import EnrolmentKeys
from gateway.store.faces.ledger import Cause, ErasureLedger, Receipt
from runtime.log import get

LEAST_REFERENCES, MOST_REFERENCES = 1, 8
MOST_REFERENCE_BYTES = 8192  # 2048 float32, far above any embedding we know
MOST_HOLDERS = 10_000  # of one site; beyond it another design is needed
SCHEMA_VERSION = 3
UNREAD = "?"
log = get("faces")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One holder's faces as a list shows them. Where the consent cannot be read any more it has no portals, and UNREAD
    in place of who asked; such a face counts nowhere, and can be withdrawn."""

    enrolment: str
    consent: Consent
    model_sha256: str
    made_ms: int
    references: int


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference in the clear; for memory only."""

    holder: str
    portals: tuple[str, ...]
    embedding: bytes  # little-endian float32


@contextmanager
def _sentences() -> Iterator[None]:
    """What SQLite and the disk say becomes a StoreError. Also a decorator."""
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise StoreError(f"the store of faces cannot be used ({e}); check the disk") from e


class FaceStore:
    """Core's, and nobody else's. Blocking; not for use from two threads at once."""

    def __init__(self, folder: Path, now_ms: int, in_journal: tuple[int, str] | None = None) -> None:
        """`folder`: holds faces.sqlite, faces-erased.jsonl and face-keys/. `in_journal`: number and digest of the
        newest erasure whose event the journal says it has, None where it says nothing. Raises StoreError."""
        self._ledger = ErasureLedger(folder / "faces-erased.jsonl")
        self._keys = EnrolmentKeys(folder / "face-keys")
        self._db = _open(folder / "faces.sqlite")
        try:
            with _sentences():
                row = self._db.execute("SELECT number, digest, told FROM newest_erasure").fetchone()
                if row is None:
                    raise StoreError(
                        f"{folder}: the store of faces cannot be opened (its note of the newest erasure is missing);"
                        " put the last backup back"
                    )
                self._ledger.check_head(*row[:2])
                self._told: int | None = row[2]
                self.note_told(self.told(in_journal))  # before anything is erased here
                self._finish(now_ms)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @property
    def receipts(self) -> Sequence[Receipt]:
        """Every erasure, oldest first."""
        return tuple(self._ledger.receipts)

    def told(self, in_journal: tuple[int, str] | None) -> int:
        """The first so many erasures have their event. `in_journal`: as at opening.

        The journal is right where it speaks of this list, since its number is written in the events' own transaction;
        the store follows, and is right where the journal was lost or put back. Where neither knows (a folder of the
        release before) it is all of them: the center is not told of years at once.
        """
        known = [self._told] if self._told is not None else []
        if in_journal is not None and self._ledger.has(*in_journal):
            known.append(in_journal[0])
        return max(known, default=len(self._ledger.receipts))

    @_sentences()
    def note_told(self, number: int) -> None:
        """The first `number` erasures have their event: durable when this returns. Raises StoreError; then it is known
        until the end of this process."""
        self._told = number
        with _transaction(self._db):  # with the end of the list, so that a list which lacks one of them is noticed
            self._db.execute("UPDATE newest_erasure SET number = ?, digest = ?, told = ?", (*self._ledger.head, number))

    @property
    @_sentences()
    def count(self) -> int:
        """Holders whose face is stored."""
        return int(self._db.execute("SELECT count(*) FROM enrolment").fetchone()[0])

    @_sentences()
    def enrol(self, consent: Consent, references: Sequence[bytes], model_sha256: str, now_ms: int) -> Enrolment:
        """Store a holder's references under a new key; an earlier enrolment of the same holder is erased.

        Raises OperationRefusedError: what is wrong with the consent or the references. StoreError: the disk.
        """
        rules.check(consent, now_ms)
        if not LEAST_REFERENCES <= len(references) <= MOST_REFERENCES:
            raise OperationRefusedError(
                f"enrolment of {consent.holder!r}: expected {LEAST_REFERENCES} to {MOST_REFERENCES} references, got"
                f" {len(references)}; nothing was stored"
            )
        if any(not 4 <= len(r) <= MOST_REFERENCE_BYTES or len(r) % 4 for r in references):
            raise OperationRefusedError(
                f"enrolment of {consent.holder!r}: a reference is no list of float32; enrol again"
            )
        earlier = self._of(consent.holder)
        if earlier is None and self.count >= MOST_HOLDERS:
            raise OperationRefusedError(f"expected at most {MOST_HOLDERS} enrolled holders; withdraw some first")
        enrolment = secrets.token_hex(16)
        self._keys.make(enrolment)
        bound = _bound_to(enrolment, consent.holder, model_sha256)
        sealed = [self._keys.seal(enrolment, r, bound) for r in references]
        with _transaction(self._db):
            if earlier is not None:
                self._db.execute("INSERT INTO ending VALUES (?, ?)", (earlier, self._delete(earlier)))
            self._db.execute(
                "INSERT INTO enrolment VALUES (?, ?, ?, ?, ?, ?)",
                (enrolment, consent.holder, rules.encode(consent), model_sha256, now_ms, consent.until_ms),
            )
            self._db.executemany(
                "INSERT INTO reference (enrolment, sealed) VALUES (?, ?)", [(enrolment, s) for s in sealed]
            )
        try:
            self._end_replaced(now_ms)
        except (StoreError, sqlite3.Error, OSError) as e:
            # The new one is stored; `expire` or the next open ends the old one.
            log.error("the key of a replaced enrolment will be destroyed later", error=str(e))
        return Enrolment(enrolment, consent, model_sha256, now_ms, len(references))

    @_sentences()
    def enrolments(self) -> list[Enrolment]:
        """Who is enrolled, by holder."""
        rows = self._db.execute(
            "SELECT enrolment, holder, consent, model_sha256, made_ms, until_ms,"
            " (SELECT count(*) FROM reference r WHERE r.enrolment = e.enrolment) FROM enrolment e ORDER BY holder"
        )
        told = []
        for enrolment, holder, packed, model_sha256, made_ms, until_ms, references in rows:
            try:
                consent = _consent(packed, holder)
            except StoreError as e:
                log.error("a stored consent cannot be read", enrolment=enrolment, why=str(e))
                consent = Consent(holder, (), UNREAD, UNREAD, made_ms, until_ms)
            told.append(Enrolment(enrolment, consent, model_sha256, made_ms, references))
        return told

    @_sentences()
    def enrolment_of(self, holder: str) -> str | None:
        """The number of what is stored of a holder, None where nothing is."""
        return self._of(holder)

    def references(self, model_sha256: str, now_ms: int) -> Iterator[Reference]:
        """The gallery: references made by this model, of consents that hold now, without those that do not open with
        their key. In the clear: never write them."""
        for _, enrolment, opened in self._references(model_sha256, now_ms):
            if isinstance(opened, Reference):
                yield opened
            else:  # opens nothing; the others, and whoever was erased, must reach the door
                log.error("a stored face counts nowhere", enrolment=enrolment, why=str(opened))

    def references_beside(self, holder: str, model_sha256: str, now_ms: int) -> Iterator[Reference]:
        """Everybody's but this holder's, for a comparison that must leave nobody out. Raises StoreError where one does
        not open: nobody could say whether it is the same face."""
        for theirs, _, opened in self._references(model_sha256, now_ms):
            if theirs == holder:
                continue
            if isinstance(opened, StoreError):
                if isinstance(opened.__cause__, OSError):
                    raise opened  # the disk, which no withdrawal mends
                raise StoreError(
                    f"the stored face of {theirs!r} cannot be compared ({opened}); withdraw it, then enrol again"
                ) from opened
            yield opened

    def _references(self, model_sha256: str, now_ms: int) -> Iterator[tuple[str, str, Reference | StoreError]]:
        """(holder, enrolment, the reference or why it does not open), without those that are being erased."""
        with _sentences():
            rows = self._db.execute(
                "SELECT e.enrolment, e.holder, e.consent, r.sealed FROM enrolment e JOIN reference r USING (enrolment)"
                " WHERE e.model_sha256 = ? AND e.until_ms > ? ORDER BY e.holder, r.id",
                (model_sha256, now_ms),
            ).fetchall()
        for enrolment, holder, packed, sealed in rows:
            opened: Reference | StoreError
            try:
                with _sentences():
                    if not self._keys.exists(enrolment):
                        continue  # the ledger's line or the rows' end is still to come
                    consent = _consent(packed, holder)
                    plain = self._keys.open(enrolment, sealed, _bound_to(enrolment, holder, model_sha256))
                opened = Reference(holder, consent.portals, plain)
            except StoreError as e:
                opened = e
            yield holder, enrolment, opened

    @_sentences()
    def withdraw(self, holder: str, now_ms: int, cause: Cause = "withdrawn") -> Receipt:
        """Erase everything of a holder's face. Raises OperationRefusedError where nothing is stored of them."""
        enrolment = self._of(holder)
        if enrolment is None:
            raise OperationRefusedError(f"no face of {holder!r} is stored; there is nothing to erase")
        return self._erase(enrolment, cause, now_ms)

    @_sentences()
    def expire(self, now_ms: int, holders: frozenset[str] | None = None, *, certain: bool = True) -> list[Receipt]:
        """Erase what consent no longer covers (where `now_ms` is `certain`) and, where `holders` is given, who is no
        holder any more; and end erasures that failed half-way. Raises StoreError where one failed, after all others."""
        done: list[Receipt] = []
        failed: StoreError | None = None
        try:
            done = self._end_replaced(now_ms)
        except StoreError as e:
            failed = e
        rows = self._db.execute("SELECT enrolment, holder, until_ms FROM enrolment").fetchall()
        for enrolment, holder, until_ms in rows:
            cause: Cause | None = None
            try:
                with _sentences():
                    if not self._keys.exists(enrolment):
                        cause = "interrupted"
                    elif certain and until_ms <= now_ms:
                        cause = "expired"
                    elif holders is not None and holder not in holders:
                        cause = "holder-removed"
                    if cause is not None:
                        done.append(self._erase(enrolment, cause, now_ms))
            except StoreError as e:
                failed = e
        if failed is not None:
            raise failed
        return done

    def _of(self, holder: str) -> str | None:
        row = self._db.execute("SELECT enrolment FROM enrolment WHERE holder = ?", (holder,)).fetchone()
        return None if row is None else str(row[0])

    def _erase(self, enrolment: str, cause: Cause, now_ms: int) -> Receipt:
        had_key = self._keys.exists(enrolment)
        self._keys.destroy(enrolment)
        (references,) = self._db.execute("SELECT count(*) FROM reference WHERE enrolment = ?", (enrolment,)).fetchone()
        receipt = None if had_key else self._ledger.find(enrolment)  # there, where only the rows' end was refused
        if receipt is None:
            receipt = self._ledger.add(enrolment, now_ms, cause, references, key_destroyed=had_key)
        self._remove(enrolment)
        return receipt

    def _end_replaced(self, now_ms: int) -> list[Receipt]:
        """Destroy the keys of enrolments whose rows went with their replacement; each gets its receipt. Raises
        StoreError where one failed, after all others."""
        done: list[Receipt] = []
        failed: StoreError | None = None
        for enrolment, removed in self._db.execute("SELECT enrolment, removed FROM ending ORDER BY rowid").fetchall():
            try:
                with _sentences():
                    self._keys.destroy(enrolment)
                    receipt = self._ledger.find(enrolment)  # there, where only the row's end was refused
                    done.append(receipt or self._ledger.add(enrolment, now_ms, "replaced", removed, key_destroyed=True))
                    with _transaction(self._db):
                        self._db.execute("DELETE FROM ending WHERE enrolment = ?", (enrolment,))
            except StoreError as e:
                failed = e
        if done:
            self._note_newest()
        if failed is not None:
            raise failed
        return done

    def _remove(self, enrolment: str) -> None:
        with _transaction(self._db):
            self._delete(enrolment)
        self._note_newest()

    def _delete(self, enrolment: str) -> int:
        """Within a transaction; how many references there were."""
        gone = self._db.execute("DELETE FROM reference WHERE enrolment = ?", (enrolment,)).rowcount
        self._db.execute("DELETE FROM enrolment WHERE enrolment = ?", (enrolment,))
        return gone

    def _note_newest(self) -> None:
        """Keep what the ledger ends with now, and leave nothing in the log of the database."""
        with _transaction(self._db):
            self._db.execute("UPDATE newest_erasure SET number = ?, digest = ?", self._ledger.head)
        self._truncate()

    def _truncate(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _finish(self, now_ms: int) -> None:
        """Erase what the ledger says is erased (a store from a backup), and end what a power cut left half done."""
        unnamed = self._keys.finish()
        try:
            self._end_replaced(now_ms)
        except StoreError as e:  # it has no rows and opens nothing; `expire` ends it
            log.error("the key of a replaced enrolment will be destroyed later", error=str(e))
        ending = {str(row[0]) for row in self._db.execute("SELECT enrolment FROM ending")}
        stored = {str(row[0]) for row in self._db.execute("SELECT enrolment FROM enrolment")}
        for enrolment in stored:
            if enrolment in self._ledger:
                if self._keys.exists(enrolment):  # a backup brought the key back, too
                    self._erase(enrolment, "restored", now_ms)
                else:
                    self._remove(enrolment)
            elif not self._keys.exists(enrolment):  # rows come after their key: only an erasure leaves them without
                self._erase(enrolment, "interrupted", now_ms)
        # Never used, or put back by a backup.
        for enrolment in (self._keys.all() | unnamed) - stored - ending:
            self._keys.destroy(enrolment)
            if enrolment not in self._ledger:
                self._ledger.add(enrolment, now_ms, "incomplete", 0, key_destroyed=True)
        self._note_newest()


def _consent(packed: bytes, holder: str) -> Consent:
    """Raises StoreError where this is no consent of the holder."""
    try:
        consent = rules.decode(packed)
    except ValueError as e:  # msgspec's errors are, and what is no UTF-8
        raise StoreError(f"a stored consent is damaged ({e}); withdraw that face and enrol the holder again") from e
    if consent.holder != holder:
        raise StoreError("a stored consent is damaged (another holder's); withdraw that face, and enrol again")
    return consent


def _bound_to(enrolment: str, holder: str, model_sha256: str) -> bytes:
    """What a reference is bound to: moved to another holder's row it does not open."""
    return b"\0".join(part.encode() for part in ("zhian face 1", enrolment, holder, model_sha256))


def _open(file: Path) -> sqlite3.Connection:
    try:
        file.touch(mode=0o600)
        db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:
            with _transaction(db):
                for step in range(version + 1, SCHEMA_VERSION + 1):
                    _run(db, f"schema_{step}.sql" if step > 1 else "schema.sql")
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise StoreError(f"{file}: written by a newer program (version {version}); install that one")
    except (sqlite3.Error, OSError) as e:
        raise StoreError(f"{file}: the store of faces cannot be opened ({e}); put the last backup back") from e
    return db


def _run(db: sqlite3.Connection, name: str) -> None:
    for statement in resources.files(__package__).joinpath(name).read_text("utf-8").split(";"):
        db.execute(statement)


class _transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK. Raises StoreError for what SQLite refuses."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as e:
            raise StoreError(f"the store of faces cannot be written ({e}); check the disk") from e

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
                return
            except sqlite3.Error as e:
                self._db.rollback()
                raise StoreError(f"the store of faces cannot be written ({e}); check the disk") from e
        self._db.rollback()
        if isinstance(error, sqlite3.Error):
            raise StoreError(f"the store of faces cannot be written ({error}); check the disk") from error
