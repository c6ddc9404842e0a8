"""A session that the server ends in the middle of a transaction costs that transaction, and not the next one."""

from __future__ import annotations

import contextlib

import psycopg
import pytest
from postgres_server import PostgresServer

from center.errors import StoreError
from center.store.postgres import PostgresDatabase


@pytest.mark.parametrize("left", ["ended", "in pipeline mode", "in a transaction"])
def test_the_next_transaction_works_whatever_was_left(postgres: PostgresServer, left: str) -> None:
    dsn = postgres.database()
    with contextlib.closing(PostgresDatabase(dsn)) as database:
        database.claim()
        with pytest.raises(StoreError, match="check the server"):
            _broken_off(database, dsn, left)
        for attempt in range(50):
            try:
                with database.writing() as write:
                    write.run("INSERT INTO total VALUES ('later', 1)")
                break
            except StoreError:  # the server frees the lock of the session that it ended a moment later
                assert attempt < 49
        with database.reading() as read:
            assert read.rows("SELECT name FROM total WHERE name IN ('here', 'later')") == [("later",)]


def _broken_off(database: PostgresDatabase, dsn: str, left: str) -> None:
    with database.writing() as write:
        write.run("INSERT INTO total VALUES ('here', 1)")
        session = write.connection  # type: ignore[attr-defined]
        if left == "ended":
            with psycopg.connect(dsn, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])
            write.many("INSERT INTO total VALUES (?, 2)", [(f"many-{n}",) for n in range(2000)])
        elif left == "in pipeline mode":
            session.pgconn.enter_pipeline_mode()
            raise psycopg.OperationalError("sending query failed: cannot exit pipeline mode while busy")
        else:
            session.execute("SELECT no_such_column FROM total")
