"""What is asked cannot be guessed, and what is done is recognised."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
from conftest import as_look
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vision.pad import challenge as challenges
from gateway.vision.pad import light_code
from gateway.vision.pad.challenge import Challenge, Step, draw
from gateway.vision.pad.evidence import judge
from gateway.vision.pad.look import Finding, Look
from gateway.vision.pad.settings import PadSettings
from sim.render.heads.motion import Act
from sim.render.heads.show import Stage, play

RULES = PadSettings()
BEGINS_MS, STEP_MS = 900, 2000


def seen(
    done: tuple[Step, ...], *, late_ms: int = 400, kind: str = "live", pictures: bool = False, step_ms: int = 150
) -> list[Look]:
    acts = tuple(Act(s.value, BEGINS_MS + i * STEP_MS + late_ms, 1100) for i, s in enumerate(done))
    times = tuple(range(0, BEGINS_MS + len(done) * STEP_MS, step_ms))
    stage = Stage(times_ms=times, acts=acts, source_acts=acts, pictures=pictures)
    return [as_look(frame) for frame in play(kind, 3, stage)]


@pytest.mark.parametrize("step", list(Step))
def test_each_step_is_recognised_and_no_other_one(step: Step) -> None:
    looks = seen((step,))
    for asked in Step:
        cue = challenges.examine(looks, Challenge((asked,), BEGINS_MS, STEP_MS), RULES)
        assert (cue.finding is Finding.GENUINE) == (asked is step), (asked, cue.evidence)


MOVEMENTS = [*list(Step), "closer"]


@pytest.mark.parametrize("done", [set(c) for n in (1, 2, 3) for c in combinations(MOVEMENTS, n)], ids=str)
def test_whatever_a_clip_shows_at_once_passes_for_one_step_at_most(done: set[str]) -> None:
    acts = tuple(Act(str(what), BEGINS_MS + 400, 1100) for what in sorted(done))
    times = tuple(range(0, BEGINS_MS + STEP_MS, 150))
    looks = [as_look(frame) for frame in play("live", 3, Stage(times_ms=times, acts=acts, pictures=False))]
    passed = [
        step
        for step in Step
        if challenges.examine(looks, Challenge((step,), BEGINS_MS, STEP_MS), RULES).finding is Finding.GENUINE
    ]
    assert len(passed) <= 1, passed


SWAYS = st.lists(st.floats(-0.3, 0.3), min_size=12, max_size=12).map(np.array)


@settings(max_examples=500, deadline=None)
@given(SWAYS, SWAYS, st.lists(st.booleans(), min_size=12, max_size=12).map(np.array))
def test_however_much_or_little_is_moved_it_counts_for_one_step_at_most(aside, down, shut) -> None:
    seen, inside = challenges.Movement(aside, down, shut), np.ones(12, bool)
    done = [step for step in Step if challenges.judged(step, seen, inside, ~inside, RULES)[0]]
    assert len(done) <= 1, done


def test_a_loop_of_small_movements_passes_no_challenge() -> None:
    """A little of every step in every window, each enough to count and too little to accuse."""
    done = np.array([0, 0.16, 0, -0.16, 0, 0.07, -0.07, 0, 0, 0, 0, 0])
    aside, down = np.where(np.abs(done) > 0.1, done, 0), np.where(np.abs(done) > 0.1, 0, done)
    shut, inside = np.arange(12) == 8, np.ones(12, bool)
    strong = challenges.strengths(challenges.Movement(aside, down, shut), inside, RULES)
    assert all(1 <= strong[step] < RULES.wrong_share for step in (Step.TURN_LEFT, Step.TURN_RIGHT, Step.NOD))
    assert strong[Step.BLINK] == 1
    for step in Step:
        assert challenges.judged(step, challenges.Movement(aside, down, shut), inside, ~inside, RULES) == (False, False)


@pytest.mark.parametrize(
    ("shut", "blinked"),
    [
        ("..xx....", True),
        ("xx..xx..", True),  # the end of a blink nobody asked for, then the one that was asked for
        ("..xx...x", True),
        ("xx......", False),
        ("......xx", False),
        ("xxx..xxx", False),
        ("xxxxxxxx", False),
        ("........", False),
    ],
)
def test_a_blink_is_open_shut_open_whatever_the_eyes_do_before_and_after(shut: str, blinked: bool) -> None:
    eyes = np.array([eye == "x" for eye in shut])
    level = np.zeros(len(eyes))
    movement = challenges.Movement(level, level, eyes)
    assert challenges.strengths(movement, np.ones(len(eyes), bool), RULES)[Step.BLINK] == float(blinked)


def test_the_order_counts() -> None:
    done = (Step.TURN_LEFT, Step.NOD, Step.TURN_RIGHT)
    looks = seen(done)
    assert challenges.examine(looks, Challenge(done, BEGINS_MS, STEP_MS), RULES).finding is Finding.GENUINE
    other = Challenge((Step.TURN_RIGHT, Step.NOD, Step.TURN_LEFT), BEGINS_MS, STEP_MS)
    assert challenges.examine(looks, other, RULES).finding is Finding.ATTACK


def test_what_was_done_before_it_was_asked_does_not_count() -> None:
    looks = seen((Step.TURN_LEFT,), late_ms=-700)
    assert (
        challenges.examine(looks, Challenge((Step.TURN_LEFT,), BEGINS_MS, STEP_MS), RULES).finding
        is not Finding.GENUINE
    )


def test_what_is_done_too_late_does_not_count() -> None:
    looks = seen((Step.TURN_LEFT,), late_ms=1900)
    assert (
        challenges.examine(looks, Challenge((Step.TURN_LEFT,), BEGINS_MS, STEP_MS), RULES).finding
        is not Finding.GENUINE
    )


def test_a_challenge_that_is_not_over_is_not_done() -> None:
    looks = seen((Step.TURN_LEFT, Step.NOD))
    assert not judge(looks[:20], Challenge((Step.TURN_LEFT, Step.NOD), BEGINS_MS, STEP_MS)).bona_fide


def test_a_living_head_that_obeys_is_believed_and_only_then() -> None:
    asked = Challenge((Step.TURN_RIGHT,), BEGINS_MS, STEP_MS)
    looks = seen(asked.steps, pictures=True, step_ms=180)
    verdict = judge(looks, asked)
    assert verdict.bona_fide, verdict
    assert "challenge_done" in verdict.reasons
    assert judge(looks, Challenge((Step.TURN_LEFT,), BEGINS_MS, STEP_MS)).attack == "challenge_wrong"


def test_a_video_of_another_challenge_is_an_attack() -> None:
    asked = Challenge((Step.TURN_RIGHT, Step.BLINK), BEGINS_MS, STEP_MS)
    video = judge(seen((Step.TURN_LEFT, Step.NOD), kind="screen_video"), asked)
    assert video.attack == "challenge_wrong"


def test_every_challenge_is_drawn_as_often_as_any_other_and_has_a_turn() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(draw(rng.bytes(16), begins_ms=0).steps for _ in range(3400))
    assert set(drawn) == set(challenges.choices(3))
    assert max(drawn.values()) < 1.5 * 3400 / len(drawn)
    for steps in drawn:
        assert set(steps) & {Step.TURN_LEFT, Step.TURN_RIGHT}
        assert all(a is not b for a, b in pairwise(steps))


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match=r"os\.urandom"):
        draw(b"1234", begins_ms=0)
    with pytest.raises(ValueError, match=r"os\.urandom"):
        light_code.draw(b"1", slots=12, begins_ms=0, slot_ms=300)


def test_a_light_code_is_half_on_and_differs_with_its_randomness() -> None:
    rng = np.random.default_rng(0)
    codes = {light_code.draw(rng.bytes(16), slots=12, begins_ms=100, slot_ms=300).slots for _ in range(200)}
    assert all(sum(code) == 6 for code in codes)
    assert len(codes) > 150
    code = light_code.LightCode(100, 300, (True, False))
    assert [code.on(t) for t in (0, 100, 399, 400, 700)] == [False, True, True, False, False]
