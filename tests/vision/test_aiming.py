"""Advice on aiming: on rendered plates whose faults are known, and what is said when there is nothing to see."""

import cv2
import numpy as np
import pytest

from gateway.aiming.hints import Advice, advise, sight
from gateway.aiming.texts import TEXTS
from sim.render.plate import PlateKind
from sim.render.scene import approach


@pytest.fixture(scope="module")
def near():
    return list(approach("京A12345", PlateKind.BLUE, seed=21, frames=24))[-1]


def resized(frame, share):
    size = (round(frame.image.shape[1] * share), round(frame.image.shape[0] * share))
    return cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.float32(frame.corners * share)


def test_a_plate_near_the_camera_is_good_or_only_at_the_edge(near):
    assert set(advise(sight(near.image, near.corners))) <= {Advice.GOOD, Advice.AT_EDGE}


@pytest.mark.parametrize(("wide", "advice"), [(80, Advice.SMALL), (40, Advice.TOO_SMALL)])
def test_a_small_plate_is_told(near, wide, advice):
    width = float(np.linalg.norm(near.corners[1] - near.corners[0]))
    assert advice in advise(sight(*resized(near, wide / width)))


@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (lambda p: cv2.GaussianBlur(p, (0, 0), 9), Advice.BLURRED),
        (lambda p: (p * 0.12).astype(np.uint8), Advice.DARK),
        (lambda p: np.clip(p * 4.0 + 90, 0, 255).astype(np.uint8), Advice.BRIGHT),
    ],
)
def test_a_spoiled_picture_is_told_seriously(near, spoil, advice):
    assert advice in advise(sight(spoil(near.image), near.corners))


def test_a_tilted_camera_is_told(near):
    high, wide = near.image.shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), -25, 1.0)
    corners = np.float32(cv2.transform(near.corners[None], turn)[0])
    seen = sight(cv2.warpAffine(near.image, turn, (wide, high)), corners)
    assert Advice.TILTED in advise(seen)
    assert seen.tilt_degrees == pytest.approx(25, abs=6)


def test_nothing_to_see_is_said_and_every_advice_has_words_in_both_languages():
    assert advise(None) == [Advice.NO_PLATE]
    assert all(all(TEXTS[f"aim.{advice}"]) for advice in Advice)
