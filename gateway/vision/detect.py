"""Find plates and their corners: look at the picture or at parts of it, then take a closer look at each candidate."""

from __future__ import annotations

from collections.abc import Sequence
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
MORE_LOOKS = 5  # in a still picture
MOST_REGIONS = 2  # parts of the picture that are looked at beside the whole
WHOLE_IS_ENOUGH = 0.67  # where the whole picture is shrunk no further than this, its parts show nothing more
REGION_WIDTH = 1.3  # of a look at a region, in widths of the region
_GREY = 127
_NEIGHBOURS = np.ones((3, 3), np.uint8)

Part = tuple[float, float, float, float]  # left, top, width, height, in the picture's pixels


@dataclass(frozen=True, slots=True)
class Found:
    """A plate's corners in the picture's pixels and the net's probability that one is there."""

    corners: Quad
    score: float


@dataclass(frozen=True, slots=True)
class Looks:
    """Where to look in a frame of a sequence.

    whole: at the whole picture. regions: parts in which something moved. known: plates of the frame before, about.
    """

    whole: bool = True
    regions: tuple[Part, ...] = ()
    known: tuple[Quad, ...] = ()


ONE_LOOK = Looks()


def detect(net: Net, picture: Picture, looks: Looks = ONE_LOOK, *, thorough: bool = False) -> list[Found]:
    """Plates in a picture, best first. At most 1 + MOST_REGIONS + MOST_LOOKS invokes.

    `thorough`, for still pictures: also looks at four overlapping quarters when the picture is large, since a far plate
    vanishes when a large picture is shrunk to the net's input, and takes MORE_LOOKS more closer looks.
    """
    candidates = [Found(quad, 1.0) for quad in looks.known[:MOST_LOOKS]]
    for part in _parts(net, picture, looks, thorough=thorough):
        candidates += _look(net, picture, part, CANDIDATE)
    found = []
    for candidate in distinct(candidates, roughly=not thorough)[: MOST_LOOKS + (MORE_LOOKS if thorough else 0)]:
        if (near := _closer(net, picture, candidate)) is not None:
            found.append(near)
    return distinct(found)


def _parts(net: Net, picture: Picture, looks: Looks, *, thorough: bool) -> list[Part]:
    """What to look at, the whole picture first."""
    high, wide = picture.shape[:2]
    _, net_high, net_wide, _ = net.input_shape
    parts = [(0.0, 0.0, float(wide), float(high))] if looks.whole else []
    if min(net_wide / wide, net_high / high) < WHOLE_IS_ENOUGH:
        for left, top, across, down in looks.regions[:MOST_REGIONS]:
            reach = max(REGION_WIDTH * across, REGION_WIDTH * down * net_wide / net_high, float(net_wide))
            if reach < 0.8 * wide:
                drop = reach * net_high / net_wide
                parts.append((left + (across - reach) / 2, top + (down - drop) / 2, reach, drop))
    if thorough and (wide > 2 * net_wide or high > 2 * net_high):
        part_w, part_h = 0.6 * wide, 0.6 * high
        parts += [(x, y, part_w, part_h) for x in (0.0, wide - part_w) for y in (0.0, high - part_h)]
    return parts


def _closer(net: Net, picture: Picture, candidate: Found) -> Found | None:
    """The plate at a candidate's place, by a look in which it is a third of the width."""
    _, net_high, net_wide, _ = net.input_shape
    centre, reach = candidate.corners.mean(axis=0), CLOSER * max(8.0, geometry.width(candidate.corners))
    part = (centre[0] - reach / 2, centre[1] - reach * 0.3, reach, reach * net_high / net_wide)
    near = [
        found
        for found in _look(net, picture, part, ACCEPTED)
        if np.abs(found.corners.mean(axis=0) - centre).max() < reach / 6
    ]
    return max(near, key=lambda found: found.score, default=None)


def _look(net: Net, picture: Picture, part: Part, least: float) -> list[Found]:
    """Plates in a part of the picture, in the picture's pixels."""
    _, net_high, net_wide, _ = net.input_shape
    left, top, wide, high = part
    scale = min(net_wide / wide, net_high / high)
    seen, scale_xy, offset = window(
        picture, left - (net_wide / scale - wide) / 2, top - (net_high / scale - high) / 2, scale, (net_wide, net_high)
    )
    outputs = net.run(seen)
    return [
        Found(np.float32(corners / scale_xy + offset), score)
        for corners, score in peaks(outputs["centre"][..., 0], outputs["corners"], least)
    ]


def window(
    picture: Picture, left: float, top: float, scale: float, size: tuple[int, int]
) -> tuple[Picture, NDArray[np.float64], NDArray[np.float64]]:
    """The part of the picture from (left, top) that fills `size` (width, height) at `scale`, grey outside the picture.

    Returns it with the exact scale (x, y) and offset (x, y): picture pixel = seen pixel / scale + offset. The cut is
    made at whole pixels and shrunk by halves first, which costs a third of shrinking by area in one go and keeps
    lettering from aliasing as well.
    """
    wide, high = size
    rows, columns = picture.shape[:2]
    x0, y0 = max(0, round(left)), max(0, round(top))
    x1, y1 = min(columns, round(left + wide / scale)), min(rows, round(top + high / scale))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return np.full((high, wide, 3), _GREY, np.uint8), np.full(2, scale), np.array([left, top])
    to = (min(wide, max(1, round((x1 - x0) * scale))), min(high, max(1, round((y1 - y0) * scale))))
    exact = np.array([to[0] / (x1 - x0), to[1] / (y1 - y0)])
    part = shrunk(picture[y0:y1, x0:x1], to)
    if to == size:
        return part, exact, np.array([float(x0), float(y0)])
    px = min(wide - to[0], max(0, round((x0 - left) * scale)))
    py = min(high - to[1], max(0, round((y0 - top) * scale)))
    seen = np.full((high, wide, 3), _GREY, np.uint8)
    seen[py : py + to[1], px : px + to[0]] = part
    return seen, exact, np.array([x0 - px / exact[0], y0 - py / exact[1]])


def shrunk(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture at `size` (width, height), smaller or larger."""
    while picture.shape[1] >= 2 * size[0] and picture.shape[0] >= 2 * size[1]:
        halved = (picture.shape[1] // 2, picture.shape[0] // 2)
        even = picture[: 2 * halved[1], : 2 * halved[0]]  # only a factor of exactly two is quick
        picture = cv2.resize(even, halved, interpolation=cv2.INTER_AREA)
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)


def peaks(centre: NDArray[np.float32], corners: NDArray[np.float32], least: float) -> list[tuple[Quad, float]]:
    """Local maxima of the centre map (rows, columns) with their corners (rows, columns, 8), in input pixels. Pure."""
    if float(centre.max()) < least:
        return []
    highest = cv2.dilate(centre, _NEIGHBOURS)
    found = []
    for row, column in np.argwhere((centre >= least) & (centre >= highest)):
        cell = (np.array([column, row]) + 0.5) * STRIDE
        quad = np.float32(corners[row, column].reshape(4, 2) * CORNER_UNIT + cell)
        if geometry.is_plausible(quad):
            found.append((quad, float(centre[row, column])))
    return found


def distinct(found: Sequence[Found], *, roughly: bool = False) -> list[Found]:
    """Best first, without those whose centre lies within another's plate: its upright box.

    roughly: within a square as wide as the plate instead, for looks from far away, whose corners are off. What is no
    plate but looks like a wide one (a grille) would hide a plate below it so.
    """
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: -f.score):
        if not any(_within(one, other, roughly=roughly) for other in kept):
            kept.append(one)
    return kept


def _within(one: Found, other: Found, *, roughly: bool) -> bool:
    across, down = np.abs(one.corners.mean(axis=0) - other.corners.mean(axis=0)).tolist()
    if roughly:
        return max(across, down) <= geometry.width(other.corners) / 2
    wide, high = np.ptp(other.corners, axis=0).tolist()
    return across <= wide / 2 and down <= high / 2
