"""Whole simulated sites: real processes, a real broker, the real interpreter; always stopped, never left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that mention `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in words:
                found.append(words)
    return found


@pytest.fixture
def site_folder() -> Iterator[Path]:
    """An empty folder whose path is short enough for sockets; nothing may run in it afterwards."""
    with tempfile.TemporaryDirectory(prefix="zs-") as folder:
        yield Path(folder)
        assert left_running(Path(folder)) == []
