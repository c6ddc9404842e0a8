"""One observation per visit, as tables of frames: (time in ms, what was read) in, observations out."""

import numpy as np
import pytest

from gateway.vision.grammar import Refusal
from gateway.vision.text import Reading
from gateway.vision.track import Direction, Sighting
from gateway.vision.visit import CHANGED_FRAMES, GONE_AFTER_MS, MISREAD_FRAMES, SETTLE_MS, STANDS_MS, Visits

A, B, C = "京A12345", "京A12346", "沪B98765"


def read(text, score=0.9):
    return Reading(text, "blue", score)


def at(x, y, width):
    """The corners of a plate with that centre and width."""
    across, down = width / 2, width / 6.4
    return np.float32([[x - across, y - down], [x + across, y - down], [x + across, y + down], [x - across, y + down]])


HERE = at(480, 300, 100)
REFUSED = Reading("京A", "blue", 0.01, Refusal.LENGTH)
GONE = GONE_AFTER_MS + 1
LATER = [(t, None) for t in (SETTLE_MS + 3, SETTLE_MS + 300)]


def seen(visits, frames):
    found = []
    for now_ms, reading in frames:
        found += visits.frame(now_ms, [Sighting(reading, HERE)] if reading else [])
    return found


def run(frames, min_score=0.6, agreeing_frames=2):
    return [one.text for one in seen(Visits(min_score, agreeing_frames), frames)]


def again(reading, first_ms, count=12, step_ms=100):
    return [(first_ms + n * step_ms, reading) for n in range(count)]


@pytest.mark.parametrize(
    ("name", "frames", "expected"),
    [
        ("one frame is not enough", [(0, read(A)), (600, None)], []),
        ("two that agree are", [(0, read(A)), (100, read(A)), (700, None)], [A]),
        ("not before it is clear which way it goes, or for some time not",
         [(0, read(A)), (100, read(A)), (100 + SETTLE_MS - 1, None)], []),
        ("a car that stays is one visit", again(read(A), 0, 200), [A]),
        ("empty frames do not end a visit", [(0, read(A)), (500, None), (1000, read(A)), (2900, read(A))], [A]),
        ("gone and back is a second visit", again(read(A), 0) + again(read(A), 1100 + GONE), [A, A]),
        ("votes end with the visit", [(0, read(A)), (GONE, read(A)), (GONE + 900, None)], []),
        ("a plate that nobody can read keeps the visit open",
         [(0, read(A)), (1500, REFUSED), (3000, read(A)), (3900, None)], [A]),
        ("weak readings do not vote", again(read(A, 0.59), 0), []),
        ("refused readings do not vote", again(REFUSED, 0), []),
        ("a tie waits for the majority", [(0, read(A)), (1, read(B)), (2, read(B)), (900, read(B))], [B]),
        ("a majority that is lost again waits as well",
         [(0, read(A)), (1, read(A)), (2, read(B)), (3, read(B)), (4, read(B)), (5, read(B)), *LATER], [B]),
        ("score breaks a tie", [(0, read(B, 0.6)), (1, read(A, 0.61)), (2, read(B, 0.6)), (3, read(A, 0.99)), *LATER],
         [A]),
        ("one misread frame after the observation changes nothing", [*again(read(A), 0), (1300, read(B)),
         (1400, read(A))], [A]),
        ("nor a run of what differs in one character",
         [*again(read(A), 0), *again(read(B), 1200, MISREAD_FRAMES - 1), (2200, read(A))], [A]),
        ("misread frames apart from each other change nothing",
         [*again(read(A), 0), *((1200 + t, read(C if t % 3 else A)) for t in range(2, 20))], [A]),
        ("the next car right behind is a visit of its own",
         [*again(read(A), 0), *again(read(C), 1200, CHANGED_FRAMES), (2400, None)], [A, C]),
        ("and one frame less is not", [*again(read(A), 0), *again(read(C), 1200, CHANGED_FRAMES - 1), (2400, None)],
         [A]),
        ("a number that differs in one character is another car after many frames of it",
         [*again(read(A), 0), *again(read(B), 1200, MISREAD_FRAMES), (2900, None)], [A, B]),
        ("nothing at all", [(t, None) for t in range(0, 9000, 100)], []),
    ],
)  # fmt: skip
def test_visits(name, frames, expected):
    assert run(frames) == expected, name


@pytest.mark.parametrize("agreeing", [1, 2, 5])
def test_agreeing_frames_is_what_is_needed(agreeing):
    frames = [(t, read(A)) for t in range(5)]
    assert run(frames[: agreeing - 1] + LATER, agreeing_frames=agreeing) == []
    assert run(frames[:agreeing] + LATER, agreeing_frames=agreeing) == [A]


def test_an_observation_carries_the_best_score_and_its_kind():
    visits = Visits(0.5, 3)
    (one,) = seen(visits, [(0, read(A, 0.6)), (1, Reading(A, "yellow", 0.95)), (2, read(A, 0.7)), *LATER])
    assert (one.score, one.kind, one.frames, one.direction) == (0.95, "yellow", 3, Direction.UNKNOWN)


def drive(visits, places, text=A, step_ms=200, first_ms=0):
    """Frames in which the plate is at these (x, y, width); then silence. What was told, with when."""
    found = []
    for n, place in enumerate(places):
        now_ms = first_ms + n * step_ms
        found += [(now_ms, one) for one in visits.frame(now_ms, [Sighting(read(text), at(*place))])]
    end_ms = first_ms + len(places) * step_ms
    return found + [(end_ms + SETTLE_MS, one) for one in visits.quiet(end_ms + SETTLE_MS)]


GROWING = [(480, 250 + 6 * n, 60 * 1.06**n) for n in range(12)]
NOISE = np.random.default_rng(5).normal(0, 1, (30, 3)) * (1, 1, 0.8)


@pytest.mark.parametrize(
    ("places", "direction"),
    [
        (GROWING, Direction.APPROACHING),
        (GROWING[::-1], Direction.LEAVING),
        ([(480, 300, 100)] * 12, Direction.UNKNOWN),
        ([(480 + dx, 300 + dy, 100 + dw) for dx, dy, dw in NOISE[:12]], Direction.UNKNOWN),
        ([(x + dx, y + dy, w + dw) for (x, y, w), (dx, dy, dw) in zip(GROWING, NOISE, strict=False)],
         Direction.APPROACHING),
        ([(200 + 40 * n, 300, 100) for n in range(12)], Direction.UNKNOWN),  # across the picture
        ([(480, 200 + 30 * n, 100) for n in range(12)], Direction.APPROACHING),  # a steep camera: down, not larger
        ([(480, 500 - 30 * n, 100) for n in range(12)], Direction.LEAVING),
    ],
)  # fmt: skip
def test_direction_from_size_and_position(places, direction):
    ((_, one),) = drive(Visits(0.6, 2), places)
    assert one.direction is direction


def test_a_clear_direction_is_told_at_once():
    ((now_ms, one),) = drive(Visits(0.6, 2), GROWING)
    assert now_ms <= 600
    assert one.direction is Direction.APPROACHING


def test_two_cars_in_one_picture_are_told_nearest_first():
    visits, told = Visits(0.6, 2), []
    near, far = at(500, 400, 180), at(450, 200, 80)
    for now_ms in range(0, 2000, 100):
        both = [Sighting(read(C), far), Sighting(read(A), near)]
        told += [one.text for one in visits.frame(now_ms, both)]
    assert told == [A]
    for now_ms in range(2000, 5000, 100):  # the near one has driven on
        told += [one.text for one in visits.frame(now_ms, [Sighting(read(C), far)])]
    assert told == [A, C]


def test_a_near_car_that_nobody_can_read_holds_up_the_one_behind():
    visits, near, far = Visits(0.6, 2), at(500, 400, 180), at(450, 200, 80)
    for now_ms in range(0, STANDS_MS, 100):
        assert visits.frame(now_ms, [Sighting(REFUSED, near), Sighting(read(C), far)]) == []
    told = visits.frame(STANDS_MS, [Sighting(REFUSED, near), Sighting(read(C), far)])
    assert [one.text for one in told] == [C], "what was never legible for so long is no car"


def test_the_same_number_in_two_places_is_one_car():
    visits, told = Visits(0.6, 2), []
    for now_ms in range(0, 3000, 100):
        both = [Sighting(read(A), at(200, 300, 100)), Sighting(read(A), at(800, 300, 100))]
        told += [one.text for one in visits.frame(now_ms, both)]
    assert told == [A]


def test_a_car_that_stands_still_is_there_though_nobody_looks():
    visits = Visits(0.6, 2)
    assert [one.text for one in seen(visits, again(read(A), 0))] == [A]
    for now_ms in range(1200, 60_000, 500):
        assert visits.still(now_ms) == []
    assert seen(visits, again(read(A), 60_000)) == []


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        (again(read(A, 0.3), 0), "weak"),
        ([(0, read(A)), (100, read(C)), (200, read(A, 0.1)), (300, read(B))], "torn"),
        ([(0, read(A)), (100, read(A, 0.2)), (200, REFUSED)], "too-few-frames"),
    ],
)
def test_a_visit_that_came_to_nothing_says_why(frames, why):
    visits = Visits(0.6, 2)
    assert seen(visits, frames) == []
    visits.quiet(frames[-1][0] + GONE)
    (unread,) = visits.unread
    assert (unread.why, unread.frames) == (why, len(frames))


@pytest.mark.parametrize(("step", "whys"), [((0, 8, 6), ["length"]), ((2, 0, 8), ["length"]), ((0.3, 0.3, 0.5), [])])
def test_what_is_no_number_is_told_only_where_it_moved(step, whys):
    """Windows of a house and lettering on a wall are part of the scene."""
    visits = Visits(0.6, 2)
    for n in range(10):
        x, y, width = (place + n * change for place, change in zip((480, 300, 100), step, strict=True))
        visits.frame(100 * n, [Sighting(REFUSED, at(x, y, width))])
    visits.quiet(900 + GONE)
    assert [one.why for one in visits.unread] == whys


def test_a_flicker_and_a_visit_that_came_to_something_leave_nothing():
    visits = Visits(0.6, 2)
    seen(visits, [(0, REFUSED), (100, REFUSED)])
    seen(visits, again(read(A), GONE + 200, 30))
    visits.quiet(20_000)
    assert visits.unread == []


def test_tracks_are_bounded():
    visits = Visits(0.6, 2)
    for n in range(200):
        visits.frame(n, [Sighting(REFUSED, at(100 * n, 50 * (n % 7), 20))])
    assert len(visits.known(200)) <= 8


def test_a_car_that_left_is_not_kept_by_a_scene_in_which_nothing_moves():
    visits = Visits(0.6, 2)
    seen(visits, [(0, read(A)), (100, read(A)), (200, read(A)), *LATER])
    for now_ms in range(1000, 6000, 100):
        visits.frame(now_ms, []) if now_ms % 1000 == 0 else visits.still(now_ms)
    assert visits.known(6000) == ()
