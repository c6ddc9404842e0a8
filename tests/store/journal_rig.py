"""A journal on a disk whose mood a test sets: it may refuse, be damaged, or not answer at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test_journal import StillClock

from center.contract import catalogue
from center.contract.catalogue import Event
from gateway.ports import NewEntry
from gateway.store import database
from gateway.store.capacity import JournalLimits
from gateway.store.journal import Journal

DEADLINE_S = 15.0


class MoodyDisk:
    """A connection that passes everything on to a real one, as long as the disk is in the mood.

    `refuses` is an SQLite result code that every writing statement ends with; `answers` is cleared to make it stall.
    """

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real
        self.refuses: int | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.tried = 0
        self.inserts = threading.Event()  # cleared: writing more than one row waits
        self.inserts.set()
        self.inserting = threading.Event()

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self._mood(sql)
        return self._real.execute(sql, values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._mood(sql)
        rows = list(rows)
        if rows:
            self.inserting.set()
            self.inserts.wait(DEADLINE_S)
        return self._real.executemany(sql, rows)

    def close(self) -> None:
        self._real.close()

    def _mood(self, sql: str) -> None:
        if sql.startswith(("SELECT", "ROLLBACK")):
            return
        self.tried += 1
        self.answers.wait(DEADLINE_S)
        if self.refuses is not None:
            error = sqlite3.OperationalError("the disk refuses")
            error.sqlite_errorcode = self.refuses
            raise error


def moody(file: Path, **more: Any) -> tuple[Journal, MoodyDisk]:
    disk = MoodyDisk(database.open_for_writing(file))
    return Journal(disk, StillClock(), file, **more), disk


def small(file: Path, rows_max: int, **more: Any) -> Journal:
    limits = JournalLimits(rows_max=rows_max)
    return Journal(database.open_for_writing(file), StillClock(), file, limits=limits, **more)


def closed(number: int, portal: str = "lobby") -> NewEntry:
    """An event that a test knows again by its number."""
    return NewEntry(catalogue.PortalClosed(portal, number))


def forced(portal: str = "lobby") -> NewEntry:
    return NewEntry(catalogue.PortalForced(portal))


async def everything(journal: Journal) -> list[Event]:
    return await journal.read(1, journal.last_seq, 1_000_000)


def types(events: list[Event]) -> list[str]:
    return [catalogue.entry(event.data).type.removeprefix("zhian.") for event in events]


async def until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(0.01)  # between two looks at a condition that is not ours to await
