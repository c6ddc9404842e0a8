"""The renderer: from seeds, with exact landmarks, and somebody else every time."""

from __future__ import annotations

import numpy as np
import pytest

from sim.render.heads import motion, shape
from sim.render.heads.show import ATTACKS, LIVE, Stage, play

SHORT = Stage(times_ms=(0, 150))


def test_the_same_seed_gives_the_same_pictures() -> None:
    one, other = play("print_bent", 4, SHORT), play("print_bent", 4, SHORT)
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.mesh, b.mesh)
    assert not np.array_equal(one[0].image, play("print_bent", 5, SHORT)[0].image)


def test_landmarks_come_with_and_without_pictures() -> None:
    drawn, plain = play(LIVE, 4, SHORT), play(LIVE, 4, Stage(times_ms=(0, 150), pictures=False))
    assert plain[0].image is None
    assert drawn[0].image is not None
    assert plain[0].mesh.shape == (468, 3)
    lit = drawn[0].image[tuple(np.round(drawn[0].mesh[1, 1::-1]).astype(int))]
    assert lit.mean() > 20  # the tip of the nose is on the picture


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of live"):
        play("mirror", 1, SHORT)
    assert set(ATTACKS) >= {"print_flat", "print_bent", "mask_eyes", "screen_still", "screen_video"}


def test_the_nose_is_where_the_picture_shows_it() -> None:
    """The lit tip of the nose turns to the side that the landmarks say."""
    left, right = (
        play(LIVE, 6, Stage(times_ms=(0, 150), pictures=False, acts=(motion.Act(what, -600, 1500),)))[0].mesh
        for what in ("turn_left", "turn_right")
    )
    aside = [float(mesh[1, 0] - mesh[[33, 263], 0].mean()) for mesh in (left, right)]
    assert aside[0] > 5  # an unmirrored picture: the person's left is the picture's right
    assert aside[1] < -5


def test_lids_meet_when_eyes_close() -> None:
    points = shape.somebody(np.random.default_rng(2)).points
    open_gap, shut_gap = (
        float(np.linalg.norm(shape.expressed(points, closed)[159] - shape.expressed(points, closed)[145]))
        for closed in (0.0, 1.0)
    )
    assert shut_gap < 0.3 * open_gap


def test_heads_differ_by_more_than_noise() -> None:
    heads = [shape.somebody(np.random.default_rng(seed)).points[: shape.POINTS] for seed in range(6)]
    for i, one in enumerate(heads):
        for other in heads[:i]:
            assert np.sqrt(((one - other) ** 2).sum(1).mean()) > 0.15
