"""Find plates and their corners. One look at the whole picture, then one closer look at each of the best candidates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision import quad as geometry
from gateway.vision.picture import Picture
from gateway.vision.quad import Quad
from gateway.vision.runtime import Net

STRIDE = 8  # pixels of the net's input per cell of its output; training/nets.py
CORNER_UNIT = 32.0  # pixels of the net's input per unit of its corner outputs
CANDIDATE = 0.15  # centre probability at which a closer look is taken
ACCEPTED = 0.30  # and at which a plate is reported
CLOSER = 3.0  # width of a closer look, in plate widths
MOST_LOOKS = 3  # closer looks per picture: bounds the invokes of a frame


@dataclass(frozen=True, slots=True)
class Found:
    """A plate's corners in the picture's pixels and the net's probability that one is there."""

    corners: Quad
    score: float


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of the picture as the net sees it: input pixel = (picture pixel - offset) * scale."""

    left: float
    top: float
    scale: float


def detect(net: Net, picture: Picture, *, thorough: bool = False) -> list[Found]:
    """Plates in a picture, best first. At most 1 + MOST_LOOKS invokes.

    `thorough`, for still pictures: also looks at four overlapping quarters when the picture is large, since a far plate
    vanishes when a large picture is shrunk to the net's input. Four more invokes.
    """
    high, wide = picture.shape[:2]
    _, net_high, net_wide, _ = net.input_shape
    candidates = list(_look(net, picture, (0.0, 0.0, float(wide), float(high)), CANDIDATE))
    if thorough and (wide > 2 * net_wide or high > 2 * net_high):
        part_w, part_h = 0.6 * wide, 0.6 * high
        for left in (0.0, wide - part_w):
            for top in (0.0, high - part_h):
                candidates += _look(net, picture, (left, top, part_w, part_h), CANDIDATE)
    found: list[Found] = []
    for candidate in distinct(candidates)[: MOST_LOOKS + (2 if thorough else 0)]:
        centre, reach = candidate.corners.mean(axis=0), CLOSER * max(8.0, geometry.width(candidate.corners))
        part = (centre[0] - reach / 2, centre[1] - reach * 0.3, reach, reach * net_high / net_wide)
        near = [
            f for f in _look(net, picture, part, ACCEPTED) if np.abs(f.corners.mean(axis=0) - centre).max() < reach / 6
        ]
        if near:
            found.append(max(near, key=lambda f: f.score))
    return distinct(found)


def _look(net: Net, picture: Picture, part: tuple[float, float, float, float], least: float) -> Iterator[Found]:
    """Plates in a part (left, top, width, height) of the picture, in the picture's pixels."""
    _, net_high, net_wide, _ = net.input_shape
    left, top, wide, high = part
    scale = min(net_wide / wide, net_high / high)
    window = _Window(left - (net_wide / scale - wide) / 2, top - (net_high / scale - high) / 2, scale)
    outputs = net.run(_shrunk(picture, window, net_wide, net_high))
    for corners, score in peaks(outputs["centre"][..., 0], outputs["corners"], least):
        yield Found(np.float32(corners / window.scale + (window.left, window.top)), score)


def _shrunk(picture: Picture, window: _Window, wide: int, high: int) -> Picture:
    """The window at the net's size, grey outside the picture; shrunk by area so that lettering does not alias."""
    scale, source = window.scale, picture
    left, top = window.left, window.top
    if scale < 0.75:
        x0, y0 = max(0, int(left)), max(0, int(top))
        x1 = min(picture.shape[1], int(np.ceil(left + wide / scale)))
        y1 = min(picture.shape[0], int(np.ceil(top + high / scale)))
        if x1 - x0 >= 2 and y1 - y0 >= 2:
            size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
            source = cv2.resize(picture[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
            left, top, scale = (left - x0) * scale, (top - y0) * scale, 1.0
        else:
            left, top = left * scale, top * scale
    else:
        left, top = left * scale, top * scale
    matrix = np.float32([[scale, 0, -left], [0, scale, -top]])
    return cv2.warpAffine(source, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=(127, 127, 127))


def peaks(centre: NDArray[np.float32], corners: NDArray[np.float32], least: float) -> list[tuple[Quad, float]]:
    """Local maxima of the centre map (rows, columns) with their corners (rows, columns, 8), in input pixels. Pure."""
    highest = cv2.dilate(centre, np.ones((3, 3), np.uint8))
    found = []
    for row, column in np.argwhere((centre >= least) & (centre >= highest)):
        cell = (np.array([column, row]) + 0.5) * STRIDE
        quad = np.float32(corners[row, column].reshape(4, 2) * CORNER_UNIT + cell)
        if geometry.is_plausible(quad):
            found.append((quad, float(centre[row, column])))
    return found


def distinct(found: list[Found]) -> list[Found]:
    """Best first, without those whose centre lies within another's plate."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: -f.score):
        centre = one.corners.mean(axis=0)
        if all(np.abs(centre - other.corners.mean(axis=0)).max() > geometry.width(other.corners) / 2 for other in kept):
            kept.append(one)
    return kept
