"""What the vision process tells core about faces, and what core tells it: the lines of the socket. Pure.

A face that matches nobody has no line. Nothing here is written to a disk or a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from gateway.vision.faces.gallery import MAX_REFERENCES, Gallery

MAX_LINE_BYTES = 128 << 20  # MAX_REFERENCES of 512 numbers, in base64
MAX_NUMBERS = 4096
MAX_CAMERAS = 256
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Holder = Annotated[str, Meta(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """A holder was recognised at a camera. claimed: compared only with the one holder whose card was shown (1:1)."""

    camera: str
    holder: str
    similarity: float
    margin: float
    claimed: bool
    bona_fide: bool
    pad_reasons: tuple[str, ...]
    observed_ms: int
    model: str
    model_sha256: str
    asked: tuple[str, ...] = ()  # what the person was asked for and did

    def line(self) -> dict[str, object]:
        return {
            "kind": "face",
            "camera": self.camera,
            "holder": self.holder,
            "similarity": round(self.similarity, 4),
            "margin": round(self.margin, 4),
            "claimed": self.claimed,
            "bona_fide": self.bona_fide,
            "pad_reasons": list(self.pad_reasons),
            "observed_ms": self.observed_ms,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "asked": list(self.asked),
        }


@dataclass(frozen=True, slots=True)
class FaceAttack:
    """Somebody seems to show a picture. About the portal only: whose picture it was is not said."""

    camera: str
    cause: str
    observed_ms: int

    def line(self) -> dict[str, object]:
        return {"kind": "face_attack", "camera": self.camera, "cause": self.cause, "observed_ms": self.observed_ms}


@dataclass(frozen=True, slots=True)
class FaceAsk:
    """What is to be shown to whoever stands before a camera: steps one after the other, and the light, slot by slot.
    Both begin lead_ms after people could see that something is asked. It names nobody. id: another one for each."""

    camera: str
    id: str
    steps: tuple[str, ...]
    step_ms: int
    slots: tuple[bool, ...]
    slot_ms: int
    observed_ms: int
    lead_ms: int = 0

    @property
    def lasts_ms(self) -> int:
        """From the moment it can be seen."""
        return self.lead_ms + max(len(self.steps) * self.step_ms, len(self.slots) * self.slot_ms)

    def line(self) -> dict[str, object]:
        return {
            "kind": "ask",
            "camera": self.camera,
            "ask": self.id,
            "steps": list(self.steps),
            "step_ms": self.step_ms,
            "slots": list(self.slots),
            "slot_ms": self.slot_ms,
            "observed_ms": self.observed_ms,
            "lead_ms": self.lead_ms,
        }


@dataclass(frozen=True, slots=True)
class FaceAskOver:
    """It is over. done: as it was asked for; gone: nobody is there any more."""

    camera: str
    id: str
    done: bool
    gone: bool

    def line(self) -> dict[str, object]:
        return {"kind": "ask_over", "camera": self.camera, "ask": self.id, "done": self.done, "gone": self.gone}


class Reference(Struct, frozen=True):
    """One reference of one holder: float32, little-endian, in base64. cameras: where it may be compared, and nowhere
    else."""

    holder: Holder
    cameras: Annotated[tuple[Name, ...], Meta(max_length=MAX_CAMERAS)]
    reference: Annotated[bytes, Meta(min_length=64, max_length=4 * MAX_NUMBERS)]


class GalleryLine(Struct, frozen=True, tag_field="kind", tag="gallery"):
    """Everybody who may be recognised here, all at once; replaces what was known. An empty one ends recognition."""

    version: Annotated[int, Meta(ge=0)]
    references: Annotated[list[Reference], Meta(max_length=MAX_REFERENCES)]
    model_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}(?!\n)$")] | None = None  # that made the references


class ClaimLine(Struct, frozen=True, tag_field="kind", tag="claim"):
    """A card of this holder was shown where the camera looks: compare with this holder alone until then."""

    camera: Name
    holder: Holder
    until_ms: Annotated[int, Meta(ge=0, le=1 << 53)]


class AloneLine(Struct, frozen=True, tag_field="kind", tag="alone"):
    """Before these cameras a face opens by itself, and before no other."""

    cameras: Annotated[tuple[Name, ...], Meta(max_length=MAX_CAMERAS)]


class ShownLine(Struct, frozen=True, tag_field="kind", tag="shown"):
    """What was asked for can be seen since now; or it cannot, or not as it was drawn."""

    camera: Name
    ask: Annotated[str, Meta(pattern="^[0-9a-f]{16}(?!\n)$")]
    shown: bool


Line = GalleryLine | ClaimLine | AloneLine | ShownLine
_decode = msgspec.json.Decoder(Line).decode


def parse(line: bytes) -> Line:
    """One line of core's. Raises ValueError, whose text holds nothing of the line's references."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, msgspec.ValidationError) as e:
        raise ValueError(f"core's line cannot be used ({type(e).__name__})") from None


def galleries_of(line: GalleryLine, length: int) -> dict[str, Gallery]:
    """Camera -> the gallery of references of `length` numbers that may be compared there; cameras with the same holders
    share one. Raises ValueError."""
    by_camera: dict[str, list[Reference]] = {}
    for one in line.references:
        if len(one.reference) != 4 * length:
            raise ValueError(f"a reference has {len(one.reference) // 4} numbers, expected {length}; enrol again")
        for camera in one.cameras:
            by_camera.setdefault(camera, []).append(one)
    made: dict[tuple[str, ...], Gallery] = {}
    for there in by_camera.values():
        who = tuple(one.holder for one in there)
        if who not in made:
            made[who] = Gallery.of(line.version, ((one.holder, np.frombuffer(one.reference, "<f4")) for one in there))
    return {camera: made[tuple(one.holder for one in there)] for camera, there in by_camera.items()}
