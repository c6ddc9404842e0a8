"""The gate in front of the nets: quiet on noise and on a change of light, awake where something moves."""

import numpy as np
import pytest

from gateway.vision.motion import MotionGate
from sim.render.plate import PlateKind
from sim.render.scene import approach, empty_scene, place_background


def quiet(seed, light=0.0, noise=6.0):
    rng = np.random.default_rng(seed)
    scene = place_background(3, 480, 270).astype(np.float32)
    return np.clip(scene + light + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)


def test_the_first_picture_tells_nothing():
    gate = MotionGate()
    assert gate.moved(quiet(0)) is None
    assert gate.moved(quiet(1)) == ()
    assert gate.moved(quiet(2)[:200]) is None, "the camera's size changed"


@pytest.mark.parametrize("noise", [0.5, 6.0, 20.0])
def test_noise_is_no_motion(noise):
    gate = MotionGate()
    assert [gate.moved(quiet(n, noise=noise)) for n in range(6)][1:] == [()] * 5


def test_a_cloud_is_no_motion():
    gate = MotionGate()
    assert [gate.moved(quiet(n, light=5.0 * n)) for n in range(5)][1:] == [()] * 4


def test_a_car_that_comes_is_seen_in_every_frame_and_its_small_plate_is_in_the_regions():
    gate = MotionGate()
    for _ in range(3):
        gate.moved(empty_scene(seed=1, background_seed=3))
    for frame in approach("京A12345", PlateKind.BLUE, seed=4, frames=16, background_seed=3):
        x, y = frame.corners.mean(axis=0)
        regions = gate.moved(frame.image)
        assert regions
        if np.linalg.norm(frame.corners[1] - frame.corners[0]) < 120:  # a larger one is found in the whole picture
            assert any(left <= x <= left + wide and top <= y <= top + high for left, top, wide, high in regions)


def test_a_small_thing_is_found_where_it_is():
    gate, picture = MotionGate(), np.full((1080, 1920, 3), 90, np.uint8)
    gate.moved(picture)
    moved = picture.copy()
    moved[400:520, 1200:1380] = 160
    ((left, top, wide, high),) = gate.moved(moved)
    assert left <= 1200 <= 1380 <= left + wide
    assert top <= 400 <= 520 <= top + high
    assert wide < 300
    assert high < 240
