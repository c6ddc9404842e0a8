"""Something to do that nobody could have recorded: turns, a nod, a blink, in an order drawn at the door.

The portal shows one step at a time; each has its window. A step counts when its movement is seen in its window, has
not begun before anybody could have read it, and no other movement that could have been asked for is seen there.

Coming closer was a step once. It shows the nose from below, as a nod does, so that a clip of both passed for either,
and heads that had come closer showed too little else (docs/pad.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from gateway.vision.pad.expression import shut
from gateway.vision.pad.look import Cue, Finding, Look, Points, cue, levelled, silent
from gateway.vision.pad.settings import PadSettings

NAME = "challenge"
NOSE_TIP = 1
MOUTH = (61, 291)
MOST_STEPS = 5
RANDOM_BYTES = 16
LEAST_LOOKS_A_STEP = 5


class Step(StrEnum):
    """What a person is asked to do; left and right are the person's own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    NOD = "nod"
    BLINK = "blink"


TURNS = (Step.TURN_LEFT, Step.TURN_RIGHT)
WORDS = {
    Step.TURN_LEFT: {"zh": "请向左转头", "en": "Turn your head to your left"},
    Step.TURN_RIGHT: {"zh": "请向右转头", "en": "Turn your head to your right"},
    Step.NOD: {"zh": "请点一下头", "en": "Nod once"},
    Step.BLINK: {"zh": "请眨一下眼睛", "en": "Blink once"},
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """The steps in order; step i is shown from begins_ms + i * step_ms, and has until the next is shown."""

    steps: tuple[Step, ...]
    begins_ms: int
    step_ms: int = 2000

    @property
    def ends_ms(self) -> int:
        return self.begins_ms + len(self.steps) * self.step_ms

    def turns_asked(self) -> bool:
        return any(step in TURNS for step in self.steps)


@lru_cache(maxsize=MOST_STEPS)
def choices(steps: int) -> list[tuple[Step, ...]]:
    """Every challenge that may be drawn: no step twice running, and at least one turn, for the relief to be seen."""
    return [
        order
        for order in product(Step, repeat=steps)
        if all(a != b for a, b in pairwise(order)) and any(step in TURNS for step in order)
    ]


def draw(randomness: bytes, *, begins_ms: int, steps: int = 3, step_ms: int = 2000) -> Challenge:
    """One of `choices`, each as likely as any other; `randomness` is RANDOM_BYTES or more of os.urandom, used once."""
    if not 1 <= steps <= MOST_STEPS or len(randomness) < RANDOM_BYTES:
        raise ValueError(
            f"challenge: expected 1 to {MOST_STEPS} steps and at least {RANDOM_BYTES} random bytes, got {steps} steps "
            f"and {len(randomness)} bytes; hand in os.urandom({RANDOM_BYTES})"
        )
    among = choices(steps)
    return Challenge(among[int.from_bytes(randomness, "big") % len(among)], begins_ms, step_ms)


@dataclass(frozen=True, slots=True)
class Movement:
    """Of each look (F,), against how the head was before the challenge began: the nose's way to the person's left and
    up or down, in eye distances; whether the eyes are shut."""

    aside: Points
    down: Points
    shut: NDArray[np.bool_]


def movement(looks: Sequence[Look], begins_ms: int, settings: PadSettings) -> Movement:
    """Neutral is the median of what was seen in neutral_ms before begins_ms and a reaction time after it."""
    spots = levelled(looks)
    wide = np.maximum(np.linalg.norm(spots[:, 263] - spots[:, 33], axis=1), 1e-6)
    nose = spots[:, NOSE_TIP]
    mouth = spots[:, list(MOUTH)].mean(1)
    aside = nose[:, 0] / wide
    down = nose[:, 1] / np.maximum(mouth[:, 1], 1e-6)
    times = np.array([look.at_ms for look in looks])
    before = (times < begins_ms + settings.reaction_ms) & (times >= begins_ms - settings.neutral_ms)
    if not before.any():
        before[0] = True
    about = [values - np.median(values[before]) for values in (aside, down)]
    return Movement(about[0], about[1], shut(looks, settings))


def strengths(seen: Movement, inside: NDArray[np.bool_], settings: PadSettings) -> dict[Step, float]:
    """How strongly each step was done in a window, 1 being enough."""
    return {
        Step.TURN_LEFT: float(seen.aside[inside].max()) / settings.turn_least,
        Step.TURN_RIGHT: float(-seen.aside[inside].min()) / settings.turn_least,
        Step.NOD: float(np.ptp(seen.down[inside])) / settings.nod_least,
        Step.BLINK: float(_blinked(seen.shut[inside])),
    }


def _blinked(eyes: NDArray[np.bool_]) -> bool:
    """Whether eyes that were open were shut and opened again, whatever they did before and after."""
    open_at = np.flatnonzero(~eyes)
    return bool(open_at.size) and bool(eyes[open_at[0] : open_at[-1]].any())


def examine(looks: Sequence[Look], challenge: Challenge | None, settings: PadSettings) -> Cue:
    """GENUINE where every step was done in its window and nothing else was; ATTACK where something else was done."""
    if challenge is None or not looks:
        return silent(NAME)
    seen = movement(looks, challenge.begins_ms, settings)
    times = np.array([look.at_ms for look in looks])
    done = wrong = 0
    for i, step in enumerate(challenge.steps):
        shown = challenge.begins_ms + i * challenge.step_ms
        inside = (times >= shown + settings.reaction_ms) & (times < shown + challenge.step_ms)
        if inside.sum() < LEAST_LOOKS_A_STEP:
            continue
        early = (times >= shown) & (times < shown + settings.reaction_ms)
        was_done, was_wrong = judged(step, seen, inside, early, settings)
        done += was_done
        wrong += was_wrong
    figures = {"done": float(done), "wrong": float(wrong), "steps": float(len(challenge.steps))}
    if wrong:
        return cue(NAME, Finding.ATTACK, 0.0, **figures)
    if done == len(challenge.steps):
        return cue(NAME, Finding.GENUINE, 1.0, **figures)
    return silent(NAME, **figures)


def judged(
    step: Step, seen: Movement, inside: NDArray[np.bool_], early: NDArray[np.bool_], settings: PadSettings
) -> tuple[bool, bool]:
    """Whether the step was done in its window, and whether something else was, strongly enough to accuse of it.

    Whatever is seen counts for one step at most: no clip can do a little of everything and pass for all.
    """
    strong = strengths(seen, inside, settings)
    others = max(strong[other] for other in _others(step))
    return strong[step] >= 1 > others and not _begun(seen, early, step, settings), others >= settings.wrong_share


def _others(step: Step) -> list[Step]:
    """Movements that nobody makes while doing `step`: blinks happen."""
    unlike = {*TURNS, Step.NOD} - {step}
    if step in TURNS:
        unlike -= {Step.NOD}  # a turn moves the nose along an arc
    return sorted(unlike)


def _begun(seen: Movement, early: NDArray[np.bool_], step: Step, settings: PadSettings) -> bool:
    """Whether the step was already being done when it was shown."""
    if not early.any():
        return False
    if step is Step.TURN_LEFT:
        return float(seen.aside[early].max()) >= settings.turn_least
    if step is Step.TURN_RIGHT:
        return float(-seen.aside[early].min()) >= settings.turn_least
    return False
