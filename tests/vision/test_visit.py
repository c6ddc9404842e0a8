"""One observation per visit, as tables of frames: (time in ms, what was read) in, observations out."""

import pytest

from gateway.vision.grammar import Refusal
from gateway.vision.text import Reading
from gateway.vision.visit import CHANGED_FRAMES, GONE_AFTER_MS, Visits

A, B, C = "京A12345", "京A12346", "沪B98765"


def read(text, score=0.9):
    return Reading(text, "blue", score)


REFUSED = Reading("京A", "blue", 0.01, Refusal.LENGTH)
GONE = GONE_AFTER_MS + 1


def run(frames, min_score=0.6, agreeing_frames=2):
    visits = Visits(min_score, agreeing_frames)
    return [seen.text for now_ms, reading in frames if (seen := visits.frame(now_ms, reading))]


@pytest.mark.parametrize(
    ("name", "frames", "expected"),
    [
        ("one frame is not enough", [(0, read(A))], []),
        ("two that agree are", [(0, read(A)), (100, read(A))], [A]),
        ("a car that stays is one visit", [(t * 100, read(A)) for t in range(200)], [A]),
        ("empty frames do not end a visit", [(0, read(A)), (500, None), (1000, read(A)), (2900, read(A))], [A]),
        ("gone and back is a second visit",
         [(0, read(A)), (1, read(A)), (GONE + 1, read(A)), (GONE + 2, read(A))], [A, A]),
        ("votes end with the visit", [(0, read(A)), (GONE, read(A))], []),
        ("a plate that nobody can read keeps the visit open", [(0, read(A)), (1500, REFUSED), (3000, read(A))], [A]),
        ("weak readings do not vote", [(t, read(A, 0.59)) for t in range(9)], []),
        ("refused readings do not vote", [(t, REFUSED) for t in range(9)], []),
        ("a tie waits for the majority", [(0, read(A)), (1, read(B)), (2, read(B)), (3, read(B))], [B]),
        ("score breaks a tie", [(0, read(B, 0.6)), (1, read(A, 0.61)), (2, read(B, 0.6)), (3, read(A, 0.99))], [B]),
        ("one misread frame after the observation changes nothing",
         [(0, read(A)), (1, read(A)), (2, read(B)), (3, read(A))], [A]),
        ("misread frames apart from each other change nothing",
         [(0, read(A)), (1, read(A)), *((t, read(B if t % 3 else A)) for t in range(2, 20))], [A]),
        ("the next car right behind is a visit of its own",
         [(0, read(A)), (1, read(A)), *((2 + t, read(C)) for t in range(CHANGED_FRAMES))], [A, C]),
        ("and one frame less is not",
         [(0, read(A)), (1, read(A)), *((2 + t, read(C)) for t in range(CHANGED_FRAMES - 1))], [A]),
        ("nothing at all", [(t, None) for t in range(0, 9000, 100)], []),
    ],
)  # fmt: skip
def test_visits(name, frames, expected):
    assert run(frames) == expected, name


@pytest.mark.parametrize("agreeing", [1, 2, 5])
def test_agreeing_frames_is_what_is_needed(agreeing):
    frames = [(t, read(A)) for t in range(5)]
    assert run(frames[: agreeing - 1], agreeing_frames=agreeing) == []
    assert run(frames[:agreeing], agreeing_frames=agreeing) == [A]


def test_an_observation_carries_the_best_score_and_its_kind():
    visits = Visits(0.5, 3)
    frames = [read(A, 0.6), Reading(A, "yellow", 0.95), read(A, 0.7)]
    seen = [visits.frame(t, r) for t, r in enumerate(frames)][-1]
    assert seen is not None
    assert (seen.score, seen.kind, seen.frames) == (0.95, "yellow", 3)
