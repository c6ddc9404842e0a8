"""A camera whose pictures appear as JPEG files in a folder (`folder:DIR`), renamed in and deleted by the producer."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from runtime.log import get

DEPTH = 4  # frames that wait; an older one is dropped, since the newest matters at a gate
POLL_S = 0.03
STALLED_AFTER_S = 5.0
MAX_FRAME_BYTES = 8 << 20
MAX_AGE_S = 3.0  # a file that was there long before us shows a car that is gone
MAX_FILES = 5000
_NAME = re.compile(r"^[\w-]{1,64}\.jpe?g$", re.ASCII)
log = get("camera")


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One file as it was found. `seen_ms` is the file's own time, Unix milliseconds. `data`: bytes, or a bytearray that
    `forget` can overwrite."""

    name: str
    data: bytes | bytearray
    seen_ms: int

    def forget(self) -> None:
        """Overwrite the picture's bytes, where they can be."""
        if isinstance(self.data, bytearray):
            self.data[:] = bytes(len(self.data))


class FolderCamera:
    """Watches one folder into a bounded queue. `dropped` and `refused` count what never got to a reader."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder
        self.dropped = self.refused = self.taken = 0
        self._queue: deque[RawFrame] = deque()
        self._arrived = asyncio.Event()
        self._known: set[tuple[str, int]] = set()
        self._stalled = False

    async def watch(self) -> None:
        """Look for new files until cancelled. A folder that is missing is a stall, logged once, never an error."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            if await asyncio.to_thread(self._scan):
                last = loop.time()
                if self._stalled:
                    log.info("camera delivers pictures again", camera=self.name)
                self._stalled = False
                self._arrived.set()
            elif not self._stalled and loop.time() - last > STALLED_AFTER_S:
                self._stalled = True
                log.warning(
                    "camera delivers no pictures", camera=self.name, folder=str(self._folder), since_s=STALLED_AFTER_S
                )
            await asyncio.sleep(POLL_S)

    async def next_frame(self) -> RawFrame:
        """The oldest of the at most DEPTH newest frames, in the order they were made."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        self.taken += 1
        return self._queue.popleft()

    def _scan(self) -> int:
        """Queue what is new; return how many files that was. Runs in a thread, one at a time."""
        try:
            with os.scandir(self._folder) as listing:
                present = [
                    (e.name, e.stat(follow_symlinks=False)) for _, e in zip(range(MAX_FILES), listing, strict=False)
                ]
        except OSError:
            return 0
        files = sorted((n, s) for n, s in present if _NAME.match(n) and stat.S_ISREG(s.st_mode))
        known = {(name, status.st_mtime_ns) for name, status in files}
        fresh = [(name, status) for name, status in files if (name, status.st_mtime_ns) not in self._known]
        self._known = known
        self.dropped += max(0, len(fresh) - DEPTH)
        new = 0
        for name, status in fresh[-DEPTH:]:
            new += self._take(name, status)
        return new

    def _take(self, name: str, status: os.stat_result) -> int:
        age_s = time.time() - status.st_mtime
        if age_s > MAX_AGE_S or status.st_size > MAX_FRAME_BYTES:
            self._refuse(name, "too old" if age_s > MAX_AGE_S else "too large")
            return 0
        try:
            data = _read(self._folder / name, status.st_size)
        except OSError:  # deleted between listing and reading: the producer is ahead
            self.dropped += 1
            return 1
        while len(self._queue) >= DEPTH:
            self._queue.popleft().forget()
            self.dropped += 1
        self._queue.append(RawFrame(name, data, status.st_mtime_ns // 1_000_000))
        return 1

    def _refuse(self, name: str, why: str) -> None:
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:  # 1st, 2nd, 4th, 8th ...: never a flood
            log.warning("picture skipped", camera=self.name, file=name, why=why, skipped=self.refused)


def _read(path: Path, size: int) -> bytearray:
    """A whole file into one buffer of ours and no other. Raises OSError."""
    data = bytearray(size)
    with path.open("rb", buffering=0) as file:
        read = file.readinto(data)
    del data[read:]  # shorter than it was a moment ago
    return data
