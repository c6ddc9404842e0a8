"""One gateway under load for `zhian chaos`: the product's journal and uplink in a process of their own, and no doors.

`python -m zhian.chaos_gateway SPEC.json`. Each event bears `p<run>-<n>` as its portal, so that it is known again at the
center. Commands on stdin, one a line: `pause`, `resume`, `clock MS` (how far the clock is off), `hang on|off` (the disk
does not answer). Reports on stdout, JSON lines: {"run","confirmed","last_seq","acked","ok","in_memory"}.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from center.contract import catalogue
from gateway.ports import NewEntry
from gateway.store import opening
from gateway.store.capacity import JournalLimits
from gateway.store.database import Connection, Cursor
from gateway.store.journal import Journal
from gateway.store.reserve import Reserve
from gateway.uplink.uplink import Timing, Uplink, UplinkSettings
from runtime import log, stop, systemd

ALARM_EVERY = 10
REPORT_EVERY_S = 0.05
RESERVE_BYTES = 1 << 20
FAST = Timing(reconnect_min_s=0.05, reconnect_max_s=0.5, resend_after_s=1.0, heartbeat_s=2.0)


class Spec(msgspec.Struct, forbid_unknown_fields=True):
    """What the campaign wants of this gateway."""

    database: str
    port: int
    district: str
    site: str
    gateway: str
    password: str
    client_id: str
    rate: float  # events a second
    rows_max: int


class JumpingClock:
    """gateway.ports.Clock that can be set wrong."""

    certain = True
    offset_ms = 0

    def now_ms(self) -> int:
        return max(0, time.time_ns() // 1_000_000 + self.offset_ms)

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)


class HangingDisk:
    """A connection whose statements do not come back while `answers` is not set."""

    def __init__(self, real: Connection, answers: threading.Event) -> None:
        self._real = real
        self._answers = answers

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        self._answers.wait()
        return self._real.execute(sql, values)

    def executemany(self, sql: str, rows: Any, /) -> Cursor:
        self._answers.wait()
        return self._real.executemany(sql, rows)

    def close(self) -> None:
        self._real.close()


class Load:
    """Records events one after the other at a rate, and says how far it is."""

    def __init__(self, spec: Spec, journal: Journal, clock: JumpingClock, disk_answers: threading.Event) -> None:
        self._disk_answers = disk_answers
        self._spec = spec
        self._journal = journal
        self._clock = clock
        self._run = secrets.token_hex(3)
        self._confirmed = 0
        self._going = asyncio.Event()
        self._going.set()

    async def make(self) -> None:
        """Until cancelled."""
        made = 0
        while True:
            await self._going.wait()
            made += 1
            portal = f"p{self._run}-{made}"
            alarm = made % ALARM_EVERY == 0
            fact = catalogue.PortalForced(portal) if alarm else catalogue.PortalOpened(portal)
            await self._journal.record([NewEntry(fact)], late_ok=True)
            if self._journal.ok:
                self._confirmed = made
            await asyncio.sleep(1 / self._spec.rate)

    async def report(self) -> None:
        """Until cancelled."""
        while True:
            journal = self._journal
            state = {
                "run": self._run,
                "confirmed": self._confirmed,
                "last_seq": journal.last_seq,
                "acked": journal.acked_upto,
                "ok": journal.ok,
                "in_memory": journal.in_memory + sum(len(events) for _, events in journal.early()),
            }
            sys.stdout.write(json.dumps(state) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(REPORT_EVERY_S)

    async def obey(self) -> None:
        """Commands on stdin, until it ends."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            match line.decode().split():
                case ["pause"]:
                    self._going.clear()
                case ["resume"]:
                    self._going.set()
                case ["clock", offset_ms]:
                    self._clock.offset_ms = int(offset_ms)
                case ["hang", "on"]:
                    self._disk_answers.clear()
                case ["hang", "off"]:
                    self._disk_answers.set()


async def main(file: Path) -> None:
    """Until cancelled."""
    spec = msgspec.json.decode(await asyncio.to_thread(file.read_bytes), type=Spec)
    database = Path(spec.database)
    clock = JumpingClock()
    opened = await asyncio.to_thread(opening.open_store, database)
    answers = threading.Event()
    answers.set()
    journal = Journal(
        HangingDisk(opened.connection, answers) if opened.connection is not None else None,
        clock,
        database,
        limits=JournalLimits(rows_max=spec.rows_max),
        trouble=opened.trouble,
        reserve=Reserve(database, RESERVE_BYTES),
    )
    settings = UplinkSettings(
        host="127.0.0.1",
        port=spec.port,
        district=spec.district,
        site=spec.site,
        gateway=spec.gateway,
        client_id=spec.client_id,
        username=spec.gateway,
        password=spec.password,
        simulated=True,
    )
    load = Load(spec, journal, clock, answers)
    await journal.mark_running()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Uplink(settings, journal, clock, FAST).run())
            tasks.create_task(load.make())
            tasks.create_task(load.report())
            tasks.create_task(load.obey())
            systemd.ready(spec.gateway)
    finally:
        await journal.close()


if __name__ == "__main__":
    log.set_up("chaos-gateway")
    asyncio.run(stop.until_signalled(main(Path(sys.argv[1]))))
