"""Bands, grids and edges, drawn by hand; and that a plain wall behind a face is none of them."""

from __future__ import annotations

import cv2
import numpy as np

from gateway.vision.pad import replay
from gateway.vision.pad.look import CONTEXT, PATCH_LIMIT_PX, Finding, Look, context_box, patch_of
from gateway.vision.pad.settings import PadSettings

RULES = PadSettings()
FRAME = (360, 360, 3)


def frames(change=lambda image, i: image, *, walk: float = 0.0) -> list[Look]:
    """A grey scene with a lit disc for a face that walks to and fro; `change` makes of each frame what it should be."""
    rng = np.random.default_rng(1)
    wall = (
        np.full(FRAME, 120, np.float32)
        + cv2.resize(rng.normal(0, 6, (40, 40)).astype(np.float32), FRAME[:2])[..., None]
    )
    made = []
    for i in range(16):
        x = 180 + walk * np.sin(i / 2)
        image = wall.copy()
        cv2.circle(image, (round(x), 180), 45, (150, 170, 200), -1)
        image = change(image, i) + rng.normal(0, 2, FRAME).astype(np.float32)
        box = (float(x - 40), 140.0, 80.0, 80.0)
        mesh = np.zeros((468, 3), np.float32)
        made.append(Look(150 * i, mesh, box, patch_of(np.clip(image, 0, 255).astype(np.uint8), box)))
    return made


def test_a_plain_scene_accuses_nobody() -> None:
    assert [cue.finding for cue in replay.examine(frames(), RULES)] == [Finding.SILENT] * 3


def test_rolling_bands_are_seen() -> None:
    rows = np.arange(360)[:, None, None]
    looks = frames(lambda image, i: image * (1 + 0.08 * np.cos(2 * np.pi * rows / 120 - i)))
    assert replay.flicker(looks, RULES).finding is Finding.ATTACK


def test_a_change_of_exposure_is_no_band() -> None:
    assert replay.flicker(frames(lambda image, i: image * (1 + 0.2 * (i % 2))), RULES).finding is Finding.SILENT


def test_a_pixel_grid_is_seen() -> None:
    columns = np.arange(360)[None, :, None]
    looks = frames(lambda image, i: image * (1 + 0.06 * np.cos(2 * np.pi * columns / 3.7 + i)))
    assert replay.moire(looks, RULES).finding is Finding.ATTACK


def edge(image, i: int, walk: float):
    x = round(180 + walk * np.sin(i / 2))
    cv2.rectangle(image, (x - 85, 90), (x + 85, 270), (10, 10, 10), 5)
    return image


def test_an_edge_that_goes_with_the_face_is_seen_and_a_door_frame_is_not() -> None:
    held = frames(lambda image, i: edge(image, i, 14), walk=14)
    assert replay.bezel(held, RULES).finding is Finding.ATTACK, replay.bezel(held, RULES).evidence
    door = frames(lambda image, i: edge(image, 0, 0), walk=14)
    assert replay.bezel(door, RULES).finding is Finding.SILENT, replay.bezel(door, RULES).evidence


def test_a_patch_is_the_square_round_the_face_and_never_large() -> None:
    frame = np.zeros((2000, 2000, 3), np.uint8)
    frame[900:1100, 900:1100] = 255
    patch = patch_of(frame, (900, 900, 200, 200))
    assert patch.shape == (PATCH_LIMIT_PX, PATCH_LIMIT_PX, 3)
    assert context_box((900, 900, 200, 200))[2] == CONTEXT * 200
    middle = PATCH_LIMIT_PX // 2
    assert patch[middle, middle].min() == 255
    assert patch_of(frame, (-50, -50, 60, 60))[0, 0].max() == 0
