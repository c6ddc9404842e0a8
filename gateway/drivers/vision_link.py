"""What the vision process tells core: one JSON object per line over a Unix socket. A late or absent one is no fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.model import PlateRead
from runtime.log import get

MAX_LINE_BYTES = 4096
SILENT_AFTER_S = 5.0  # it beats every second
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
log = get("vision-link")


class Hello(Struct, frozen=True, tag_field="kind", tag="hello"):
    """The process is up and its models are verified."""


class Beat(Struct, frozen=True, tag_field="kind", tag="beat"):
    """Still here."""


class Plate(Struct, frozen=True, tag_field="kind", tag="plate"):
    """One observation per visit."""

    camera: Name
    text: Annotated[str, Meta(min_length=1, max_length=16)]
    plate_kind: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,48}(?!\n)$")]
    score: Annotated[float, Meta(ge=0, le=1)]
    observed_ms: Annotated[int, Meta(ge=0, le=1 << 53)]
    model: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,48}(?!\n)$")]
    model_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]


_decode = msgspec.json.Decoder(Hello | Beat | Plate).decode


class VisionLink:
    """Serves the vision process's connection: `plate` for each observation, `changed` when it comes or goes."""

    def __init__(self, plate: Callable[[PlateRead], None], changed: Callable[[bool], None]) -> None:
        self._plate = plate
        self._changed = changed

    async def serve(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """One connection, until it ends, falls silent, or sends what cannot be read (ValueError)."""
        self._changed(True)
        try:
            while True:
                async with asyncio.timeout(SILENT_AFTER_S):
                    line = await reader.readuntil(b"\n")
                self._take(line)
        except TimeoutError:
            log.warning("the vision process fell silent", after_s=SILENT_AFTER_S)
        finally:
            self._changed(False)

    def _take(self, line: bytes) -> None:
        message = _decode(line)
        if isinstance(message, Plate):
            m = message
            self._plate(PlateRead(m.camera, m.text, m.plate_kind, m.score, m.observed_ms, m.model, m.model_sha256))
