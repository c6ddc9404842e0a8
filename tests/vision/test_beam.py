"""The search finds the best text of a form: on columns so small that every text can be tried."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vision.beam import best_of_form
from gateway.vision.text import ctc_log_likelihoods

FORMS = [
    [np.array([1, 2]), np.array([1, 2, 3])],
    [np.array([3]), np.array([1, 3]), np.array([2, 3])],
    [np.array([1])],
]


@given(seed=st.integers(0, 10_000), which=st.integers(0, len(FORMS) - 1), peaked=st.floats(0.3, 3))
@settings(max_examples=60, deadline=None)
def test_it_is_the_likeliest_of_all_texts_of_the_form(seed, which, peaked):
    rng = np.random.default_rng(seed)
    log_columns = np.log(rng.dirichlet(np.full(4, 1 / peaked), 6) + 1e-5)
    form = FORMS[which]
    texts = [list(map(int, text)) for text in itertools.product(*map(list, form))]
    odds = ctc_log_likelihoods(np.exp(log_columns)[None], texts)[:, 0]
    every = {tuple(text): float(p) for text, p in zip(texts, odds, strict=True)}
    found = best_of_form(log_columns, form)
    assert every[found[0]] == pytest.approx(max(every.values()))
    assert [every[text] for text in found] == sorted((every[text] for text in found), reverse=True)
    assert len(set(found)) == len(found)


def test_a_double_character_needs_the_blank_between():
    sure = np.log(np.full((3, 3), 0.01) + np.eye(3)[[1, 0, 1]])
    assert best_of_form(sure, [np.array([1, 2]), np.array([1, 2])])[0] == (1, 1)


def test_more_places_than_columns_is_nothing():
    assert best_of_form(np.log(np.full((2, 3), 1 / 3)), [np.array([1])] * 3) == []


def test_a_form_that_is_not_there_at_all_is_nothing():
    only_blank = np.log(np.array([[1.0, 1e-9, 1e-9]] * 5))
    assert best_of_form(only_blank, [np.array([1])]) == []


def test_long_silence_between_characters_changes_nothing():
    silence, one, two = [0.9999, 0.00005, 0.00005], [0.1, 0.85, 0.05], [0.1, 0.2, 0.7]
    rows = [*[silence] * 9, one, *[silence] * 20, two, *[silence] * 5]
    assert best_of_form(np.log(np.array(rows)), [np.array([1, 2])] * 2)[0] == (1, 2)
