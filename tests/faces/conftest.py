"""Drawn heads (sim/render/heads) before a door's camera, and the fetched models."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.errors import VisionError
from gateway.vision.faces.reader import FaceReader, load
from sim.render.heads import show

sys.path.append(str(Path(__file__).resolve().parents[2]))  # training/ is not part of the installed package
HOLDER, STRANGER = 4, 1  # two drawn people whom the models tell apart (similarity 0.33)
TIMES_MS = (0, 150, 300, 450)


def frames_of(seed: int, times_ms=TIMES_MS):
    """Frames of one drawn person turning a little."""
    return show.play(show.LIVE, seed, show.Stage(times_ms=times_ms))


def pixels(frame) -> np.ndarray:
    return np.ascontiguousarray(frame.image.astype(np.uint8))


@pytest.fixture(scope="session")
def reader() -> FaceReader:
    cv2.setNumThreads(1)
    try:
        return load(must_be_accepted=False)
    except VisionError as e:
        pytest.skip(f"the face models are not here: {e}")


@pytest.fixture(scope="session")
def holder():
    return frames_of(HOLDER)


@pytest.fixture(scope="session")
def stranger():
    return frames_of(STRANGER)
