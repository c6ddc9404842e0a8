"""The line to core: JSON objects over its Unix socket, again after every loss. What got old on the way is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.model import PlateRead
from runtime.log import get

DEPTH = 64
BEAT_S = 1.0
RETRY_S = 0.5
MAX_AGE_MS = 5000  # a plate read longer ago must not raise an arm now
log = get("core-link")


class CoreLink:
    """Keeps a connection to core and sends observations and a beat every second."""

    def __init__(self, socket_path: Path, model: str, sha256: str, now_ms: Callable[[], int]) -> None:
        self._path, self._model, self._sha256, self._now_ms = socket_path, model, sha256, now_ms
        self._waiting: deque[PlateRead] = deque()
        self._ready = asyncio.Event()
        self.dropped = self.sent = 0

    def send(self, plate: PlateRead) -> None:
        """Queue an observation; the oldest goes where DEPTH wait."""
        if len(self._waiting) >= DEPTH:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(plate)
        self._ready.set()

    async def run(self) -> None:
        """Until cancelled. Core being away is logged once and tried again twice a second."""
        away = False
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError as e:
                if not away:
                    log.warning("core is not there yet", socket=str(self._path), why=e.strerror or str(e))
                away = True
                await asyncio.sleep(RETRY_S)
                continue
            log.info("connected to core", socket=str(self._path))
            away = False
            try:
                await self._serve(reader, writer)
            except OSError as e:
                log.warning("the connection to core broke", why=e.strerror or str(e))
            finally:
                writer.close()
            await asyncio.sleep(RETRY_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._write(writer, {"kind": "hello", "model": self._model, "sha256": self._sha256})
        while not reader.at_eof():
            while self._waiting:
                plate = self._waiting[0]
                if self._now_ms() - plate.observed_ms > MAX_AGE_MS:
                    self.dropped += 1
                else:
                    await self._write(writer, _line(plate))
                    self.sent += 1
                self._waiting.popleft()
            self._ready.clear()
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._ready.wait()
            except TimeoutError:
                await self._write(writer, {"kind": "beat"})

    async def _write(self, writer: asyncio.StreamWriter, message: dict[str, object]) -> None:
        writer.write(msgspec.json.encode(message) + b"\n")
        await writer.drain()


def _line(plate: PlateRead) -> dict[str, object]:
    return {
        "kind": "plate",
        "camera": plate.camera,
        "text": plate.text,
        "plate_kind": plate.kind,
        "score": round(plate.score, 4),
        "observed_ms": plate.observed_ms,
        "model": plate.model,
        "model_sha256": plate.model_sha256,
    }
