"""A face to the upright crop that embedding models were trained on."""

from __future__ import annotations

from math import ceil, floor, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.picture import Picture

# Five points in a crop of 112 x 112: the template of ArcFace (insightface, arcface_dst).
TEMPLATE = np.float64(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
SIDE = 112
_PART_TIMES = 8  # a part of more than this many times the pixels drawn is not worth being made four bytes
_MOST_TIMES = 8  # a picture is averaged down at most this many times before a crop is drawn from it


def crop(picture: Picture, points: NDArray[np.float32], fill: float = 1.0, side: int = SIDE) -> Picture:
    """uint8 (side, side, 3): the picture turned, scaled and moved so that `points` (5, 2) meet the template.

    fill: the template's size about the crop's middle; below 1 shows more of what surrounds the face.
    """
    wanted = ((TEMPLATE - SIDE / 2) * fill + SIDE / 2) * (side / SIDE)
    matrix = similarity(points.astype(np.float64), wanted)
    scale = hypot(matrix[0, 0], matrix[1, 0])
    times = 1
    while times < _MOST_TIMES and scale * times < 0.5:  # else most pixels of a large face would not be looked at
        times *= 2
    if times == 1:
        return drawn(picture, matrix, side)
    left, top, right, bottom = _needed(picture, matrix, side)
    wide, high = (right - left) // times, (bottom - top) // times
    if wide < 1 or high < 1:
        return np.zeros((side, side, 3), np.uint8)
    part = picture[top : top + high * times, left : left + wide * times]
    smaller = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA)
    # The middle of a pixel of `smaller` is the middle of the times x times pixels that it is the mean of.
    matrix[:, 2] += matrix[:, :2] @ (left + (times - 1) / 2, top + (times - 1) / 2)
    matrix[:, :2] *= times
    found = drawn(smaller, matrix, side)
    smaller.fill(0)
    return found


def drawn(picture: Picture, matrix: NDArray[np.float64], side: int, *, rgb: bool = False) -> Picture:
    """uint8 (side, side, 3): the picture under a 2x3 map; what lies beyond its edge is black.

    OpenCV is more than twice as fast on pixels of four bytes, so a small part is made that first.
    """
    left, top, right, bottom = _needed(picture, matrix, side)
    if not 0 < max(0, right - left) * max(0, bottom - top) <= _PART_TIMES * side * side:
        whole = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)
        return cv2.cvtColor(whole, cv2.COLOR_BGR2RGB, dst=whole) if rgb else whole
    part = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_BGR2BGRA)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left, top)
    four = cv2.warpAffine(part, moved, (side, side), flags=cv2.INTER_LINEAR)
    three = cv2.cvtColor(four, cv2.COLOR_BGRA2RGB if rgb else cv2.COLOR_BGRA2BGR)
    part.fill(0)
    four.fill(0)
    return three


def _needed(picture: Picture, matrix: NDArray[np.float64], side: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the pixels that a drawing of `side` pixels takes its own from."""
    high, wide = picture.shape[:2]
    (a, b, x), (c, d, y) = cv2.invertAffineTransform(matrix).tolist()
    most = side - 1
    left, right = x + min(0, a * most) + min(0, b * most), x + max(0, a * most) + max(0, b * most)
    top, bottom = y + min(0, c * most) + min(0, d * most), y + max(0, c * most) + max(0, d * most)
    return max(0, floor(left) - 1), max(0, floor(top) - 1), min(wide, ceil(right) + 2), min(high, ceil(bottom) + 2)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2x3 rotation, scale and move of least squares from source (N, 2) to target (N, 2), never a mirror image.

    Umeyama 1991 for the plane: with points as complex numbers, turn and scale are one factor, and it is regression's.
    """
    middle, wanted = source.mean(0), target.mean(0)
    (x, y), (u, v) = (source - middle).T, (target - wanted).T
    spread = max(1e-12, float(x @ x + y @ y))
    along, across = float(x @ u + y @ v) / spread, float(x @ v - y @ u) / spread
    matrix = np.array([[along, -across, 0.0], [across, along, 0.0]])
    matrix[:, 2] = wanted - matrix[:, :2] @ middle
    return matrix
