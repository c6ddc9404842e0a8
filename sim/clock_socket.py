"""Serves the site's wrong clock on a Unix socket: whoever connects is told the offset, at once and at each change."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import datetime, timedelta
from pathlib import Path

from sim.errors import SimError

SOCKET = "clock.sock"
MAX_CONNECTIONS = 16


def offset_until(time_of_day: str, now: datetime) -> float:
    """Seconds to add to `now` so that the clock shows the next `time_of_day` (HH:MM, local time of `now`)."""
    hour, minute = (int(part) for part in time_of_day.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if then <= now:
        then += timedelta(days=1)
    return (then - now).total_seconds()


class ClockServer:
    """The site's clock as an offset against the machine's, and whether a time server confirms it."""

    def __init__(self, path: Path, offset_s: float, *, synced: bool = True) -> None:
        self.offset_s = offset_s
        self.synced = synced
        self._path = path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen. Raises SimError."""
        self._path.unlink(missing_ok=True)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        except OSError as e:
            raise SimError(f"{self._path}: the clock socket cannot be made ({e.strerror}); check the folder") from e
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Hang up; clients keep the last offset."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.close()

    def jump(self, offset_s: float) -> None:
        """From now on the site's clock is so far off the true time."""
        self.offset_s = offset_s
        for writer in self._writers:
            self._tell(writer)

    def sync(self, *, synced: bool) -> None:
        """From now on a time server confirms the clock, or none does."""
        self.synced = synced
        for writer in self._writers:
            self._tell(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._writers.add(writer)
        try:
            self._tell(writer)
            with contextlib.suppress(ConnectionError):
                while await reader.read(256):  # clients have nothing to say; at the end they are gone
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _tell(self, writer: asyncio.StreamWriter) -> None:
        message = {"op": "clock", "offset_ms": round(self.offset_s * 1000), "synced": self.synced}
        writer.write(json.dumps(message).encode() + b"\n")
