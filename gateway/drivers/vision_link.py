"""What the vision process tells core, and core it: one JSON object per line over a Unix socket. A late or absent vision
process is no fault. What goes to it is who may be recognised, and whose card was just shown before a camera."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from gateway.model import FaceAsk, FaceAskOver, FaceAttack, FaceSeen, PlateRead
from runtime.log import get

MAX_LINE_BYTES = 4096
MOST_WAITING_BYTES = 128 << 20  # of one vision process: a gallery as large as they come
SILENT_AFTER_S = 5.0  # it beats every second
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Cause = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,48}(?!\n)$")]
log = get("vision-link")


class Hello(Struct, frozen=True, tag_field="kind", tag="hello"):
    """The process is up and its models are verified. `face_sha256`: of the model whose references it wants, or ""."""

    face_sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?(?!\n)$")] = ""


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
    direction: Literal["approaching", "leaving", "unknown"] = "unknown"


class Face(Struct, frozen=True, tag_field="kind", tag="face"):
    """A consenting holder was recognised. A face that is nobody's is never sent."""

    camera: Name
    holder: Name
    similarity: Annotated[float, Meta(ge=-1, le=1)]
    margin: Annotated[float, Meta(ge=0, le=2)]
    bona_fide: bool
    observed_ms: Annotated[int, Meta(ge=0, le=1 << 53)]
    model: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,48}(?!\n)$")]
    model_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
    pad_reasons: Annotated[tuple[Cause, ...], Meta(max_length=16)] = ()
    claimed: bool = False
    asked: Annotated[tuple[Literal["challenge", "light"], ...], Meta(max_length=2)] = ()


class FaceAttacked(Struct, frozen=True, tag_field="kind", tag="face_attack"):
    """What was held before a camera was no live face. About the camera's portal only."""

    camera: Name
    cause: Cause
    observed_ms: Annotated[int, Meta(ge=0, le=1 << 53)]


AskId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]


class Asks(Struct, frozen=True, tag_field="kind", tag="ask"):
    """Show this to whoever stands before the camera. It is answered by `Shown`."""

    camera: Name
    ask: AskId
    steps: Annotated[tuple[Literal["turn_left", "turn_right", "nod", "blink"], ...], Meta(max_length=5)]
    step_ms: Annotated[int, Meta(ge=500, le=10_000)]
    slots: Annotated[tuple[bool, ...], Meta(max_length=64)]
    slot_ms: Annotated[int, Meta(ge=100, le=2_000)]
    observed_ms: Annotated[int, Meta(ge=0, le=1 << 53)]
    lead_ms: Annotated[int, Meta(ge=0, le=5_000)] = 0


class AskOver(Struct, frozen=True, tag_field="kind", tag="ask_over"):
    """Nothing more is to be shown for it."""

    camera: Name
    ask: AskId
    done: bool
    gone: bool = False


Message = Hello | Beat | Plate | Face | FaceAttacked | Asks | AskOver
_decode = msgspec.json.Decoder(Message).decode
_encode = msgspec.json.Encoder().encode


class GalleryReference(Struct, frozen=True):
    """One reference in the clear, for the memory of the vision process only."""

    holder: str
    cameras: tuple[str, ...]
    reference: bytes  # little-endian float32; base64 on the line


class Gallery(Struct, frozen=True, tag_field="kind", tag="gallery"):
    """Who may be recognised, and before which cameras; replaces what was sent before. Core to vision."""

    version: int
    references: tuple[GalleryReference, ...]


class Claim(Struct, frozen=True, tag_field="kind", tag="claim"):
    """A card of this holder was shown before this camera: until then compare with this holder alone. Core to vision."""

    camera: str
    holder: str
    until_ms: int


class Alone(Struct, frozen=True, tag_field="kind", tag="alone"):
    """Before these cameras a face opens by itself, and before no other. Core to vision."""

    cameras: tuple[str, ...]


class Shown(Struct, frozen=True, tag_field="kind", tag="shown"):
    """`shown`: what was asked for can be seen from now on; else it cannot, or not as it was asked. Core to vision."""

    camera: str
    ask: str
    shown: bool


def _ask_of(told: Asks) -> FaceAsk:
    light = (told.slots, told.slot_ms)
    return FaceAsk(told.camera, told.ask, told.steps, told.step_ms, *light, told.observed_ms, told.lead_ms)


class VisionLink:
    """Serves the vision process's connection: `plate`, `face` and `attack` for each observation, `changed` when it
    comes or goes; `ask` and `ask_over` for what is to be shown to people. `gallery`: who may be recognised by the model
    with this SHA-256; asked at each hello and, after `gallery_changed`, again."""

    def __init__(
        self,
        plate: Callable[[PlateRead], None],
        changed: Callable[[bool], None],
        face: Callable[[FaceSeen], None] | None = None,
        attack: Callable[[FaceAttack], None] | None = None,
        gallery: Callable[[str], Awaitable[Gallery]] | None = None,
        ask: Callable[[FaceAsk], None] | None = None,
        ask_over: Callable[[FaceAskOver], None] | None = None,
    ) -> None:
        self._plate, self._face, self._attack = plate, face, attack
        self._changed = changed
        self._gallery = gallery
        self._ask, self._ask_over = ask, ask_over
        self._alone: tuple[str, ...] = ()
        self._writers: dict[asyncio.StreamWriter, str] = {}  # with the face model each one runs

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends, falls silent, or sends what cannot be read (ValueError)."""
        self._changed(True)
        try:
            while True:
                async with asyncio.timeout(SILENT_AFTER_S):
                    line = await reader.readuntil(b"\n")
                message = _decode(line)
                if isinstance(message, Hello) and message.face_sha256:
                    self._writers[writer] = message.face_sha256
                    writer.write(_encode(Alone(self._alone)) + b"\n")
                    await self._send(writer, message.face_sha256)
                else:
                    self._take(message)
        except TimeoutError:
            log.warning("the vision process fell silent", after_s=SILENT_AFTER_S)
        finally:
            self._writers.pop(writer, None)
            self._changed(False)

    async def gallery_changed(self) -> None:
        """Send the gallery to every vision process that reads faces."""
        for writer, model in list(self._writers.items()):
            with contextlib.suppress(ConnectionError):  # it is gone; the next one asks again
                await self._send(writer, model)

    def claim(self, camera: str, holder: str, until_ms: int) -> None:
        """Tell every vision process that reads faces. Never waits; one that does not take its lines is told nothing."""
        self._tell(Claim(camera, holder, until_ms))

    def alone(self, cameras: tuple[str, ...]) -> None:
        """Before which cameras a face opens by itself from now on. Never waits."""
        self._alone = cameras
        self._tell(Alone(cameras))

    def shown(self, camera: str, ask: str, shown: bool) -> None:
        """Answer an ask. Never waits."""
        self._tell(Shown(camera, ask, shown))

    def _tell(self, told: Claim | Alone | Shown) -> None:
        line = _encode(told) + b"\n"
        for writer in self._writers:
            if not writer.is_closing() and writer.transport.get_write_buffer_size() < MOST_WAITING_BYTES:
                writer.write(line)

    async def _send(self, writer: asyncio.StreamWriter, model: str) -> None:
        if self._gallery is None:
            return
        writer.write(_encode(await self._gallery(model)) + b"\n")
        await writer.drain()

    def _take(self, message: Message) -> None:
        m = message
        match m:
            case Plate():
                told = (m.camera, m.text, m.plate_kind, m.score, m.observed_ms, m.model, m.model_sha256, m.direction)
                self._plate(PlateRead(*told))
            case Face() if self._face is not None:
                seen = (m.camera, m.holder, m.similarity, m.bona_fide, m.observed_ms, m.model, m.model_sha256)
                self._face(FaceSeen(*seen, m.claimed, m.asked))
            case FaceAttacked() if self._attack is not None:
                self._attack(FaceAttack(m.camera, m.cause, m.observed_ms))
            case Asks() if self._ask is not None:
                self._ask(_ask_of(m))
            case AskOver() if self._ask_over is not None:
                self._ask_over(FaceAskOver(m.camera, m.ask, m.done, m.gone))
