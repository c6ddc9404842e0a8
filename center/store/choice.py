"""The database that center.toml names, for reading and for the tools."""

from __future__ import annotations

from pathlib import Path

from center import config as configuration
from center.config import CenterConfig
from center.errors import StoreError
from center.store.database import SqliteDatabase
from center.store.reading import EventReading
from center.store.statements import Database


def open_database(config_file: Path, config: CenterConfig) -> Database:
    """The database, not connected yet. Raises ConfigError, StoreError."""
    if config.store.kind == "sqlite":
        return SqliteDatabase(configuration.database_file(config_file, config))
    if not config.store.dsn_file:
        raise StoreError("store.dsn_file: this key is missing; name the file that holds the connection string")
    dsn_file = configuration.resolve(config_file, config.store.dsn_file)
    dsn = configuration.read_secret(dsn_file, "connection string of PostgreSQL")
    try:
        from center.store.postgres import PostgresDatabase
    except ImportError:
        raise StoreError(
            "store.kind = 'postgresql' needs the package psycopg: pip install 'zhian[postgresql]'"
        ) from None
    return PostgresDatabase(dsn)


def open_reading(config_file: Path, config: CenterConfig) -> EventReading:
    """For pages, exports and webhooks."""
    return EventReading(open_database(config_file, config))
