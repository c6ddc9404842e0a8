"""Run the product's own command lines as systemd would: wait for READY, restart after a crash, stop in reverse order.

Each child dies with this process (PR_SET_PDEATHSIG), so that nothing is left running even after kill -9.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.errors import UserError
from zhian import read_only_disk

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
RESTART_AFTER_S = 0.5
RESTARTS_PER_MINUTE = 5
TAIL_LINES = 5
PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Command:
    """One process: its short name, its words, and what its environment has beyond ours."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Starts and keeps commands. `said` gets each line that a process writes to its standard output."""

    def __init__(self, folder: Path, said: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._said = said
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()
        self._cut: dict[str, asyncio.Event] = {}  # parts without power, and what is set when it returns
        self._killed: set[str] = set()  # parts whose process we killed and whose end is not yet noticed
        self._full: set[str] = set()  # parts that can write no file
        self._read_only: dict[str, Path] = {}  # parts that start with a read-only view of this folder
        self._views: dict[str, int] = {}  # the process of each part that has such a view
        self.crashes: list[str] = []

    async def start(self, command: Command) -> float:
        """Start and wait for READY=1; returns the seconds it took. Raises UserError with the end of its log."""
        began = time.monotonic()
        ready = asyncio.Event()
        keeper = asyncio.create_task(self._keep(command, ready), name=command.name)
        self._keepers[command.name] = keeper
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({keeper, waiting}, timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if ready.is_set():
            return time.monotonic() - began
        waiting.cancel()
        if keeper.done():
            await keeper
        raise UserError(f"{command.name} was not ready within {READY_TIMEOUT_S:.0f} s; {self._tail(command.name)}")

    async def watch(self) -> None:
        """Return never; raise UserError when a process crashes again and again."""
        if self._keepers:
            done, _ = await asyncio.wait(self._keepers.values(), return_when=asyncio.FIRST_COMPLETED)
            for keeper in done:
                await keeper
        await asyncio.Event().wait()

    def pid(self, name: str) -> int | None:
        """The process now running under that name."""
        process = self._running.get(name)
        return process.pid if process else None

    # --- what can happen to a process of a simulated site ---------------------------------------------------------

    async def cut(self, name: str) -> None:
        """Its power goes: kill -9, and it stays off until `restore`. Raises UserError."""
        if name not in self._keepers:
            raise UserError(f"there is no process {name!r} here; there are {sorted(self._keepers)}")
        if name in self._cut:
            raise UserError(f"{name} has no power already")
        self._cut[name] = asyncio.Event()
        process = self._running.get(name)
        if process is not None and process.returncode is None:
            self._killed.add(name)
            process.kill()
            await process.wait()

    def is_off(self, name: str) -> bool:
        """Whether its power is cut."""
        return name in self._cut

    def restore(self, name: str) -> None:
        """Its power returns and it starts. Raises UserError."""
        if name not in self._cut:
            raise UserError(f"{name} has power already")
        self._cut.pop(name).set()

    def disk(self, name: str, *, full: bool) -> None:
        """From now on no file of this process can be written, or all can again (RLIMIT_FSIZE). Raises UserError."""
        if name not in self._keepers:
            raise UserError(f"there is no process {name!r} here; there are {sorted(self._keepers)}")
        (self._full.add if full else self._full.discard)(name)
        process = self._running.get(name)
        if process is not None and process.returncode is None:
            _limit_files(process.pid, full=full)

    def read_only(self, name: str, folder: Path) -> None:
        """The disk with `folder` turns read-only: writes of the running process fail at once, and a process that starts
        meanwhile finds the folder mounted read-only (zhian/read_only_disk.py). Raises UserError."""
        read_only_disk.check(folder)
        self.disk(name, full=True)
        self._read_only[name] = folder

    def writable(self, name: str) -> None:
        """The disk can be written again, also by a process that started while it could not. Raises UserError."""
        folder = self._read_only.pop(name, None)
        self.disk(name, full=False)
        if folder is not None and (pid := self._views.pop(name, None)) is not None and pid == self.pid(name):
            read_only_disk.leave(pid, folder)

    async def stop(self, *names: str) -> None:
        """SIGTERM in the given order (all, newest first, without names), each waited for."""
        for name in names or [*reversed(self._keepers)]:
            keeper, process = self._keepers.pop(name, None), self._running.get(name)
            self._stopping.add(name)
            if process is not None and process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(STOP_TIMEOUT_S):
                        await process.wait()
                except TimeoutError:
                    self.crashes.append(f"{name} did not stop within {STOP_TIMEOUT_S:.0f} s and was killed")
                    process.kill()
                    await process.wait()
            if keeper is not None:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, command: Command, ready: asyncio.Event) -> None:
        starts: list[float] = []
        while command.name not in self._stopping:
            if (power := self._cut.get(command.name)) is not None:
                await power.wait()
            now = time.monotonic()
            starts = [at for at in starts if now - at < 60] + [now]
            if len(starts) > RESTARTS_PER_MINUTE:
                raise UserError(f"{command.name} crashes again and again; {self._tail(command.name)}")
            code = await self._run_once(command, ready)
            if command.name in self._stopping:
                return
            if command.name in self._killed:  # by us, so it is no crash
                self._killed.discard(command.name)
                starts.clear()
                continue
            if command.name in self._read_only:  # it may well refuse to run on such a disk, again and again
                starts.clear()
                await asyncio.sleep(RESTART_AFTER_S * 2)
                continue
            if not ready.is_set():
                raise UserError(f"{command.name} did not start; {self._tail(command.name)}")
            self.crashes.append(f"{command.name} ended with {code} and was started again")
            await asyncio.sleep(RESTART_AFTER_S)

    async def _run_once(self, command: Command, ready: asyncio.Event) -> int:
        path = self._folder / "run" / f"notify-{command.name}"
        path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
            notify.bind(str(path))
            loop.add_reader(notify, _take_notice, notify, ready)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command.words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,  # as the systemd journal: a full disk does not stop the log
                    env={**os.environ, **command.environment, "NOTIFY_SOCKET": str(path)},
                    start_new_session=True,  # Ctrl-C reaches us alone; we stop the others in order
                    preexec_fn=self._before_exec(command.name),
                )
                self._running[command.name] = process
                self._views.pop(command.name, None)
                if command.name in self._read_only:
                    self._views[command.name] = process.pid
                elif command.name in self._full:
                    _limit_files(process.pid, full=True)
                await asyncio.gather(self._relay(command.name, process), self._keep_log(command.name, process))
                return await process.wait()
            finally:
                loop.remove_reader(notify)

    def _before_exec(self, name: str) -> Callable[[], None]:
        folder = self._read_only.get(name)
        view = read_only_disk.enter(folder) if folder is not None else None

        def before() -> None:
            if view is not None:
                view()
            _die_with_parent()  # last: new credentials would undo it (prctl(2))

        return before

    async def _relay(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            self._said(name, line.decode("utf-8", "replace").rstrip())

    async def _keep_log(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        with self._log(name).open("ab", buffering=0) as log:
            while text := await process.stderr.read(64 * 1024):
                log.write(text)

    def _log(self, name: str) -> Path:
        return self._folder / "log" / f"{name}.log"

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text("utf-8", "replace").splitlines() if self._log(name).exists() else []
        end = " | ".join(lines[-TAIL_LINES:]) or "nothing"
        return f"its log {self._log(name)} ends with: {end}"


def _limit_files(pid: int, *, full: bool) -> None:
    """Soft limit only, so that it can be lifted again without privilege. CPython ignores SIGXFSZ: writes get EFBIG."""
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _take_notice(notify: socket.socket, ready: asyncio.Event) -> None:
    try:
        message = notify.recv(4096)
    except OSError:
        return
    if b"READY=1" in message.split(b"\n"):
        ready.set()
