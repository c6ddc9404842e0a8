"""What a picture says about where the camera hangs: measures of one look, and the advice that follows. Pure.

The limits lie where the shipped reader begins to lose rendered plates that it read before (training/aiming_limits.py;
docs/models.md, "Aiming"). Only the picture is judged: what the camera itself does (shutter, gain) cannot be seen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision import quad as geometry
from gateway.vision.quad import Quad

GOOD_WIDTH_PX, LEAST_WIDTH_PX = 100.0, 60.0
MOST_TILT_DEGREES = 15.0
SHARP, BLURRED = 0.30, 0.225  # see `sharpness`; of drawn plates 98 and 92 of 100 are read there
DARK, BRIGHT = 30.0, 190.0  # mean of the plate, 0..255: 97, and some 80, of 100 are read there
MOST_CLIPPED = 0.09  # share of the plate's pixels at 250 or more: 98 of 100
EDGE_SHARE = 0.04  # nearer to the picture's edge than this share of it


class Advice(StrEnum):
    """What to tell the person; the words are in texts.py."""

    NO_PLATE = "no-plate"
    TOO_SMALL = "too-small"
    SMALL = "small"
    TILTED = "tilted"
    BLURRED = "blurred"
    SOFT = "soft"
    DARK = "dark"
    BRIGHT = "bright"
    GLARE = "glare"
    AT_EDGE = "at-edge"
    GOOD = "good"


SERIOUS = frozenset({Advice.TOO_SMALL, Advice.BLURRED, Advice.DARK, Advice.BRIGHT})


@dataclass(frozen=True, slots=True)
class Sight:
    """One plate in one picture. Pixels of the picture; tilt in degrees, clockwise positive; light 0..255."""

    width_px: float
    tilt_degrees: float
    sharpness: float
    light: float
    clipped: float
    at_edge: bool


def sight(picture: NDArray[np.uint8], corners: Quad) -> Sight:
    """Measure the plate between `corners` (4, 2) in `picture` (h, w, 3) BGR."""
    across = (corners[1] + corners[2] - corners[0] - corners[3]) / 2
    plate = cv2.cvtColor(geometry.rectify(picture, corners, (128, 32), margin=0.0), cv2.COLOR_BGR2GRAY)
    high, wide = picture.shape[:2]
    low, top = corners.min(axis=0), corners.max(axis=0)
    border = EDGE_SHARE * np.array([wide, high])
    return Sight(
        width_px=geometry.width(corners),
        tilt_degrees=float(np.degrees(np.arctan2(across[1], across[0]))),
        sharpness=sharpness(plate),
        light=float(plate.mean()),
        clipped=float((plate >= 250).mean()),
        at_edge=bool((low < border).any() or (top > np.array([wide, high]) - border).any()),
    )


def sharpness(plate: NDArray[np.uint8]) -> float:
    """Steepness of the lettering (32, 128) grey: mean absolute step between neighbours over the spread of light.

    Independent of contrast; a sharp plate has its whole step within two pixels, a blurred one spreads it.
    """
    f = plate.astype(np.float32)
    spread = float(np.percentile(f, 95) - np.percentile(f, 5))
    if spread < 8:  # no lettering to be sharp
        return 0.0
    steps = np.abs(np.diff(f, axis=1))
    return float(np.percentile(steps, 95) / spread)


def advise(seen: Sight | None) -> list[Advice]:
    """What to say of the largest plate, most serious first; GOOD alone where there is nothing to say."""
    if seen is None:
        return [Advice.NO_PLATE]
    said = [
        (seen.width_px < LEAST_WIDTH_PX, Advice.TOO_SMALL),
        (seen.sharpness < BLURRED, Advice.BLURRED),
        (seen.light < DARK, Advice.DARK),
        (seen.light > BRIGHT, Advice.BRIGHT),
        (LEAST_WIDTH_PX <= seen.width_px < GOOD_WIDTH_PX, Advice.SMALL),
        (abs(seen.tilt_degrees) > MOST_TILT_DEGREES, Advice.TILTED),
        (BLURRED <= seen.sharpness < SHARP, Advice.SOFT),
        (seen.clipped > MOST_CLIPPED and seen.light <= BRIGHT, Advice.GLARE),
        (seen.at_edge, Advice.AT_EDGE),
    ]
    return [advice for holds, advice in said if holds] or [Advice.GOOD]
