"""The published detector's outputs to plates: only what is in the picture."""

import numpy as np
import pytest

from gateway.vision import published
from gateway.vision.detect import Found, distinct

SIDE = 640
STEP, SIZE = 16, 96  # of the prior that the fake net is sure of


class SureOf:
    """A net that sees one plate, in the middle of the prior nearest to (x, y) of its input."""

    def __init__(self, x, y):
        self.input_shape = (1, SIDE, SIDE, 3)
        priors = published._priors(SIDE) * SIDE
        fitting = np.flatnonzero(priors[:, 2] == SIZE)
        self.prior = fitting[np.abs(priors[fitting, :2] - (x, y)).sum(axis=1).argmin()]
        self.count = len(priors)

    def run_ready(self, x):
        assert x.shape == self.input_shape[1:]
        conf = np.tile(np.float32([1, 0]), (self.count, 1))
        conf[self.prior] = (0.02, 0.98)
        wide, high = 0.45, 0.14  # half, in sizes of the prior
        corners = np.float32([-wide, -high, wide, -high, wide, high, -wide, high]) / published.VARIANCES[0]
        return {
            "conf": conf,
            "loc": np.zeros((self.count, 4), np.float32),
            "landms": np.tile(corners, (self.count, 1)),
        }


@pytest.mark.parametrize(
    ("picture", "at", "seen"),
    [
        ((320, 640), (320, 160), True),
        ((320, 640), (320, 400), False),  # below the picture, in what fills the square up
        ((640, 320), (480, 320), False),  # right of it
        ((640, 320), (200, 320), True),
    ],
)
def test_a_plate_beside_the_picture_is_none(picture, at, seen):
    found = published.find(SureOf(*at), np.zeros((*picture, 3), np.uint8))
    assert [one.score for one in found] == ([pytest.approx(0.98)] if seen else [])
    for one in found:
        assert np.abs(one.corners.mean(axis=0) - at).max() <= STEP


def plate(x, y, wide, score):
    high = wide / 3.2
    offsets = np.float32([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]) / 2
    return Found(offsets + np.float32([x, y]), score)


def test_something_wide_above_hides_no_plate_below_it():
    grille, below = plate(522, 438, 420, 0.68), plate(533, 565, 250, 0.65)
    assert distinct([grille, below]) == [grille, below]
    assert distinct([grille, below], roughly=True) == [grille]


def test_the_same_plate_seen_twice_is_one():
    first, again = plate(100, 100, 120, 0.9), plate(108, 110, 110, 0.8)
    assert distinct([again, first]) == [first]
