"""What PAD is given: landmarks and some pixels of one face over a short time; and what each of its tests answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

MESH_POINTS = 468
# Outer corners of the eyes: what every length here is divided by, and what levels the head (MediaPipe's numbers).
LEFT_CORNER, RIGHT_CORNER = 33, 263
CONTEXT = 2.6  # a patch is this many times the face's box: the edge of a screen has to be on it
PATCH_LIMIT_PX = 320  # a larger one is shrunk; what it is for shows at this size


@dataclass(frozen=True, slots=True)
class Look:
    """One frame of one face.

    at_ms: of a monotonic clock. mesh: (468, 3), pixels of the frame. box: x, y, width, height in the same pixels.
    patch: `patch_of` the frame, BGR, or None where only landmarks are known. Kept in memory and nowhere else.
    """

    at_ms: int
    mesh: NDArray[np.float32]
    box: tuple[float, float, float, float]
    patch: NDArray[np.uint8] | None = None


class Finding(StrEnum):
    """What one test says. SILENT: it saw too little to say anything."""

    GENUINE = "genuine"
    ATTACK = "attack"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Cue:
    """One test's answer: `score` 0 (an attack) to 1 (a face), 0.5 where it is silent; the measurements behind it."""

    name: str
    finding: Finding
    score: float
    evidence: Mapping[str, float]


def silent(name: str, **evidence: float) -> Cue:
    """The answer of a test that saw too little."""
    return Cue(name, Finding.SILENT, 0.5, evidence)


def cue(name: str, finding: Finding, score: float, **evidence: float) -> Cue:
    """An answer with its score held within 0..1."""
    return Cue(name, finding, min(1.0, max(0.0, score)), evidence)


def context_box(box: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """Left, top and side of the square that `patch_of` cuts, in pixels of the frame."""
    x, y, width, height = box
    side = CONTEXT * max(width, height)
    return x + width / 2 - side / 2, y + height / 2 - side / 2, side


def patch_of(frame: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """The square round a face at the frame's own resolution; what lies over the frame's edge is black."""
    left, top, side = context_box(box)
    shown = min(PATCH_LIMIT_PX, max(8, round(side)))
    scale = shown / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    how = cv2.INTER_NEAREST if shown >= round(side) else cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(frame, matrix, (shown, shown), flags=how), np.uint8)


def levelled(looks: Sequence[Look]) -> Points:
    """(F, 468, 2): each mesh turned until the eyes are level, moved to their middle, in units of the eyes' distance.

    One unit for the whole sequence (the median): a head that turns away gets narrower, as it does in the pictures.
    """
    spots = np.stack([look.mesh[:, :2] for look in looks]).astype(np.float64)
    middle = (spots[:, LEFT_CORNER] + spots[:, RIGHT_CORNER]) / 2
    along = spots[:, RIGHT_CORNER] - spots[:, LEFT_CORNER]
    length = np.maximum(np.linalg.norm(along, axis=1), 1e-6)
    cos, sin = (along / length[:, None]).T[..., None]
    moved = spots - middle[:, None]
    x, y = moved[..., 0], moved[..., 1]
    return np.asarray(np.stack([x * cos + y * sin, y * cos - x * sin], -1) / np.median(length))
