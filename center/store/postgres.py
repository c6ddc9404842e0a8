"""The center's store in PostgreSQL 14 or newer: one partition for each UTC day of receipt, one writer, many readers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.types.string import TextLoader

from center.config import LOOPBACK
from center.errors import StoreError
from center.store.database import record_removal
from center.store.statements import DAY_MS, EVENT_COLUMNS, EventRow, Removed, Statements

VERSION = 2
_STEPS = {1: "postgres.sql", 2: "postgres_2.sql"}  # version -> what makes it from the one before
OLDEST_SERVER = 140000
MAX_IDLE_READERS = 4
_WRITER_LOCK = 0x7A6869616E  # "zhian": the advisory lock of the one writer of a database
_CONNECT_TIMEOUT_S = 5
# Nothing may wait for ever: not for another's lock, not for a dead server, and no page's question may run on and on.
_WRITING = "-c search_path=zhian -c lock_timeout=5000 -c statement_timeout=60000 -c timezone=UTC"
_READING = "-c search_path=zhian -c lock_timeout=5000 -c statement_timeout=30000 -c timezone=UTC"
_PARTITION = re.compile(r"event_(\d{4})(\d\d)(\d\d)")


class PostgresDatabase:
    """center.store.statements.Database over a server. Connects when it is first used, and again after a loss."""

    def __init__(self, dsn: str) -> None:
        """dsn: a connection string or URI of libpq. Raises StoreError where it is none, or would trust any server."""
        try:
            parts = conninfo_to_dict(dsn)
        except psycopg.Error:
            raise StoreError(
                "store.dsn_file: expected a libpq connection string such as 'host=/run/postgresql dbname=zhian'"
            ) from None
        _check_encrypted(parts)
        self._dsn = dsn
        self._place = f"PostgreSQL {parts.get('host', 'localhost')}, database {parts.get('dbname', '(default)')}"
        self._writer: psycopg.Connection[Any] | None = None
        self._claimed = False
        self._generation = 0
        self._partitions: set[str] = set()
        self._idle: list[psycopg.Connection[Any]] = []
        self._idle_lock = threading.Lock()

    @property
    def place(self) -> str:
        """Server and database, without user or password."""
        return self._place

    @property
    def generation(self) -> int:
        """Rises with each new connection of the writer."""
        return self._generation

    @contextmanager
    def writing(self) -> Iterator[Statements]:
        """A durable transaction."""
        try:
            connection = self._open_writer()
            with connection.transaction():
                yield PostgresStatements(connection)
        except psycopg.Error as e:
            self._drop_writer_if_lost()
            raise StoreError(f"{self._place}: events cannot be stored ({_said(e)}); check the server") from e

    @contextmanager
    def reading(self) -> Iterator[Statements]:
        """A snapshot on a connection that no other thread uses meanwhile."""
        try:
            connection = self._take_reader()
        except psycopg.Error as e:
            raise StoreError(f"{self._place}: cannot be reached ({_said(e)}); check the server") from e
        try:
            with connection.transaction():
                yield PostgresStatements(connection)
        except psycopg.errors.UndefinedTable as e:
            raise StoreError(f"{self._place}: holds no store yet; start `zhian center run` first") from e
        except psycopg.Error as e:
            raise StoreError(f"{self._place}: cannot be read ({_said(e)}); check the server") from e
        finally:
            self._give_back(connection)

    def insert_events(self, statements: Statements, rows: Sequence[EventRow]) -> int:
        """COPY into the day's partition. The coverage has left out copies; a unique index of the day looks again."""
        assert isinstance(statements, PostgresStatements)
        self._partition(statements, rows[0][4])
        cursor = statements.connection.cursor()
        with cursor.copy(f"COPY event ({EVENT_COLUMNS}) FROM STDIN") as copy:  # type: ignore[arg-type]
            for row in rows:
                # The one character that PostgreSQL's text cannot hold; some gateway may send it in a version.
                copy.write_row((*row[:10], row[10].replace("\\u0000", "\\ufffd"), *row[11:]))
        return len(rows)

    def held_before(self, before_ms: int) -> Removed:
        """Whole partitions that end at this moment or before."""
        removed = Removed()
        with self.reading() as read:
            for name, day in _partitions(read):
                if _day_end_ms(day) <= before_ms:
                    removed.days[f"{day}"] = read.rows(f"SELECT count(*) FROM {name}")[0][0]  # noqa: S608
        return Removed({day: count for day, count in removed.days.items() if count})

    def remove_before(self, before_ms: int, at_ms: int) -> Removed:
        """Drop one partition a transaction, oldest first."""
        removed = Removed()
        with self.reading() as read:
            old = [(name, day) for name, day in _partitions(read) if _day_end_ms(day) <= before_ms]
        for name, day in old:
            with self.writing() as write:
                count = write.rows(f"SELECT count(*) FROM {name}")[0][0]  # noqa: S608
                write.run(f"DROP TABLE {name}")
                if count:
                    removed.days[f"{day}"] = count
                    record_removal(write, at_ms, before_ms, removed)
            self._partitions.discard(name)
        return removed

    def size_bytes(self) -> int:
        """Every table and index of the schema."""
        with self.reading() as read:
            return int(
                read.rows(
                    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n"
                    " ON n.oid = c.relnamespace WHERE n.nspname = 'zhian' AND c.relkind = 'r'"
                )[0][0]
            )

    def claim(self) -> None:
        """An advisory lock of the writer's session: it ends with the process or the connection."""
        self._claimed = True
        try:
            self._open_writer()
        except psycopg.Error as e:
            self._drop_writer_if_lost()
            raise StoreError(f"{self._place}: cannot be used as the store ({_said(e)}); check the server") from e
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        with self._idle_lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _open_writer(self) -> psycopg.Connection[Any]:
        if self._writer is not None and not self._writer.closed:
            return self._writer
        connection = self._connect(_WRITING)
        try:
            _bring_up(connection, self._place)
            if (
                self._claimed
                and not connection.execute("SELECT pg_try_advisory_lock(%s)", [_WRITER_LOCK]).fetchone()[0]
            ):  # type: ignore[index]
                raise StoreError(f"{self._place}: another center writes to this database already; stop that one first")
            # What was acknowledged must be on disk, whatever the server does by default.
            if connection.execute("SHOW synchronous_commit").fetchone()[0] == "off":  # type: ignore[index]
                connection.execute("SET synchronous_commit = on")
        except BaseException:
            connection.close()
            raise
        self._partitions.clear()
        self._generation += 1
        self._writer = connection
        return connection

    def _drop_writer_if_lost(self) -> None:
        if self._writer is not None and not _at_rest(self._writer):
            self._writer.close()
            self._writer = None

    def _connect(self, options: str) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_S,
            options=options,
            application_name="zhian-center",
            tcp_user_timeout=10_000,
            # A server whose machine dies while it works on a statement sends nothing any more: without these, the
            # kernel asks after two hours.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        connection.adapters.register_loader("jsonb", TextLoader)  # JSON is decoded by its reader, as with SQLite
        return connection

    def _take_reader(self) -> psycopg.Connection[Any]:
        with self._idle_lock:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed:
                    return connection
        connection = self._connect(_READING)
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        with self._idle_lock:
            usable = _at_rest(connection)
            if usable and len(self._idle) < MAX_IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    def _partition(self, statements: PostgresStatements, received_ms: int) -> None:
        """See that the day's partition is there. Attaching takes a lock that neither readers nor writers wait for."""
        day = datetime.fromtimestamp(received_ms // 1000, UTC).date()
        name = f"event_{day:%Y%m%d}"
        if name in self._partitions:
            return
        if not statements.rows("SELECT to_regclass(?)", (f"zhian.{name}",))[0][0]:
            end_ms = _day_end_ms(day)
            span = f"FROM ({end_ms - DAY_MS}) TO ({end_ms})"
            statements.run(f"CREATE TABLE {name} (LIKE event INCLUDING ALL)")
            statements.run(f"CREATE UNIQUE INDEX {name}_once ON {name} (epoch_id, seq)")
            statements.run(
                f"ALTER TABLE {name} ADD CONSTRAINT {name}_day"
                f" CHECK (received_ms >= {end_ms - DAY_MS} AND received_ms < {end_ms})"
            )
            statements.run(f"ALTER TABLE event ATTACH PARTITION {name} FOR VALUES {span}")
            return  # remembered once it is committed: the next call sees it there
        self._partitions.add(name)


class PostgresStatements:
    """center.store.statements.Statements over one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return self.connection.execute(_marks(sql), tuple(values)).fetchall()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """How many rows it changed."""
        return self.connection.execute(_marks(sql), tuple(values)).rowcount

    def many(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """One statement for each entry, in one round trip."""
        if values:
            self.connection.cursor().executemany(_marks(sql), values)


def _at_rest(connection: psycopg.Connection[Any]) -> bool:
    """Whether a new transaction can begin on it. A session that the server ended in the middle of `executemany` is left
    neither closed nor "broken", but in pipeline mode, in which every further query fails for ever."""
    if connection.closed or connection.broken:
        return False
    return (
        connection.info.transaction_status is TransactionStatus.IDLE
        and connection.info.pipeline_status is PipelineStatus.OFF
    )


def _marks(sql: str) -> Any:
    """`?` as psycopg spells it. No statement of ours has a `?` or `%` in it otherwise."""
    return sql.replace("?", "%s")


def _partitions(read: Statements) -> list[tuple[str, date]]:
    found = read.rows(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'zhian.event'::regclass ORDER BY 1"
    )
    named = ((name, _PARTITION.fullmatch(name)) for (name,) in found)
    return [(name, date(*map(int, match.groups()))) for name, match in named if match]


def _day_end_ms(day: date) -> int:
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return int(end.timestamp()) * 1000


def _bring_up(connection: psycopg.Connection[Any], place: str) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise StoreError(f"{place}: expected PostgreSQL 14 or newer, got {connection.info.server_version // 10000}")
    if connection.info.encoding.lower().replace("-", "") not in ("utf8", "utf_8"):
        raise StoreError(f"{place}: expected a database with the encoding UTF8, got {connection.info.encoding}")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_WRITER_LOCK + 1])  # two processes may start together
        there = connection.execute("SELECT to_regclass('zhian.schema_version')").fetchone()
        version = 0
        if there is None or there[0] is None:
            connection.execute("CREATE SCHEMA IF NOT EXISTS zhian")
        elif found := connection.execute("SELECT version FROM zhian.schema_version").fetchone():
            version = found[0]
        if version > VERSION:
            raise StoreError(f"{place}: expected schema version {VERSION}, got {version}; use the release that made it")
        for step in range(version + 1, VERSION + 1):
            connection.execute(files("center.store").joinpath(_STEPS[step]).read_text(encoding="utf-8").encode())
            connection.execute("UPDATE zhian.schema_version SET version = %s", [step])


def _check_encrypted(parts: Mapping[str, Any]) -> None:
    """A server on another machine must show who it is: a password and every event would go to whoever answers."""
    hosts = [*str(parts.get("host") or "").split(","), *str(parts.get("hostaddr") or "").split(",")]
    far = [one for one in hosts if one and one not in LOOPBACK and not one.startswith(("/", "@"))]
    if far and parts.get("sslmode") != "verify-full":
        raise StoreError(
            f"store.dsn_file: the server {far[0][:80]!r} is another machine; expected sslmode=verify-full in the"
            f" connection string, got {str(parts.get('sslmode', 'none'))[:20]!r}; add it, and sslrootcert"
        )


def _said(e: psycopg.Error) -> str:
    """The first line of what the server said, capped."""
    text = (e.diag.message_primary or str(e) or type(e).__name__).strip().split("\n")[0]
    return text[:200]
