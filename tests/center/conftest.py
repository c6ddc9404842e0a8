"""Both stores, so that the same test runs over each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, running

from center.store.database import SqliteDatabase
from center.store.postgres import PostgresDatabase
from center.store.reading import EventReading
from center.store.statements import Database
from center.store.writing import EventWriter

MakeDatabase = Callable[[], Database]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDatabase]:
    """Each call gives another handle of the same empty store."""
    made: list[Database] = []
    if request.param == "sqlite":
        path = tmp_path / "data" / "center.sqlite"

        def make() -> Database:
            made.append(SqliteDatabase(path))
            return made[-1]
    else:
        dsn = request.getfixturevalue("postgres").database()

        def make() -> Database:
            made.append(PostgresDatabase(dsn))
            return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def both_writer(make_database: MakeDatabase) -> Iterator[EventWriter]:
    with contextlib.closing(EventWriter(make_database())) as writer:
        yield writer


@pytest.fixture
def both_reading(make_database: MakeDatabase, both_writer: EventWriter) -> EventReading:
    return EventReading(make_database())
