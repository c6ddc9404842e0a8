"""Where something moves in front of a camera that stands still: small grey pictures in, regions out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.detect import Part, shrunk
from gateway.vision.picture import Picture

ACROSS = 160  # width of the small picture that is compared
LEAST_LEVELS = 10.0  # grey levels of 256 by which a place must differ, at least
NOISES = 6.0  # and in multiples of the usual difference, so that a noisy night is no motion
QUARTER_OF_NOISE = 0.3186  # a quarter of normal noise is below this many standard deviations
LEAST_SHARE = 0.0015  # of the picture: a plate of 3 % of its width on a car of three times that moves more
LEARNING = 0.15  # share of the newest picture in what is taken for the standing scene
MOST_REGIONS = 4
_JOIN = np.ones((5, 5), np.uint8)


@dataclass(slots=True)
class MotionGate:
    """One camera's. Compares with a running mean; a change of light as a whole is no motion."""

    _usual: NDArray[np.float32] | None = field(default=None)

    def moved(self, picture: Picture) -> tuple[Part, ...] | None:
        """The regions that changed, largest first, in the picture's pixels; () where nothing did; None for the first
        picture and where the camera's size changed: nothing is known then."""
        small = _small(picture)
        usual = self._usual
        if usual is None or usual.shape != small.shape:
            self._usual = small
            return None
        difference = small - usual
        difference -= _usual_shift(difference)
        np.abs(difference, out=difference)
        self._usual = cv2.addWeighted(usual, 1 - LEARNING, small, LEARNING, 0)
        level = max(LEAST_LEVELS, NOISES * float(np.quantile(difference, 0.25)) / QUARTER_OF_NOISE)
        return _regions((difference > level).astype(np.uint8), picture.shape[1] / small.shape[1])


def _usual_shift(difference: NDArray[np.float32]) -> float:
    """By how much most of the standing scene became lighter: the commonest difference, since a car at the arm covers
    more than half of the picture and would carry a mean or a median away."""
    counts = np.bincount(np.clip(np.rint(difference.ravel()) + 256, 0, 512).astype(np.intp), minlength=513)
    return float(np.convolve(counts, np.ones(5), "same").argmax() - 256)


def _small(picture: Picture) -> NDArray[np.float32]:
    high, wide = picture.shape[:2]
    across = min(ACROSS, wide)
    size = (across, max(1, round(high * across / wide)))
    grey = cv2.cvtColor(shrunk(picture, size), cv2.COLOR_BGR2GRAY)
    return cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32)


def _regions(changed: NDArray[np.uint8], scale: float) -> tuple[Part, ...]:
    least = max(3, round(LEAST_SHARE * changed.size))
    if int(changed.sum()) < least:
        return ()
    count, _, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(changed, _JOIN))
    found = sorted((boxes[n] for n in range(1, count)), key=lambda b: -b[cv2.CC_STAT_AREA])[:MOST_REGIONS]
    large = [b for b in found if b[cv2.CC_STAT_AREA] >= least]
    return tuple((float(b[0]) * scale, float(b[1]) * scale, float(b[2]) * scale, float(b[3]) * scale) for b in large)
