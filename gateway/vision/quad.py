"""Corner geometry. A quad is (4, 2) float32: left top, right top, right bottom, left bottom. Pure."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Quad = NDArray[np.float32]
# Share of the plate's size that is cut out around the corners. The shipped detector's corners lie about 2 % inside the
# plate and the reader is used to a border of 2 %; chosen on rendered approaches (docs/models.md, "Margin").
MARGIN = 0.07


def box(quad: Quad) -> tuple[int, int, int, int]:
    """The upright box around a quad: x, y, width, height, whole pixels."""
    low, high = np.floor(quad.min(axis=0)), np.ceil(quad.max(axis=0))
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def width(quad: Quad) -> float:
    """Mean length of the upper and lower edge, in pixels."""
    return float((np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2)


def height(quad: Quad) -> float:
    """Mean length of the left and right edge, in pixels."""
    return float((np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2)


def is_plausible(quad: Quad) -> bool:
    """Whether a plate, seen from where cameras hang, can have this shape: convex, wider than high, no sliver."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad.tolist()  # plain numbers: a tenth of the cost for eight of them
    if not all(map(math.isfinite, (ax, ay, bx, by, cx, cy, dx, dy))):
        return False
    edges = ((bx - ax, by - ay), (cx - bx, cy - by), (dx - cx, dy - cy), (ax - dx, ay - dy))
    following = (*edges[1:], edges[0])
    if not all(x * v - y * u > 0 for (x, y), (u, v) in zip(edges, following, strict=True)):
        return False
    upper, right, lower, left = (math.hypot(*edge) for edge in edges)
    return 1.3 < (upper + lower) / max(left + right, 2e-3) < 9.0


def grow(quad: Quad, share: float) -> Quad:
    """The quad with every edge moved outwards by `share` of the plate's size."""
    across = (quad[1] + quad[2] - quad[0] - quad[3]) / 2 * share
    down = (quad[3] + quad[2] - quad[0] - quad[1]) / 2 * share
    return np.float32(
        [quad[0] - across - down, quad[1] + across - down, quad[2] + across + down, quad[3] - across + down]
    )


def rectify(picture: NDArray[np.uint8], quad: Quad, size: tuple[int, int], margin: float = MARGIN) -> NDArray[np.uint8]:
    """Cut the quad out of the picture as an upright rectangle of `size` (width, height) pixels.

    Drawn at the picture's own resolution first and shrunk by area, so that a large plate does not alias.
    """
    wide = max(size[0], round(width(quad)))
    high = max(size[1], round(height(quad)))
    flat = np.float32([[0, 0], [wide, 0], [wide, high], [0, high]])
    matrix = cv2.getPerspectiveTransform(np.float32(grow(quad, margin)), flat)
    cut = cv2.warpPerspective(picture, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cut if (wide, high) == size else cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
