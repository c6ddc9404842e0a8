"""The writer of the store that center.toml names."""

from __future__ import annotations

from pathlib import Path

from center.config import CenterConfig
from center.store.choice import open_database
from center.store.writing import EventWriter


def open_writer(config_file: Path, config: CenterConfig) -> EventWriter:
    """The one writer. Raises ConfigError, and StoreError where there is one already."""
    return EventWriter(open_database(config_file, config))
