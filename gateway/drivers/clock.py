"""The machine's clock, held to what is known: never below the newest stored time, and believed only where that is
justified (`certainty.py`)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from gateway.drivers import kernel_time
from gateway.drivers.certainty import Anchor, Certainty, Reading, Trust, look
from runtime.log import get

# Nothing of this program ran before it was written: a wall clock below this is a Pi without a battery.
EARLIEST_PLAUSIBLE_MS = int(datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)

MAX_LINE_BYTES = 4096
FIRST_WORD_S = 2.0
AGAIN_S = 0.5

log = get("clock")


class _Known(msgspec.Struct, forbid_unknown_fields=True):
    """When the time was last known, and since when a time server's is doubted, as kept over a restart of core; of no
    use after a restart of the machine."""

    boot: str
    wall_ms: int | None = None
    since_boot_ms: int = 0
    doubted_since_ms: int | None = None


class SystemClock:
    """Implements ports.Clock. `newest_stored_ms` is the newest time in the journal when core starts.

    trust: "synchronised" believes a clock that a time server has set in this boot, "hardware" also one that nobody has
    set but that has a battery. `wall_ms`, `since_boot_ms` and `synchronised` are the machine's, or a test's.
    """

    def __init__(
        self,
        timezone: str,
        newest_stored_ms: int,
        trust: Trust = "synchronised",
        *,
        wall_ms: Callable[[], int] = kernel_time.wall_ms,
        since_boot_ms: Callable[[], int] = kernel_time.since_boot_ms,
        synchronised: Callable[[], bool] = kernel_time.synchronised,
    ) -> None:
        self._zone = ZoneInfo(timezone)
        self._trust = trust
        self._wall_ms = wall_ms
        self._since_boot_ms = since_boot_ms
        self._synchronised = synchronised
        floor = Anchor(max(newest_stored_ms, EARLIEST_PLAUSIBLE_MS), since_boot_ms())
        self._certainty = Certainty(floor, stored=newest_stored_ms > 0)

    @property
    def certain(self) -> bool:
        """Whether the time is known; see docs/time.md."""
        self._look()
        return not self._certainty.cause

    @property
    def cause(self) -> str:
        """Why it is not, as a machine word; "" where it is."""
        self._look()
        return self._certainty.cause

    @property
    def offset_ms(self) -> int:
        """How far off the time was when it was last corrected."""
        return self._certainty.offset_ms

    def now_ms(self) -> int:
        """Unix milliseconds, never below the floor; while the time is not known, a lower bound that runs on."""
        reading = self._look()
        return self._certainty.now_ms(reading)

    def monotonic_ms(self) -> int:
        """Milliseconds for time-outs."""
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        """`now_ms` as local time of the site, whatever zone the machine is set to."""
        return datetime.fromtimestamp(self.now_ms() / 1000, self._zone)

    @property
    def doubted(self) -> bool:
        """Whether a time server vouches for a time that is below what is stored."""
        self._look()
        return self._certainty.doubted_since_ms is not None

    def known(self) -> str | None:
        """What to keep for `remember` after a restart of core; None where there is nothing."""
        anchor, doubted_since_ms, boot = self._certainty.anchor, self._certainty.doubted_since_ms, kernel_time.boot()
        if not boot or (anchor is None and doubted_since_ms is None):
            return None
        known = _Known(boot, doubted_since_ms=doubted_since_ms)
        if anchor is not None:
            known.wall_ms, known.since_boot_ms = anchor.wall_ms, anchor.monotonic_ms
        return msgspec.json.encode(known).decode()

    def remember(self, kept: str | None) -> None:
        """Take up `known` of the last run, if the machine was not started again since."""
        if kept is None:
            return
        try:
            known = msgspec.json.decode(kept, type=_Known)
        except msgspec.MsgspecError as e:
            log.warning("the time that the last run knew cannot be read", error=str(e))
            return
        if known.boot == kernel_time.boot() != "":
            anchor = None if known.wall_ms is None else Anchor(known.wall_ms, known.since_boot_ms)
            self._certainty = replace(self._certainty, anchor=anchor, doubted_since_ms=known.doubted_since_ms)

    def _look(self) -> Reading:
        # The wall clock first: one that is set by hand in between is then no longer said to be synchronised.
        reading = Reading(self._wall_ms(), self._since_boot_ms(), self._synchronised())
        self._certainty = look(self._certainty, reading, self._trust)
        return reading


class _Told(msgspec.Struct, tag="clock", tag_field="op", forbid_unknown_fields=True):
    offset_ms: Annotated[int, Meta(ge=-(1 << 52), le=1 << 52)]
    synced: bool = True


class SimulatedClock(SystemClock):
    """The machine's clock plus what the simulator says at `path` (docs/sim-wire.md). Only on a simulated site.

    The first word is waited for at construction, so that a clock that is wrong from the start is wrong from the start.
    """

    def __init__(self, timezone: str, newest_stored_ms: int, path: Path) -> None:
        self._path = path
        self._told = _Told(0)
        self._first_word()
        super().__init__(
            timezone,
            newest_stored_ms,
            wall_ms=lambda: kernel_time.wall_ms() + self._told.offset_ms,
            synchronised=lambda: self._told.synced,
        )

    def remember(self, kept: str | None) -> None:
        """Nothing: the world says at once how the clock is."""

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
        if told != self._told:
            self._told = told
            log.info("the simulated clock was set", offset_ms=told.offset_ms, synced=told.synced)


Kind = Literal["real", "simulated"]


def open_clock(
    timezone: str, newest_stored_ms: int, kind: Kind, simulated: Path | None, trust: Trust = "synchronised"
) -> SystemClock:
    """The site's clock; `simulated` is the simulator's socket, ignored unless the site is a simulated one."""
    if simulated is not None and kind == "simulated":
        return SimulatedClock(timezone, newest_stored_ms, simulated)
    return SystemClock(timezone, newest_stored_ms, trust)
