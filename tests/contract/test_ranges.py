"""Ranges behave as a set of integers, whatever the order of what is done to them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.contract.ranges import Ranges

spans = st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), spans), max_size=30)


@given(steps, spans)
def test_as_a_set(done: list[tuple[str, tuple[int, int]]], window: tuple[int, int]) -> None:
    ranges, model = Ranges(), set[int]()
    for what, (first, last) in done:
        numbers = range(first, last + 1)
        if what == "add":
            ranges.add(first, last)
            model.update(numbers)
        else:
            ranges.remove(first, last)
            model.difference_update(numbers)
    listed = list(ranges)
    assert {n for first, last in listed for n in range(first, last + 1)} == model
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(listed)), "ascending, never touching"
    assert ranges.count() == len(model)
    assert len(ranges) == len(listed)
    assert all((n in ranges) == (n in model) for n in range(80))
    gaps = {n for first, last in ranges.gaps(*window) for n in range(first, last + 1)}
    assert gaps == set(range(window[0], window[1] + 1)) - model
    assert ranges.first_range() == (listed[0] if listed else None)
    assert ranges.copy() == ranges == Ranges(reversed(listed))


@pytest.mark.parametrize("wrong", [(0, 1), (5, 4), (-3, 2)])
def test_what_is_not_a_range_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 <= first <= last"):
        Ranges().add(*wrong)


def test_cost_grows_with_ranges_not_numbers() -> None:
    ranges = Ranges([(1, 1 << 53)])
    ranges.remove(1 << 40, 1 << 41)
    assert len(ranges) == 2
    assert list(ranges.gaps(1, 1 << 53)) == [(1 << 40, 1 << 41)]
