"""The head's surface: a face whose 468 points are a face mesh's, the rest of the head behind it, and how it moves.

Centimetres; x to the picture's right, y up, z towards the camera. The face is MediaPipe's canonical face model
(canonical_face.json, Apache-2.0, NOTICE), deformed smoothly so that every seed is somebody else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

POINTS = 468  # of the face mesh; the head's further vertices follow them
# Vertex numbers of the mesh, corner to corner; picture's left eye first. Upper and lower lid meet when an eye closes.
UPPER_LIDS = ((246, 161, 160, 159, 158, 157, 173), (466, 388, 387, 386, 385, 384, 398))
LOWER_LIDS = ((7, 163, 144, 145, 153, 154, 155), (249, 390, 373, 374, 380, 381, 382))
FOLDS = ((247, 30, 29, 27, 28, 56, 190), (467, 260, 259, 257, 258, 286, 414))
EYE_CORNERS = ((33, 133), (263, 362))
LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324, 146, 91, 181, 84, 17, 314, 405, 321, 375)
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
RINGS = 7  # from the face's edge to the back of the head
STRIP = 0.0625  # of the texture's width: the columns that hold hair and the skin beside the face, left of the face


@dataclass(frozen=True, slots=True)
class Surface:
    """points (V, 3) in cm, texture coordinates (V, 2) in 0..1 (x right, y down), triangles (T, 3)."""

    points: NDArray[np.float64]
    uv: NDArray[np.float64]
    triangles: NDArray[np.int32]


@lru_cache(maxsize=1)
def canonical() -> Surface:
    """The undeformed face. Its texture fills what the strips leave."""
    read = json.loads(Path(__file__).with_name("canonical_face.json").read_text(encoding="utf-8"))
    uv = np.array(read["uv"])
    uv = np.column_stack([2 * STRIP + (1 - 2 * STRIP) * uv[:, 0], 1 - uv[:, 1]])
    return Surface(np.array(read["points_cm"]), uv, np.array(read["triangles"], np.int32))


def somebody(rng: np.random.Generator) -> Surface:
    """A whole head by chance: proportions differ by some per cent, features by some millimetres, almost symmetric."""
    face = canonical()
    points = face.points * (1 + rng.normal(0, 0.035, 3))
    for _ in range(14):
        centre = face.points[rng.integers(POINTS)]
        push, width = rng.normal(0, 0.22, 3), rng.uniform(1.6, 3.5)
        for side in (1, -1):
            mirrored = np.array([side, 1, 1])
            near = np.exp(-(((face.points - centre * mirrored) ** 2).sum(1)) / (2 * width**2))
            points = points + near[:, None] * push * mirrored * rng.normal(1, 0.1)
    return _with_back(points, face)


def _with_back(points: NDArray[np.float64], face: Surface) -> Surface:
    """Rings from the face's oval over the skull to one point at its back; hair above, skin and neck below."""
    oval = np.array(OVAL)
    count, edge = len(oval), points[oval]
    middle = np.array([0.0, 1.0, -8.0])
    vertices, uv, triangles = [points], [face.uv], [face.triangles]
    high = np.clip((edge[:, 1] - points[152, 1]) / np.ptp(edge[:, 1]), 0, 1)
    for ring in range(RINGS):
        share = ring / (RINGS - 1)
        bulge = 1 + 0.22 * np.sin(np.pi * min(share * 1.2, 1)) * high
        shrunk = np.sqrt(max(0.0, 1 - share**2))
        ring_points = middle + (edge - middle) * np.column_stack([bulge * shrunk, bulge * shrunk, np.ones(count)])
        ring_points[:, 2] = edge[:, 2] * (1 - share) + share * -14
        vertices.append(ring_points)
        column = np.where(high > 0.42 - 0.2 * share, 0.5, 1.5) * STRIP
        uv.append(np.column_stack([column, (np.arange(count) * 7 % count + 0.5) / count]))
        if ring:
            first, here = POINTS + (ring - 1) * count, np.arange(count)
            after = (here + 1) % count
            a, b, c, d = first + here, first + after, first + count + after, first + count + here
            triangles += [np.column_stack([a, b, c]), np.column_stack([a, c, d])]
    return Surface(np.vstack(vertices), np.vstack(uv), np.vstack(triangles).astype(np.int32))


def expressed(points: NDArray[np.float64], closed: float, jaw_cm: float = 0.0) -> NDArray[np.float64]:
    """The points with eyes `closed` by 0..1 and the lower jaw down by some centimetres."""
    moved = points.copy()
    for upper, lower, fold in zip(UPPER_LIDS, LOWER_LIDS, FOLDS, strict=True):
        up, low = points[list(upper)], points[list(lower)]
        down = low + 0.1 * (up - low)
        moved[list(upper)] = up + closed * (down - up) + closed * np.array([0, 0, 0.12])
        moved[list(lower)] = low + 0.1 * closed * (up - low)
        moved[list(fold)] = points[list(fold)] + 0.5 * closed * (down - up)
    if jaw_cm:
        lip = points[14, 1]
        depth = np.clip((lip + 0.25 - points[:POINTS, 1]) / 3.0, 0, 1)
        depth[list(LOWER_LIP)] = np.maximum(depth[list(LOWER_LIP)], 0.8)
        depth *= np.exp(-((points[:POINTS, 0] / 6.0) ** 2))
        moved[:POINTS, 1] -= jaw_cm * depth
    return moved
