"""The statistics behind the tables, against values that are known."""

import numpy as np
import pytest

from training import face_ideas
from training.face_evidence import Pairs, best_threshold, cross_scores, halves, operating_points, upper, wilson


def test_intervals():
    assert wilson(0, 300) == pytest.approx((0, 0.01264), abs=1e-5)
    assert wilson(597, 600) == pytest.approx((0.98540, 0.99830), abs=1e-5)
    assert upper(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper(2, 300) == pytest.approx(0.02083, abs=2e-4)  # Clopper-Pearson, one-sided 95 %
    assert upper(5, 5) == 1


def people(count, each, noise, seed=1):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 64))
    vectors = np.repeat(centres, each, 0) + noise * rng.normal(size=(count * each, 64))
    group = np.repeat(np.arange(count), each)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), group


def test_cross_comparisons_are_of_different_people_only():
    vectors, group = people(10, 3, 0.01)
    cross = cross_scores(vectors, group)
    assert len(cross) == (30 * 27) // 2
    assert cross[-1] < 0.9  # no two pictures of one person among them


def test_halves_share_no_picture_and_no_pair():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 400, 120)
    b = (a + 1 + rng.integers(0, 3, 120)) % 400
    pairs = Pairs(a, b, rng.random(120) < 0.5, np.arange(400))
    first, second = halves(pairs)
    assert not (first & second).any()
    assert len(pairs.of(first).a) + len(pairs.of(second).a) == 120
    assert abs(len(pairs.of(first).a) - len(pairs.of(second).a)) < 20


def test_the_chosen_threshold_separates():
    threshold = best_threshold(np.float32([0.5, 0.6]), np.sort(np.float32([0.1, 0.2, 0.3])))
    assert 0.3 <= threshold <= 0.5


def test_what_so_few_people_cannot_prove_is_not_in_the_table():
    vectors, group = people(40, 2, 0.02)
    points = operating_points(vectors, group, [(0, 1), (2, 3)], (1, 20), (0.01, 0.2), draws=5)
    assert {p.fpir for p in points} == {0.2}  # 39 strangers never prove 1 %
    assert all(p.upper <= p.fpir and p.fnir == 0 for p in points)


def test_a_score_against_strangers_leaves_out_the_own_person_and_what_is_held_back():
    """Forty people of two pictures each; one half is known, and each half holds both pictures of a person or none."""
    rng = np.random.default_rng(7)
    group = np.repeat(np.arange(40), 2)
    vectors = rng.normal(size=(40, 24))[group] + 0.4 * rng.normal(size=(80, 24))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    known = group < 20
    scores = face_ideas.with_cohort(vectors, group, 10)(known)
    assert scores == pytest.approx(scores.T, abs=1e-3)
    changed = vectors.copy()
    changed[70] = vectors[0]  # somebody of the other half: no part of the cohort
    again = face_ideas.with_cohort(changed, group, 10)(known)
    untouched = np.arange(80) != 70
    assert again[untouched][:, untouched] == pytest.approx(scores[untouched][:, untouched], abs=1e-3)
    same = (group[:, None] == group) & ~np.eye(80, dtype=bool)
    assert scores[same].mean() > 4  # standard deviations above the nearest strangers
    assert scores[group[:, None] != group].mean() < -2


def test_what_is_tried_is_chosen_on_the_one_half_and_counted_on_the_other():
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(40), 2)
    vectors = rng.normal(size=(40, 24))[group] + 0.2 * rng.normal(size=(80, 24))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    a = np.concatenate([np.arange(0, 80, 2), np.arange(0, 80, 4)])
    b = np.concatenate([np.arange(1, 80, 2), np.arange(2, 80, 4)])
    pairs = Pairs(a, b, group[a] == group[b], group)
    noise = rng.normal(size=(80, 80)).astype(np.float32)
    members = {"good": lambda _: vectors @ vectors.T, "noise": lambda _: noise + noise.T}
    (row,) = face_ideas.tried({"two": members}, pairs, np.ones(80, bool))
    assert row[:2] == ("two", "good; good")
    assert row[2] == (40, 40)
    assert row[3][1] == 20
