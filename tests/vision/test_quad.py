"""Corner geometry."""

import cv2
import numpy as np
import pytest

from gateway.vision import quad as geometry
from gateway.vision.detect import STRIDE, peaks

FLAT = np.float32([[10, 20], [110, 20], [110, 50], [10, 50]])


def test_box_width_height():
    assert geometry.box(FLAT) == (10, 20, 100, 30)
    assert geometry.width(FLAT) == 100
    assert geometry.height(FLAT) == 30
    assert geometry.box(np.float32([[0.4, 0.6], [9.2, 1], [9, 4.1], [0, 4]])) == (0, 0, 10, 5)


def test_grow_moves_every_edge():
    assert np.allclose(geometry.grow(FLAT, 0.1), [[0, 17], [120, 17], [120, 53], [0, 53]])
    assert np.allclose(geometry.grow(FLAT, 0), FLAT)


@pytest.mark.parametrize(
    ("quad", "expected"),
    [
        (FLAT, True),
        (FLAT[[1, 0, 3, 2]], False),  # mirrored
        (FLAT[[2, 3, 0, 1]], True),  # upside down is still a quad
        (FLAT[[0, 2, 1, 3]], False),  # crossed
        (np.float32([[0, 0], [30, 0], [30, 30], [0, 30]]), False),  # square
        (np.float32([[0, 0], [100, 0], [100, 5], [0, 5]]), False),  # sliver
        (np.float32([[0, 0], [100, 20], [95, 52], [-4, 31]]), True),
        (np.full((4, 2), np.nan, np.float32), False),
        (np.zeros((4, 2), np.float32), False),
    ],
)
def test_plausible(quad, expected):
    assert geometry.is_plausible(quad) is expected


def test_rectify_undoes_a_perspective():
    plate = np.zeros((32, 128, 3), np.uint8)
    plate[:, :64], plate[:16, 64:] = (255, 0, 0), (0, 0, 255)
    target = np.float32([[40, 30], [150, 44], [146, 80], [36, 60]])
    matrix = cv2.getPerspectiveTransform(np.float32([[0, 0], [128, 0], [128, 32], [0, 32]]), target)
    picture = cv2.warpPerspective(plate, matrix, (200, 120))
    back = geometry.rectify(picture, target, (128, 32), margin=0.0)
    assert np.abs(back[4:12, 6:58].astype(int) - plate[4:12, 6:58]).mean() < 4
    assert np.abs(back[4:12, 70:122].astype(int) - plate[4:12, 70:122]).mean() < 4
    assert np.abs(back[20:28, 70:122].astype(int) - plate[20:28, 70:122]).mean() < 4


def test_rectify_of_a_large_plate_keeps_the_size():
    picture = np.full((400, 900, 3), 77, np.uint8)
    assert geometry.rectify(picture, FLAT * 7, (128, 32)).shape == (32, 128, 3)


def test_peaks_finds_local_maxima_with_plausible_corners():
    centre, corners = np.zeros((24, 40), np.float32), np.zeros((24, 40, 8), np.float32)
    corners[:] = np.float32([[-1, -0.3], [1, -0.3], [1, 0.3], [-1, 0.3]]).reshape(8)
    centre[10, 20], centre[10, 21], centre[3, 3] = 0.9, 0.8, 0.1
    ((quad, score),) = peaks(centre, corners, 0.3)
    assert score == pytest.approx(0.9)
    assert np.allclose(quad.mean(axis=0), [20.5 * STRIDE, 10.5 * STRIDE])
    assert geometry.width(quad) == 64
    corners[10, 20] = 0
    assert peaks(centre, corners, 0.85) == []
