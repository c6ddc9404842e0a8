"""What the stores can do without us, for the center's rows: a bare table, and the product's own table filled bare.

The bare table has no index and rows made beforehand: what the disk and the database can do at best. The product's table
has the columns and indexes that searching, cursors and the second look at copies need; filled with finished rows it is
the floor of any center that keeps them: what remains above it is our own work.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from center.contract.catalogue import Severity, entry, subject
from center.contract.frame import FrameDecoder
from center.contract.topics import parse
from center.store.database import SqliteDatabase
from center.store.statements import EVENT_COLUMNS, Database, EventRow

RAW_BATCH = 1000  # rows of one durable commit
_RECEIVED_MS = 1_790_000_000_000
_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
_BARE_COLUMNS = 11  # as many as an event without its address


def rows_of(frames: Iterable[tuple[str, bytes]]) -> list[EventRow]:
    """(topic, frame) as rows of the product's table, without one of its store's steps."""
    decoder = FrameDecoder()
    made: list[EventRow] = []
    epochs: dict[str, int] = {}
    for topic, frame in frames:
        name, decoded = parse(topic)[0], decoder.decode(frame)
        epoch = epochs.setdefault(topic, len(epochs) + 1)
        for event in decoded.events:
            told = entry(event.data)
            about = subject(event.data, name.gateway)
            data = msgspec.json.encode(msgspec.structs.asdict(event.data)).decode()
            when = (event.seq, event.time_ms, _RECEIVED_MS, event.clock_certain)
            what = (told.type, _RANKS[told.severity], about, data, None, None)
            made.append((len(made) + 1, epoch, *when, False, *what))
    return made


def bare_sqlite_per_s(file: Path, rows: Sequence[EventRow]) -> float:
    """Rows a second: no index, WAL, synchronous FULL, RAW_BATCH a commit."""
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute(f"CREATE TABLE event ({', '.join(f'c{n}' for n in range(_BARE_COLUMNS))})")
        insert = f"INSERT INTO event VALUES ({', '.join('?' * _BARE_COLUMNS)})"  # noqa: S608
        narrow = [row[:_BARE_COLUMNS] for row in rows]
        began = time.perf_counter()
        for first in range(0, len(narrow), RAW_BATCH):
            raw.execute("BEGIN")
            raw.executemany(insert, narrow[first : first + RAW_BATCH])
            raw.execute("COMMIT")
        return len(rows) / (time.perf_counter() - began)


def own_sqlite_per_s(file: Path, rows: Sequence[EventRow]) -> float:
    """Rows a second into the product's table with its indexes, by a plain executemany, RAW_BATCH a commit."""
    database = SqliteDatabase(file)
    insert = f"INSERT INTO event ({EVENT_COLUMNS}) VALUES ({', '.join('?' * len(rows[0]))})"  # noqa: S608
    try:
        _make_epochs(database, rows)
        began = time.perf_counter()
        for first in range(0, len(rows), RAW_BATCH):
            with database.writing() as write:
                write.many(insert, rows[first : first + RAW_BATCH])
        return len(rows) / (time.perf_counter() - began)
    finally:
        database.close()


def bare_copy_per_s(dsn: str, rows: Sequence[EventRow]) -> float:
    """Rows a second: one COPY into a table without an index, and its durable commit."""
    import psycopg

    with psycopg.connect(dsn) as raw:
        raw.execute("DROP TABLE IF EXISTS bench_bare")
        raw.execute(
            "CREATE TABLE bench_bare (a bigint, b bigint, c bigint, d bigint, e bigint, f boolean, g boolean,"
            " h text, i smallint, j text, k jsonb)"
        )
        raw.commit()
        narrow = [row[:_BARE_COLUMNS] for row in rows]
        began = time.perf_counter()
        with raw.cursor().copy("COPY bench_bare FROM STDIN") as copy:
            for row in narrow:
                copy.write_row(row)
        raw.commit()
        took_s = time.perf_counter() - began
        raw.execute("DROP TABLE bench_bare")
    return len(rows) / took_s


def own_copy_per_s(dsn: str, rows: Sequence[EventRow]) -> float:
    """Rows a second: one COPY into the product's partition with its indexes. The store must be empty; it is again."""
    from center.store.postgres import PostgresDatabase

    database = PostgresDatabase(dsn)
    try:
        with database.writing() as write:  # the partition is made, and remembered, before the clock runs
            database.insert_events(write, rows[:1])
            write.run("TRUNCATE event")
        began = time.perf_counter()
        with database.writing() as write:
            database.insert_events(write, rows)
        took_s = time.perf_counter() - began
        with database.writing() as write:
            write.run("TRUNCATE event")
    finally:
        database.close()
    return len(rows) / took_s


def _make_epochs(database: Database, rows: Sequence[EventRow]) -> None:
    epochs = sorted({row[1] for row in rows})
    with database.writing() as write:
        write.many(
            "INSERT INTO gateway (id, district, site, gateway) VALUES (?, 'east', 'bench', ?)",
            [(epoch, f"gw-{epoch}") for epoch in epochs],
        )
        write.many("INSERT INTO epoch (id, gateway_id, epoch) VALUES (?, ?, ?)", [(e, e, f"{e:016x}") for e in epochs])
