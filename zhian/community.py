"""A whole simulated site and its district center as processes: what `zhian demo` and `zhian sim run` have in common."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from center.contract.catalogue import CATALOGUE, Severity
from center.store.reading import EventReading
from gateway.store.reading import JournalReading
from runtime.errors import UserError
from sim.power import SOCKET
from zhian.power_switches import PowerSwitches
from zhian.site_files import Ports, SiteFiles
from zhian.site_files import free_port as free_port
from zhian.supervisor import Command, Supervisor

DRAIN_TIMEOUT_S = 15.0
PAGE = 500  # events read at once
FIRST_PORTS = Ports(mqtt=1883, gateway_page=8080, center_page=8090, world_page=8070)
ZHIAN = (sys.executable, "-m", "zhian")
_ALARMS = (Severity.ALARM, Severity.LIFE_SAFETY)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was made, what arrived, and what it was about."""

    events_made: int
    events_stored: int
    lost: int
    duplicated: int
    granted: int
    denied: int
    plates_read: int
    alarms: int
    unknown: int = 0  # stored at the center, and made by nobody here

    def plain(self) -> dict[str, int]:
        """As the JSON object of `zhian demo --json`."""
        return asdict(self)


def taken(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


class Community:
    """Starts the processes in the order in which they need each other, and stops them so that nothing is lost."""

    def __init__(self, files: SiteFiles, say: Callable[[str], None], page_token: str | None) -> None:
        self.files = files
        self._say = say
        self._token = page_token
        self.supervisor = Supervisor(files.folder, self._said)
        self._power = PowerSwitches(files.folder / "run" / SOCKET, self.supervisor)

    def commands(self, *, loop: bool) -> list[Command]:
        """Every process as a command line. Pages only where a token was given."""
        f = self.files
        gateway, center = ("--config", str(f.gateway_toml)), ("--config", str(f.center_toml))
        pages = {"ZHIAN_PAGE_TOKEN": self._token} if self._token else {}
        world = [*ZHIAN, "sim", "world", "--scenario", str(f.scenario), "--site", str(f.folder)]
        world += ["--loop"] if loop else []
        world += ["--port", str(f.ports.world_page)] if pages else []
        if not f.has_gateway:
            return [Command("world", world, pages)]
        commands = [
            Command("broker", [*ZHIAN, "broker", "run", *center]),
            Command("center", [*ZHIAN, "center", "run", *center]),
            Command("world", world, pages),
            Command("core", [*ZHIAN, "gateway", "run", *gateway]),
        ]
        if f.has_cameras:
            commands.append(Command("vision", [*ZHIAN, "vision", "run", *gateway]))
        if pages:
            commands.append(Command("center-page", [*ZHIAN, "center", "web", *center], pages))
            commands.append(Command("gateway-page", [*ZHIAN, "web", "run", *gateway], pages))
        return commands

    async def start(self, commands: list[Command]) -> None:
        """Start all, each when the one before is ready, saying how long it took. On failure nothing is left running.

        Raises UserError with the end of the failed part's log.
        """
        try:
            await self._power.start()
            for command in commands:
                took_s = await self.supervisor.start(command)
                self._say(f"  {command.name:<13} ready after {took_s:4.1f} s")
        except BaseException:
            await self._power.close()
            await self.supervisor.stop()
            raise

    async def stop(self) -> Tally:
        """Stop core once the center has what it made, then count, then stop the rest.

        Core goes first: stopping the world under it would be reported, rightly, as devices lost.
        """
        await self._drain()
        await self.supervisor.stop("gateway-page", "core")
        await self._settle()
        tally = await asyncio.to_thread(self.tally)
        await self._power.close()
        await self.supervisor.stop()
        self._note(tally)
        return tally

    def tally(self) -> Tally:
        """Compare both databases, event by event. Whatever the center has not stored counts as lost."""
        if not self.files.has_gateway:
            return Tally(0, 0, 0, 0, 0, 0, 0, 0)
        gateway = JournalReading(self.files.gateway_database, see_duress=True)
        made, identities = gateway.counts(), gateway.identities()
        gateway.close()
        events = {str(event["id"]): event for event in stored_events(self.files)}
        stored, ids = set(events), {f"{epoch}-{seq}" for epoch, seq in identities}
        # An alarm that left while nothing could be stored is only at the center where power was cut before that healed.
        ids |= {one for one in stored if not one.startswith(made.epoch) and events[one]["severity"] in _ALARMS}
        alarms = sum(made.by_type.get(e.type, 0) for e in CATALOGUE.values() if e.severity in _ALARMS)
        return Tally(
            events_made=len(ids),
            events_stored=len(stored),
            lost=len(ids - stored),
            duplicated=EventReading(self.files.center_database).counts().duplicated,
            granted=made.by_type.get("zhian.access.granted", 0),
            denied=made.by_type.get("zhian.access.denied", 0),
            plates_read=made.by_type.get("zhian.vehicle.seen", 0),
            alarms=alarms,
            unknown=len(stored - ids),
        )

    def _note(self, tally: Tally) -> None:
        """The last line of world.jsonl: what was made and what was stored, for the expectations."""
        path = self.files.folder / "world.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        t_ms = json.loads(lines[-1])["t_ms"] if lines else 0.0
        fact = {"t_ms": t_ms, "unix_ms": time.time_ns() // 1_000_000, "kind": "site.counted", "subject": "gateway"}
        with path.open("a", encoding="utf-8") as world:
            counted = {"made": tally.events_made, "stored": tally.events_stored}
            world.write(json.dumps(fact | counted | {"lost": tally.lost, "unknown": tally.unknown}) + "\n")

    async def _drain(self) -> None:
        """Wait until the gateway's journal is acknowledged to its end."""
        reading = JournalReading(self.files.gateway_database, see_duress=True)

        def waiting() -> bool:
            counts = reading.counts()
            return counts.acked_upto < counts.made

        await self._until(waiting)
        reading.close()

    async def _settle(self) -> None:
        """Wait until the center has stored as much as was made; what exactly is compared after that."""
        gateway = JournalReading(self.files.gateway_database, see_duress=True)
        center = EventReading(self.files.center_database)

        def waiting() -> bool:
            made = gateway.counts()
            return center.counts().stored < made.made + made.early

        await self._until(waiting)
        gateway.close()

    async def _until(self, waiting: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                if not await asyncio.to_thread(waiting):
                    return
            except UserError:
                return  # the database was never made: there is nothing to wait for
            await asyncio.sleep(0.05)

    def _said(self, name: str, line: str) -> None:
        """A page prints a new token when the first was used; everything else belongs to the logs."""
        if line.startswith("PAGE ") and self._token is not None and self._token not in line:
            self._say(f"  {line}")
        with (self.files.log / f"{name}.out").open("a", encoding="utf-8") as log:
            log.write(line + "\n")


def stored_events(files: SiteFiles) -> list[dict[str, object]]:
    """Everything the center stored, oldest first, with the names that events have at every egress."""
    if not files.has_gateway:
        return []
    reading = EventReading(files.center_database)
    found: list[dict[str, object]] = []
    before: int | None = None
    while page := reading.newest(limit=PAGE, before_row=before):
        before = min(e.row for e in page)
        found += [
            {
                "id": f"{e.epoch}-{e.seq}",
                "source": f"/{e.district}/{e.site}/{e.gateway}",
                "type": e.type,
                "subject": e.subject,
                "time_ms": e.time_ms,
                "severity": e.severity,
                "clock": "synced" if e.clock_certain else "uncertain",
                "data": e.data,
            }
            for e in sorted(page, key=lambda e: -e.row)
        ]
    return found[::-1]


def check_platform() -> None:
    """Refuse in one sentence where the demo cannot run."""
    if sys.platform != "linux":
        raise UserError(f"the simulated site needs Linux (pseudo-terminals, /proc), this is {sys.platform}; use Linux")


def short_folder(folder: Path) -> None:
    """Refuse a folder in which Unix sockets would not fit. Raises UserError."""
    longest = len(str(folder / "run" / "notify-gateway-page"))
    if longest > 107:  # sun_path, unix(7)
        raise UserError(f"{folder}: this path is {longest - 107} characters too long for sockets; choose a shorter one")
