"""The processes of a chaos campaign: a broker, a center and gateways under load, each started again however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runtime.errors import UserError
from sim.network import Ends, Network
from zhian.supervisor import _die_with_parent

DISTRICT, SITE = "chaos", "garden"
START_DEADLINE_S = 60.0
SETTLE_DEADLINE_S = 180.0
HOSTILE = "gw-hostile"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Part:
    """One process that is started again when it ends, until `stop`."""

    def __init__(
        self, name: str, words: Sequence[str], log: Path, heard: Callable[[bytes], None] | None = None
    ) -> None:
        self.name = name
        self.starts = 0
        self._words = list(words)
        self._log = log
        self._heard = heard
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._full = False
        self._off = asyncio.Event()  # set while it may run
        self._off.set()

    def start(self) -> None:
        """Begin to keep it running."""
        self._keeper = asyncio.create_task(self._keep(), name=self.name)

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def kill(self) -> None:
        """kill -9, now."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def off(self) -> None:
        """kill -9, and not started again until `on`."""
        self._off.clear()
        await self.kill()

    def on(self) -> None:
        """It may run again."""
        self._off.set()

    def disk(self, *, full: bool) -> None:
        """From now on none of its files can be written beyond its present end, or all can again."""
        self._full = full
        self._limit()

    def tell(self, line: str) -> None:
        """One command on its stdin."""
        if self._process is not None and self._process.stdin is not None and self.pid is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(line.encode() + b"\n")

    async def stop(self) -> None:
        """SIGTERM, and not again."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                await self.kill()

    async def _keep(self) -> None:
        while True:
            await self._off.wait()
            self._process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,  # as systemd's journal: a full disk does not stop the log
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
            self.starts += 1
            self._limit()
            await asyncio.gather(self._listen(self._process), self._keep_log(self._process))
            await self._process.wait()
            await asyncio.sleep(0.05)  # as systemd's RestartSec; a loop of failing starts must not take the machine

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None and (line := await process.stdout.readline()):
            if self._heard is not None:
                self._heard(line)

    async def _keep_log(self, process: asyncio.subprocess.Process) -> None:
        with self._log.open("ab", buffering=0) as log:
            while process.stderr is not None and (text := await process.stderr.read(1 << 16)):
                log.write(text)

    def _limit(self) -> None:
        if self.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0 if self._full else hard, hard))


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

    def __init__(self, folder: Path, gateways: int, rate: float, tight_rows: int) -> None:
        self.folder = folder
        self.port = free_port()
        names = [f"gw-{i}" for i in range(1, gateways + 1)]
        self._write_center([*names, HOSTILE])
        self.gateways = [
            # The last one has a small journal, so that an outage really costs it events, which it must report.
            Gateway(folder, name, self.port, self.password(name), rate, tight_rows if name == names[-1] else 200_000)
            for name in names
        ]
        zhian = [sys.executable, "-m", "zhian"]
        config = ["--config", str(folder / "center.toml")]
        self.broker = Part("broker", [*zhian, "broker", "run", *config], folder / "broker.log")
        self.center = Part("center", [*zhian, "center", "run", *config], folder / "center.log")

    @property
    def parts(self) -> list[Part]:
        """Every process."""
        return [self.broker, self.center, *(gateway.part for gateway in self.gateways)]

    @property
    def database(self) -> Path:
        """The center's."""
        return self.folder / "data" / "center.sqlite"

    def password(self, user: str) -> str:
        """Of a user of the broker."""
        return f"password-of-{user}-0123456789"

    async def start(self) -> None:
        """Start all; returns once every gateway has something acknowledged."""
        self.broker.start()
        self.center.start()
        for gateway in self.gateways:
            await gateway.network.start()
            gateway.part.start()
        await self._until(lambda: all(g.said.get("acked", 0) > 0 for g in self.gateways), START_DEADLINE_S, "running")

    async def stop(self) -> None:
        """Stop all, gateways first."""
        for gateway in self.gateways:
            await gateway.part.stop()
            await gateway.network.close()
        await self.center.stop()
        await self.broker.stop()

    async def settle(self) -> float:
        """Repair everything, make nothing new, wait until the center has all of it; returns the seconds it took."""
        began = time.monotonic()
        self.broker.on()
        self.center.on()
        self.center.disk(full=False)
        for gateway in self.gateways:
            await gateway.repair()

        def quiet() -> bool:
            now = time.monotonic()
            for gateway in self.gateways:
                gateway.part.tell("pause")  # again and again: it may have been started only now
                gateway.part.tell("clock 0")
            return all(g.settled and g.said_at > began + 0.5 and now - g.said_at < 1 for g in self.gateways)

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
        (self.folder / "center.toml").write_text(
            "[center]\ndata = 'data'\nrun = 'run'\n"
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
