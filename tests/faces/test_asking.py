"""What a face alone is asked for: drawn anew each time, judged once, tried so often and no more."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vision.faces.asking import (
    ANSWER_WAIT_MS,
    CAMERA_LIMITS,
    HOLDER_LIMITS,
    LEAD_MS,
    SETTLE_MS,
    SLOT_MS,
    SLOTS,
    STEP_MS,
    STEPS,
    Asking,
    Tries,
    Wanted,
)

BOTH = frozenset({"challenge", "light"})
LASTS_MS = LEAD_MS + max(STEPS * STEP_MS, SLOTS * SLOT_MS)


class Randomness:
    """Bytes that never repeat; `taken`: how often some were asked for."""

    def __init__(self) -> None:
        self.taken = 0

    def __call__(self, count: int) -> bytes:
        self.taken += 1
        return self.taken.to_bytes(count, "little")


def asking(alone: frozenset[str] = BOTH, beside: frozenset[str] = frozenset()) -> Asking:
    return Asking("lobby", Wanted(alone, beside), Randomness(), alone_here=True)


def test_what_is_drawn_is_judged_at_the_time_at_which_it_could_be_seen() -> None:
    one = asking()
    ask = one.begin("lin", 1000, claimed=False)
    assert (len(ask.steps), len(ask.slots), ask.lasts_ms) == (STEPS, SLOTS, LASTS_MS)
    assert (one.challenge(), one.light(), one.due(10**9)) == (None, None, False)  # nobody has seen it yet
    one.answered(ask.id, 1700, shown=True)
    assert (one.challenge().begins_ms, tuple(map(str, one.challenge().steps))) == (1700 + LEAD_MS, ask.steps)
    assert (one.light().begins_ms, one.light().slots, one.light().settle_ms) == (1700 + LEAD_MS, ask.slots, SETTLE_MS)
    assert [one.due(1700 + LASTS_MS - 1), one.due(1700 + LASTS_MS)] == [False, True]
    over, done = one.end(done=True)
    assert (over.id, over.done, done) == (ask.id, True, ("challenge", "light"))
    assert (one.holder, one.challenge(), one.due(10**9), one.end(done=True)) == (None, None, False, (None, ()))


def test_a_line_names_nobody() -> None:
    ask = asking().begin("zhao-yi", 1000, claimed=False)
    assert "zhao" not in str(ask.line())


@pytest.mark.parametrize(
    ("alone_here", "claimed", "asked"),
    [(True, False, BOTH), (True, True, {"light"}), (False, False, {"light"}), (False, True, {"light"})],
)
def test_what_is_asked_depends_on_whether_the_face_opens_alone(alone_here, claimed, asked) -> None:
    one = asking(BOTH, frozenset({"light"}))
    one.alone_here = alone_here
    assert one.kinds(claimed=claimed) == asked
    ask = one.begin("lin", 0, claimed=claimed)
    assert bool(ask.steps) == ("challenge" in asked)
    assert bool(ask.slots)


def test_by_default_a_face_alone_is_asked_for_a_challenge_and_one_beside_a_card_for_nothing() -> None:
    one = Asking("lobby", Wanted(), Randomness())
    assert one.kinds(claimed=False) == frozenset()  # core has not said that it opens alone
    one.alone_here = True
    assert one.kinds(claimed=False) == {"challenge"}
    assert one.kinds(claimed=True) == frozenset()
    with pytest.raises(ValueError, match="nothing to ask for"):
        one.begin("lin", 0, claimed=True)


def test_core_that_is_silent_or_cannot_show_it_is_not_waited_for() -> None:
    one = asking()
    one.begin("lin", 1000, claimed=False)
    assert [one.refused(1000 + ANSWER_WAIT_MS), one.refused(1001 + ANSWER_WAIT_MS)] == [False, True]
    one.end(done=False)
    ask = one.begin("lin", 5000, claimed=False)
    one.answered(ask.id, 5100, shown=True)
    assert not one.refused(99_000)
    one.answered(ask.id, 6000, shown=False)  # a step could not be shown in time
    assert one.refused(6000)


def test_an_answer_to_another_ask_changes_nothing() -> None:
    one = asking()
    old = one.begin("lin", 1000, claimed=False)
    one.end(done=False)
    one.answered(old.id, 1100, shown=True)
    one.begin("lin", 1200, claimed=False)
    one.answered(old.id, 1300, shown=True)
    assert one.begins_ms is None


def test_tries_that_were_shown_and_not_done_are_limited() -> None:
    tries, (most, span_ms) = Tries(), HOLDER_LIMITS[0]
    for n in range(most):
        assert tries.may("lin", n)
        tries.shown("lin", n)
    assert not tries.may("lin", span_ms - 1)
    assert tries.may("wang", span_ms - 1)  # others come in meanwhile
    assert tries.may("lin", span_ms + most)
    tries.done("lin", 1)  # this one was done after all
    assert tries.may("lin", span_ms - 1)


@pytest.mark.parametrize(("after_ms", "counts"), [(LEAD_MS - 1, False), (LEAD_MS, True)])
def test_a_card_before_the_first_step_costs_no_try(after_ms, counts) -> None:
    """Somebody who is looked at while taking out a card; whoever has seen a step has had a try."""
    one = asking()
    for n in range(HOLDER_LIMITS[0][0]):
        ask = one.begin("lin", n * 10_000, claimed=False)
        one.answered(ask.id, n * 10_000, shown=True)
        one.answered(ask.id, n * 10_000 + after_ms, shown=False)
        one.end(done=False)
    assert (one.begin("lin", 40_000, claimed=False) is None) is counts


def test_the_tries_of_a_day_are_limited_too() -> None:
    tries, now_ms = Tries(), 0
    for _ in range(HOLDER_LIMITS[1][0]):
        now_ms += HOLDER_LIMITS[0][1]
        assert tries.may("lin", now_ms)
        tries.shown("lin", now_ms)
    assert not tries.may("lin", now_ms + HOLDER_LIMITS[0][1])
    assert tries.may("lin", now_ms + HOLDER_LIMITS[1][1])


def test_all_holders_together_are_limited_at_one_camera() -> None:
    tries, (most, span_ms) = Tries(), CAMERA_LIMITS[0]
    for n in range(most):
        tries.shown(f"holder-{n}", n)
    assert not tries.may("another", span_ms - 1)
    assert tries.may("another", span_ms + most)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "shown", "not shown", "done", "not done", "gone"]),
        st.sampled_from(["lin", "wang", "zhao"]),
        st.integers(0, 400_000),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(EVENTS)
def test_whatever_happens_nothing_is_used_twice_and_tries_stay_within_their_limits(events) -> None:
    one = asking()
    ids, drawn, failed, now_ms, shown = set(), set(), [], 0, None
    for what, holder, after_ms in events:
        now_ms += after_ms
        if what == "begin" and one.holder is None:
            recent = [at for who, at in failed if who == holder and now_ms - at < HOLDER_LIMITS[0][1]]
            ask = one.begin(holder, now_ms, claimed=False)
            if len(recent) >= HOLDER_LIMITS[0][0]:
                assert ask is None
            if ask is not None:
                assert len(recent) < HOLDER_LIMITS[0][0]
                assert ask.id not in ids
                ids.add(ask.id)
                shown = None
        elif what == "begin":
            with pytest.raises(ValueError, match="asked already"):
                one.begin(holder, now_ms, claimed=False)
        elif what in ("shown", "not shown") and one.holder is not None:
            before = one.begins_ms
            one.answered(
                max(ids, key=lambda name: int.from_bytes(bytes.fromhex(name), "little")), now_ms, shown=what == "shown"
            )
            if what == "shown" and before is None:
                shown = (one.holder, now_ms)
                drawn.add(one.challenge().begins_ms)
            if what == "not shown" and before is not None and now_ms < before + LEAD_MS:
                shown = None  # given back: nothing but "look here" was seen
        else:
            over, done = one.end(done=what == "done", gone=what == "gone")
            assert (over is None) <= (done == ())
            assert done == () or what == "done"
            if shown is not None and over is not None and what != "done":
                failed.append(shown)
            shown = None if over is not None else shown
            assert one.challenge() is None
            assert one.light() is None
    assert one.randomness.taken == 3 * len(ids)  # for each: the steps, the light, the id; nothing drawn twice


def test_every_drawing_takes_randomness_of_its_own() -> None:
    one, seen = asking(), []
    for n in range(40):
        ask = one.begin(f"holder-{n}", n * 10**9, claimed=False)
        seen.append((ask.id, ask.steps, ask.slots))
        one.end(done=False)
    assert len({ask for ask, _, _ in seen}) == 40
    assert not any(a[1:] == b[1:] for a, b in itertools.pairwise(seen))
