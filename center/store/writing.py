"""The one writer: frames and states in, one commit, acknowledgements out, which cover committed rows only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from center.store.address_table import book_of
from center.store.addresses import Book
from center.store.batch import ADD_TO_TOTAL, Batch, Known, Outcome, Received
from center.store.database import SqliteDatabase
from center.store.statements import Database, Statements

__all__ = ["EventWriter", "Outcome", "Received"]
_SET_TOTAL = "INSERT INTO total (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_KEPT_EPOCHS = 20_000  # coverages held in memory; more are read again from the store


class EventWriter:
    """Stores events, each once. Used by one thread at a time; opening and closing are its own."""

    def __init__(self, database: Database | Path) -> None:
        """A path means the SQLite file there. Raises StoreError, also where another writer is at work."""
        self._database = SqliteDatabase(database) if isinstance(database, Path) else database
        self._database.claim()
        self._known: Known = {}
        self._generation = self._database.generation
        self._run = secrets.randbits(53)
        self._book = Book()
        self._book_version: int | None = None

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    def store(self, received: Sequence[Received], now_ms: int) -> Outcome:
        """Apply all of `received` in order, in one transaction. Raises StoreError; then nothing of it is stored."""
        with self._database.writing() as statements:
            if self._generation != self._database.generation:  # another center may have written meanwhile
                self._known.clear()
                self._generation = self._database.generation
            self._look_at_addresses(statements)
            batch = Batch(self._database, statements, self._known, self._book, now_ms, self._run)
            for one in received:
                batch.apply(one)
            outcome = batch.finish()
        # Only now: a transaction that failed leaves no trace in memory either.
        if len(self._known) > _KEPT_EPOCHS:
            self._known.clear()
        self._known.update(batch.touched)
        return outcome

    def note(self, moments: Mapping[str, int], more: Mapping[str, int]) -> None:
        """What other processes want to know of this one: moments (ms since 1970) replace, counts are added.

        Raises StoreError.
        """
        with self._database.writing() as write:
            write.many(_SET_TOTAL, list(moments.items()))
            write.many(ADD_TO_TOTAL, [(name, count) for name, count in more.items() if count])

    def _look_at_addresses(self, statements: Statements) -> None:
        """Another process imports them: their version says whether there are new ones."""
        found = statements.rows("SELECT value FROM total WHERE name = 'addresses'")
        version = int(found[0][0]) if found else 0
        if version != self._book_version:
            self._book = book_of(statements)
            self._book_version = version
