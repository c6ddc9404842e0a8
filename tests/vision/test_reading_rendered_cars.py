"""The shipped models on rendered approaches, with fixed seeds: whole visits, empty places, single plates."""

import cv2
import numpy as np
import pytest

from gateway.vision import detect as detection
from gateway.vision.grammar import DIGITS, ENERGY, LETTERS, PROVINCES
from gateway.vision.lane import MAX_INVOKES, Lane
from gateway.vision.quad import width as plate_width
from gateway.vision.visit import Visits
from sim.render.plate import PlateKind, draw_plate
from sim.render.scene import approach, empty_scene

FRAME_MS = 300
MIN_SCORE, AGREEING_FRAMES = 0.6, 2  # the defaults of gateway.toml


def number(kind, rng):
    text = PROVINCES[rng.integers(31)] + LETTERS[rng.integers(24)]
    if kind is PlateKind.GREEN:
        return text + ENERGY[rng.integers(10)] + "".join(DIGITS[d] for d in rng.integers(0, 10, 5))
    letters = set(rng.integers(0, 5, 2).tolist())  # at most two places
    return text + "".join((LETTERS if n in letters else DIGITS)[rng.integers(10)] for n in range(5))


def test_twenty_four_visits_give_one_right_observation_each(plates):
    rng, wrong = np.random.default_rng(2026), []
    for i in range(24):
        kind = (PlateKind.BLUE, PlateKind.GREEN)[i % 2]
        text, seen = number(kind, rng), []
        lane = Lane(plates, Visits(MIN_SCORE, AGREEING_FRAMES))
        for n, frame in enumerate(approach(text, kind, seed=1000 + i, frames=6, background_seed=i % 5)):
            seen += lane.frame(frame.image, n * FRAME_MS)
        seen += lane.quiet(7 * FRAME_MS)
        if [(one.text, one.kind) for one in seen] != [(text, kind.value)] or seen[0].direction == "leaving":
            wrong.append((text, seen))
    assert len(wrong) <= 1, wrong


def test_corners_are_found_to_a_few_per_cent_of_the_width(plates):
    off = []
    for i in range(10):
        frame = list(approach("京A12345", PlateKind.BLUE, seed=300 + i, frames=3, background_seed=i))[1]
        found = plates.find(frame.image)
        width = float(np.linalg.norm(frame.corners[1] - frame.corners[0]))
        off.append(np.abs(found[0].corners - frame.corners).mean() / width if found else 1.0)
    assert np.median(off) < 0.05, off


def test_an_empty_place_gives_no_reading(plates):
    for i in range(12):
        found = plates.find(empty_scene(seed=i, background_seed=100 + i))
        assert [f.reading for f in found if f.reading.refused is None and f.reading.score >= MIN_SCORE] == []


@pytest.mark.parametrize(
    ("text", "kind"), [("沪C21F13", PlateKind.BLUE), ("苏ED51712", PlateKind.GREEN), ("川MW6R27", PlateKind.YELLOW)]
)
def test_a_cropped_plate_is_read_with_its_kind(plates, text, kind):
    picture = cv2.resize(draw_plate(text, kind), (188, 60), interpolation=cv2.INTER_AREA)
    found = plates.read_cropped(picture)
    assert (found.reading.text, found.reading.kind, found.reading.refused) == (text, kind.value, None)
    assert found.detected is None


def test_a_far_plate_in_a_large_picture_is_found_where_something_moved(plates):
    """40 px in 1920: 7 px where the whole picture is shrunk to the net's input."""
    right = 0
    for i in range(2):
        lane, texts = Lane(plates, Visits(MIN_SCORE, AGREEING_FRAMES)), set()
        lane.frame(empty_scene(seed=i, background_seed=i, width=1920, height=1080), 0)
        drive = approach("苏E517A2", PlateKind.BLUE, seed=20 + i, frames=8, background_seed=i, width=1920, height=1080,
                         plate_px=(40, 62))  # fmt: skip
        for n, frame in enumerate(drive, 1):
            before = plates.detector_net.invokes + plates.reader_net.invokes
            texts |= {one.text for one in lane.frame(frame.image, n * FRAME_MS)}
            assert plates.detector_net.invokes + plates.reader_net.invokes - before <= MAX_INVOKES
        found = lane.visits.known(8 * FRAME_MS)
        right += any(
            np.abs(quad.mean(axis=0) - frame.corners.mean(axis=0)).max() < 30 and plate_width(quad) < 90
            for quad in found
        )
    assert right == 2


def test_nothing_is_invoked_while_nothing_moves(plates):
    lane = Lane(plates, Visits(MIN_SCORE, AGREEING_FRAMES))
    lane.frame(empty_scene(seed=1), 0)
    before = plates.detector_net.invokes
    for n in range(1, 10):
        lane.frame(empty_scene(seed=1), n * 100)
    assert plates.detector_net.invokes == before
    lane.frame(empty_scene(seed=1), 1000)
    assert plates.detector_net.invokes == before + 1, "once a second it looks anyway"


def test_invokes_per_frame_are_capped(plates):
    picture = np.vstack([np.hstack([draw_plate("京A12345", PlateKind.BLUE)] * 4)] * 8)
    before = plates.detector_net.invokes
    plates.find(picture)
    assert plates.detector_net.invokes - before <= 1 + detection.MOST_LOOKS


def test_a_tiny_and_a_one_coloured_picture_are_no_fault(plates):
    for shape in ((8, 8, 3), (540, 960, 3), (9, 2000, 3), (2000, 9, 3)):
        found = plates.find(np.zeros(shape, np.uint8))
        assert all(f.reading.refused is not None or f.reading.score < MIN_SCORE for f in found)
