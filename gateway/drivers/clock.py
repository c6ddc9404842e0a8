"""The machine's clock, held to what is known: never below the newest stored time."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from runtime.log import get

# Nothing of this program ran before it was written: a wall clock below this is a Pi without a battery.
EARLIEST_PLAUSIBLE_MS = int(datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
# A time server sets a clock back by less than this without anything being wrong.
TOLERANCE_MS = 2_000

MAX_LINE_BYTES = 4096
FIRST_WORD_S = 2.0
AGAIN_S = 0.5

log = get("clock")


class SystemClock:
    """Implements ports.Clock. `newest_stored_ms` is the newest time in the journal when core starts."""

    def __init__(self, timezone: str, newest_stored_ms: int) -> None:
        self._zone = ZoneInfo(timezone)
        self._floor_ms = max(newest_stored_ms, EARLIEST_PLAUSIBLE_MS)

    @property
    def certain(self) -> bool:
        """False while the wall clock is behind a time that has certainly passed."""
        return self._wall_ms() >= self._floor_ms - TOLERANCE_MS

    def now_ms(self) -> int:
        """Unix milliseconds, never below the floor and never backwards."""
        self._floor_ms = max(self._floor_ms, self._wall_ms())
        return self._floor_ms

    def monotonic_ms(self) -> int:
        """Milliseconds for time-outs."""
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        """`now_ms` as local time of the site."""
        return datetime.fromtimestamp(self.now_ms() / 1000, self._zone)

    def _wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class _Told(msgspec.Struct, tag="clock", tag_field="op", forbid_unknown_fields=True):
    offset_ms: Annotated[int, Meta(ge=-(1 << 52), le=1 << 52)]


class SimulatedClock(SystemClock):
    """The machine's clock plus what the simulator says at `path` (docs/sim-wire.md). Only on a simulated site.

    The first word is waited for at construction, so that a clock that is wrong from the start is wrong from the start.
    """

    def __init__(self, timezone: str, newest_stored_ms: int, path: Path) -> None:
        super().__init__(timezone, newest_stored_ms)
        self._path = path
        self._offset_ms = 0
        self._first_word()

    async def follow(self) -> None:
        """Take every further change, until cancelled. A world that is away leaves the clock as it is."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
            except OSError:
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                while line := await reader.readline():
                    self._take(line)
            except (OSError, ValueError) as e:
                log.warning("the simulated clock said what cannot be read", error=str(e))
            finally:
                writer.close()
            await asyncio.sleep(AGAIN_S)

    def _first_word(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as world:
            world.settimeout(FIRST_WORD_S)
            try:
                world.connect(str(self._path))
                with world.makefile("rb") as lines:
                    self._take(lines.readline(MAX_LINE_BYTES))
            except (OSError, ValueError) as e:
                log.warning("the simulated clock does not answer; the machine's clock is used", error=str(e))

    def _take(self, line: bytes) -> None:
        """Raises ValueError for a line that is not one of the protocol."""
        told = msgspec.json.decode(line, type=_Told)
        if told.offset_ms != self._offset_ms:
            self._offset_ms = told.offset_ms
            log.info("the simulated clock was set", offset_ms=told.offset_ms)

    def _wall_ms(self) -> int:
        return super()._wall_ms() + self._offset_ms


Kind = Literal["real", "simulated"]


def open_clock(timezone: str, newest_stored_ms: int, kind: Kind, simulated: Path | None) -> SystemClock:
    """The site's clock; `simulated` is the simulator's socket, ignored unless the site is a simulated one."""
    if simulated is not None and kind == "simulated":
        return SimulatedClock(timezone, newest_stored_ms, simulated)
    return SystemClock(timezone, newest_stored_ms)
