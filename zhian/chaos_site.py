"""The processes of a chaos campaign: a broker, a center and gateways under load, each started again however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from center.store.database import SqliteDatabase
from center.store.statements import Database
from runtime.errors import UserError
from sim.network import Ends, Network
from zhian.chaos_core import Core
from zhian.chaos_part import Part
from zhian.postgres_server import PostgresServer

DISTRICT, SITE = "chaos", "garden"
CORE = "gw-core"
Store = Literal["sqlite", "postgresql"]
START_DEADLINE_S = 60.0
SETTLE_DEADLINE_S = 180.0
HOSTILE = "gw-hostile"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Gateway:
    """A gateway under load, its line to the broker, and what it last said of itself."""

    def __init__(self, folder: Path, name: str, broker_port: int, password: str, rate: float, rows_max: int) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.database = self.folder / "gateway.sqlite"
        self.ends = Ends(listen=free_port(), broker=broker_port)
        self.network = Network(self.ends, lambda *_, **__: None)
        self.said: dict[str, Any] = {}
        self.said_at = 0.0
        self.confirmed: dict[str, int] = {}  # run -> highest number that was durable when it said so
        spec = {
            "database": str(self.database),
            "port": self.ends.listen,
            "district": DISTRICT,
            "site": SITE,
            "gateway": name,
            "password": password,
            "client_id": f"client-of-{name}-{secrets.token_hex(8)}",
            "rate": rate,
            "rows_max": rows_max,
        }
        file = self.folder / "spec.json"
        file.write_text(json.dumps(spec))
        words = [sys.executable, "-m", "zhian.chaos_gateway", str(file)]
        self.part = Part(name, words, self.folder / "log", self._heard)

    @property
    def settled(self) -> bool:
        """Everything it made is acknowledged, and it has said so after the last command."""
        said = self.said
        return bool(said) and said["ok"] and not said["in_memory"] and said["acked"] == said["last_seq"] > 0

    def at_rest(self) -> bool:
        """Whether its file says that everything in it is acknowledged."""
        with contextlib.closing(sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True)) as journal:
            (made,) = journal.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
            (acked,) = journal.execute("SELECT value FROM meta WHERE key = 'acked_upto'").fetchone()
            (early,) = journal.execute("SELECT count(*) FROM early WHERE acked = 0").fetchone()
        return self.settled and made == int(acked) and not early

    def copy_database(self, folder: Path) -> None:
        """A copy of its files as they are; nothing may run."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in self.folder.glob("gateway.sqlite*"):
            shutil.copy(file, folder / file.name)

    def put_back(self, folder: Path) -> None:
        """What `copy_database` made takes the place of what is there."""
        for file in self.folder.glob("gateway.sqlite*"):
            file.unlink()
        for file in folder.iterdir():
            shutil.copy(file, self.folder / file.name)

    async def repair(self) -> None:
        """The network and the disk are well again."""
        self.part.disk(full=False)
        self.part.tell("hang off")
        self.part.on()
        await self.network.close()
        self.network = Network(self.ends, lambda *_, **__: None)
        await self.network.start()

    def _heard(self, line: bytes) -> None:
        with contextlib.suppress(ValueError):  # cut off by a kill
            self.said = json.loads(line)
            self.said_at = time.monotonic()
            run = self.said["run"]
            self.confirmed[run] = max(self.confirmed.get(run, 0), self.said["confirmed"])


class Site:
    """All of it in one folder."""

    def __init__(
        self, folder: Path, gateways: int, rate: float, tight_rows: int, store: Store = "sqlite", *, core: bool = True
    ) -> None:
        """store: the center's. core: one more gateway, a whole core at two doors of the simulator's world."""
        self.folder = folder
        self.port = free_port()
        self._store = store
        self._server: PostgresServer | None = None
        self.postgres: Part | None = None  # the database server, where that is the store
        names = [f"gw-{i}" for i in range(1, gateways + 1)]
        folder.mkdir(parents=True, exist_ok=True)
        if store == "postgresql":
            # Not in `folder`, whose path may be too long for a socket and closed to the server's user.
            self._server = PostgresServer(Path(tempfile.mkdtemp(prefix="zhian-pg-")))
            self.postgres = Part("postgres", self._server.words, folder / "postgres.log")
        self._write_center([*names, HOSTILE, CORE])
        self.gateways = [
            # The last one has a small journal, so that an outage really costs it events, which it must report.
            Gateway(folder, name, self.port, self.password(name), rate, tight_rows if name == names[-1] else 200_000)
            for name in names
        ]
        zhian = [sys.executable, "-m", "zhian"]
        config = ["--config", str(folder / "center.toml")]
        self.broker = Part("broker", [*zhian, "broker", "run", *config], folder / "broker.log")
        self.center = Part("center", [*zhian, "center", "run", *config], folder / "center.log")
        self.core = Core(folder, self.port, (DISTRICT, SITE, CORE), self.password(CORE)) if core else None
        self.damaged = 0  # times that the center's file was damaged

    @property
    def parts(self) -> list[Part]:
        """Every process that can be killed."""
        database = [self.postgres] if self.postgres else []
        whole = [self.core.part] if self.core else []
        return [*database, self.broker, self.center, *whole, *(gateway.part for gateway in self.gateways)]

    @property
    def database(self) -> Path:
        """The center's."""
        return self.folder / "data" / "center.sqlite"

    def password(self, user: str) -> str:
        """Of a user of the broker."""
        return f"password-of-{user}-0123456789"

    def open_database(self) -> Database:
        """The center's store, for reading."""
        if self._server is None:
            return SqliteDatabase(self.database)
        from center.store.postgres import PostgresDatabase

        return PostgresDatabase(self._server.dsn)

    def damage(self, how: str) -> None:
        """Write over the center's file: `header`, `pages` (the last half), or `cut` it off. Nothing may run."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the WAL would repair it
        half = max(1, self.database.stat().st_size // 4096 // 2) * 4096
        with self.database.open("r+b") as file:
            if how == "cut":
                file.truncate(half)
            else:
                file.seek(0 if how == "header" else half)
                file.write(b"\xa5" * (100 if how == "header" else half))
        self.damaged += 1

    @property
    def set_aside(self) -> int:
        """Damaged files that the center has found and put beside the new one."""
        return len([*self.database.parent.glob("*.damaged-*[0-9]")])

    async def start(self) -> None:
        """Start all; returns once every gateway has something acknowledged."""
        if self._server is not None and self.postgres is not None:
            await asyncio.to_thread(self._server.make)
            self.postgres.start()
        self.broker.start()
        self.center.start()
        for gateway in self.gateways:
            await gateway.network.start()
            gateway.part.start()
        if self.core is not None:
            self.core.start()
        await self._until(
            lambda: all(g.said.get("acked", 0) > 0 for g in self.gateways) and (self.core is None or self.core.begun()),
            START_DEADLINE_S,
            "running",
        )

    async def stop(self) -> None:
        """Stop all, gateways first."""
        for gateway in self.gateways:
            await gateway.part.stop()
            await gateway.network.close()
        if self.core is not None:
            await self.core.stop()
        await self.center.stop()
        await self.broker.stop()
        if self._server is not None and self.postgres is not None:
            await self.postgres.stop()
            await asyncio.to_thread(shutil.rmtree, self._server.data.parent, ignore_errors=True)

    async def settle(self) -> float:
        """Repair everything, make nothing new, wait until the center has all of it; returns the seconds it took."""
        began = time.monotonic()
        for part in self.parts:
            part.on()
        self.center.disk(full=False)
        for gateway in self.gateways:
            await gateway.repair()

        def quiet() -> bool:
            now = time.monotonic()
            for gateway in self.gateways:
                gateway.part.tell("pause")  # again and again: it may have been started only now
                gateway.part.tell("clock 0")
            if not all(g.settled and g.said_at > began + 0.5 and now - g.said_at < 1 for g in self.gateways):
                return False
            return self.core is None or self.core.at_rest()

        await self._until(quiet, SETTLE_DEADLINE_S, "settled")
        return time.monotonic() - began

    def resume(self) -> None:
        """Make events again."""
        for gateway in self.gateways:
            gateway.part.tell("resume")

    async def wipe(self, part: Part, folder: str) -> None:
        """Kill it, and take its disk away."""
        await part.off()
        shutil.rmtree(self.folder / folder, ignore_errors=True)
        part.on()

    async def _until(self, condition: Callable[[], bool], deadline_s: float, what: str) -> None:
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                said = {gateway.name: gateway.said for gateway in self.gateways}
                raise UserError(f"chaos: not {what} within {deadline_s:.0f} s, see the logs in {self.folder}: {said}")
            await asyncio.sleep(0.1)

    def _write_center(self, gateways: Sequence[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        store = "" if self._server is None else "[store]\nkind = 'postgresql'\ndsn_file = 'center.dsn'\n"
        (self.folder / "center.toml").write_text(
            f"{store}[center]\ndata = 'data'\nrun = 'run'\n"
            f"[broker]\ndata = 'broker'\nusers_file = 'users.json'\nport = {self.port}\n"
            "[ingest]\nusername = 'center'\npassword_file = 'center.password'\nclient_id_file = 'center.client-id'\n"
        )
        users: list[dict[str, str]] = [
            {"username": "center", "password": self.password("center"), "role": "center"},
            *(
                {"username": name, "password": self.password(name), "role": "gateway"}
                | {"district": DISTRICT, "site": SITE, "gateway": name}
                for name in gateways
            ),
        ]
        for name, text in (
            ("center.dsn", self._server.dsn if self._server else ""),
            ("users.json", json.dumps(users)),
            ("center.password", self.password("center")),
            ("center.client-id", "client-id-of-ingest-of-chaos"),
        ):
            file = self.folder / name
            file.touch(mode=0o600)
            file.write_text(text)


def resident_mb(pid: int | None) -> float:
    """Resident memory of a process, 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123  # procfs
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, IndexError):
        return 0.0
