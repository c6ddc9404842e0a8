"""Figures follow from their seeds, come nearer, and are where their box says."""

import numpy as np
import pytest

from sim.render.person import nobody, walk_up


def test_a_seed_gives_the_same_walk_and_another_one_another():
    once, again, other = (list(walk_up(seed=seed, frames=4)) for seed in (3, 3, 4))
    assert len(once) == 4
    assert all(np.array_equal(a.image, b.image) and a.box == b.box for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[-1].image, other[-1].image)


@pytest.mark.parametrize("seed", range(6))
def test_somebody_comes_nearer_and_stays_in_the_picture(seed):
    boxes = [seen.box for seen in walk_up(seed=seed, frames=6, width=640, height=360)]
    heights = [box[3] - box[1] for box in boxes]
    assert heights == sorted(heights)
    assert heights[0] < 90 < 240 < heights[-1]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 640
        assert 0 <= top < bottom <= 360


def test_the_box_holds_all_that_differs_from_the_empty_place():
    seen, empty = list(walk_up(seed=1, frames=3))[-1], nobody(seed=1)
    assert empty.box is None
    left, top, right, bottom = seen.box
    inside = np.abs(seen.image[top:bottom, left:right].astype(int) - empty.image[top:bottom, left:right]).mean()
    above = np.abs(seen.image[:top].astype(int) - empty.image[:top]).mean()
    assert inside > above + 10
