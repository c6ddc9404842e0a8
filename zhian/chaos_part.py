"""One process of a chaos campaign, started again however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from zhian.supervisor import _die_with_parent


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
        self._limited = False  # our limit is on the process that runs now
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
            self._limited = False
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
        if self.pid is None or self._full == self._limited:
            return
        self._limited = self._full
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0 if self._full else hard, hard))
