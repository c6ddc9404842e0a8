"""Looks of rendered sequences, with the renderer's own landmarks: no net takes part in these tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from gateway.vision.pad.look import Look, patch_of
from sim.render.heads.show import Frame, Stage, play

LookMaker = Callable[..., tuple[Look, ...]]


def as_look(frame: Frame) -> Look:
    """The renderer's landmarks, and a box round them about as a face detector draws it."""
    spots = frame.mesh[:, :2]
    low, high = spots.min(0), spots.max(0)
    middle, side = (low + high) / 2, 0.8 * float((high - low).max())
    box = (float(middle[0] - side / 2), float(middle[1] - side / 2), side, side)
    patch = None if frame.image is None else patch_of(frame.image, box)
    return Look(frame.at_ms, frame.mesh, box, patch)


@cache
def _looks(kind: str, seed: int, pictures: bool, lamp: tuple[bool, ...] | None, turn: float | None) -> tuple[Look, ...]:
    frames = play(kind, seed, Stage(pictures=pictures, lamp=lamp, turn=turn, tilt=float(np.deg2rad(18))))
    return tuple(as_look(frame) for frame in frames)


@pytest.fixture(scope="session")
def looks() -> LookMaker:
    """looks(kind, seed=1, pictures=True, lamp=None, turn=None): 16 looks in 2.25 s."""

    def made(
        kind: str,
        seed: int = 1,
        *,
        pictures: bool = True,
        lamp: tuple[bool, ...] | None = None,
        turn: float | None = None,
    ) -> tuple[Look, ...]:
        return _looks(kind, seed, pictures, lamp, turn)

    return made
