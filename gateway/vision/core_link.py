"""The line to core: JSON objects over its Unix socket, again after every loss. What got old on the way is dropped.

Core answers on the same line where cameras look at faces: who may be recognised (faces.report).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.model import PlateRead
from gateway.vision.faces.report import MAX_LINE_BYTES, FaceAsk, FaceAskOver, FaceAttack, FaceSeen
from runtime.log import get

DEPTH = 64
BEAT_S = 1.0
RETRY_S = 0.5
MAX_AGE_MS = 5000  # a plate read longer ago must not raise an arm now
Told = PlateRead | FaceSeen | FaceAttack | FaceAsk | FaceAskOver
log = get("core-link")


class CoreLink:
    """Keeps a connection to core, sends observations and a beat every second, hands on what core says to `heard`."""

    def __init__(
        self,
        socket_path: Path,
        model: str,
        sha256: str,
        now_ms: Callable[[], int],
        heard: Callable[[bytes], None] | None = None,
        face_sha256: str = "",
    ) -> None:
        """`face_sha256`: of the model whose references core is asked for; "" asks for none."""
        self._face_sha256 = face_sha256
        self._path, self._model, self._sha256, self._now_ms = socket_path, model, sha256, now_ms
        self._heard = heard
        self._waiting: deque[Told] = deque()
        self._ready = asyncio.Event()
        self.dropped = self.sent = 0

    def send(self, told: Told) -> None:
        """Queue an observation; the oldest goes where DEPTH wait."""
        if len(self._waiting) >= DEPTH:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(told)
        self._ready.set()

    async def run(self) -> None:
        """Until cancelled. Core being away is logged once and tried again twice a second."""
        away = False
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
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
        models = {"model": self._model, "sha256": self._sha256, "face_sha256": self._face_sha256}
        await self._write(writer, {"kind": "hello", **models})
        hearing = asyncio.create_task(self._hear(reader))
        try:
            while not hearing.done():
                await self._send_waiting(writer)
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing

    async def _send_waiting(self, writer: asyncio.StreamWriter) -> None:
        """Everything that waits, or a beat where nothing came for a while."""
        while self._waiting:
            told = self._waiting[0]
            if not isinstance(told, FaceAskOver) and self._now_ms() - told.observed_ms > MAX_AGE_MS:
                self.dropped += 1
            else:
                await self._write(writer, _line(told))
                self.sent += 1
            self._waiting.popleft()
        self._ready.clear()
        try:
            async with asyncio.timeout(BEAT_S):
                await self._ready.wait()
        except TimeoutError:
            await self._write(writer, {"kind": "beat"})

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """What core says, until it has gone."""
        try:
            while True:
                line = await reader.readuntil(b"\n")
                if self._heard is not None:
                    self._heard(line)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            return
        finally:
            self._ready.set()  # whoever waits for something to send learns that core has gone

    async def _write(self, writer: asyncio.StreamWriter, message: dict[str, object]) -> None:
        writer.write(msgspec.json.encode(message) + b"\n")
        await writer.drain()


def _line(told: Told) -> dict[str, object]:
    if not isinstance(told, PlateRead):
        return told.line()
    plate = told
    return {
        "kind": "plate",
        "camera": plate.camera,
        "text": plate.text,
        "plate_kind": plate.kind,
        "score": round(plate.score, 4),
        "observed_ms": plate.observed_ms,
        "model": plate.model,
        "model_sha256": plate.model_sha256,
        "direction": plate.direction,
    }
