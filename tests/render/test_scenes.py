"""Scenes follow from their seeds, corners are where the plate is, and the plate grows as promised."""

import numpy as np
import pytest

from sim.render.plate import PlateKind
from sim.render.scene import approach, background, empty_scene


def _width(frame):
    return float(np.linalg.norm(frame.corners[1] - frame.corners[0]))


@pytest.mark.parametrize(("kind", "text"), [(PlateKind.BLUE, "京A12345"), (PlateKind.GREEN, "粤BD12345")])
def test_a_seed_gives_the_same_frames(kind, text):
    once, again = (list(approach(text, kind, seed=5, frames=3)) for _ in range(2))
    assert len(once) == 3
    for one, other in zip(once, again, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.corners, other.corners)
    other = next(approach(text, kind, seed=6, frames=3))
    assert not np.array_equal(once[0].image, other.image)


@pytest.mark.parametrize("seed", range(8))
def test_the_plate_grows_inside_the_picture(seed):
    frames = list(approach("京A12345", PlateKind.BLUE, seed=seed, frames=6, background_seed=seed))
    widths = [_width(f) for f in frames]
    assert widths == sorted(widths)
    assert 45 <= widths[0] <= 75
    assert 140 <= widths[-1] <= 215
    for frame in frames:
        assert frame.image.shape == (540, 960, 3)
        assert frame.image.dtype == np.uint8
        assert frame.corners.shape == (4, 2)
        assert frame.corners.dtype == np.float32
        assert (frame.corners >= 0).all()
        assert (frame.corners < (960, 540)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_corners_enclose_the_plate(seed):
    frame = list(approach("京A12345", PlateKind.YELLOW, seed=seed, frames=4))[-1]
    centre = frame.corners.mean(axis=0)
    inside, outside = frame.corners * 0.9 + centre * 0.1, frame.corners * 1.5 - centre * 0.5
    yellow = []
    for quad in (inside, outside):
        edge = np.concatenate([np.linspace(a, b, 40) for a, b in zip(quad, np.roll(quad, -1, axis=0), strict=True)])
        pixels = frame.image[edge[:, 1].astype(int), edge[:, 0].astype(int)].astype(int)
        yellow.append(float((pixels[:, 1] > pixels[:, 0] + 60).mean()))  # no car is painted so
    assert yellow[0] > 0.6
    assert yellow[1] < 0.1


def test_an_empty_scene_is_the_same_place_with_other_light():
    once, again, later = empty_scene(seed=1), empty_scene(seed=1), empty_scene(seed=2)
    assert np.array_equal(once, again)
    assert not np.array_equal(once, later)
    assert once.shape == (540, 960, 3)
    edges = [np.abs(np.diff(s.astype(int).mean(axis=2), axis=0)) > 25 for s in (once, background(0))]
    assert (edges[0] & edges[1]).sum() > 0.3 * edges[1].sum(), "the same edges are in both"


def test_another_size_scales_the_plate():
    small = list(approach("京A12345", PlateKind.BLUE, seed=1, frames=2, width=480, height=270))
    large = list(approach("京A12345", PlateKind.BLUE, seed=1, frames=2))
    assert small[-1].image.shape == (270, 480, 3)
    assert _width(small[-1]) == pytest.approx(_width(large[-1]) / 2, rel=0.03)
