"""Eyes that live: blinks, a look that wanders. A photograph has neither; a mask with holes and a video have both."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.pad.look import Cue, Finding, Look, Points, context_box, cue, levelled, silent
from gateway.vision.pad.settings import PadSettings

NAME = "life"
# Pairs of points above and below each other on the lids, and the eye's corners (MediaPipe's numbers).
LIDS = (((160, 144), (159, 145), (158, 153)), ((387, 373), (386, 374), (385, 380)))
CORNERS = ((33, 133), (362, 263))
LEAST_LOOKS = 6
EYE_PX = 24  # width an eye is brought to before its contrast is measured


def openness(looks: Sequence[Look]) -> Points:
    """(F,): height of the eyes by their width, mean of both; about 0.3 open, below 0.15 shut."""
    spots = levelled(looks)
    eyes = []
    for lids, (left, right) in zip(LIDS, CORNERS, strict=True):
        high = np.mean([np.linalg.norm(spots[:, a] - spots[:, b], axis=1) for a, b in lids], axis=0)
        eyes.append(high / np.maximum(np.linalg.norm(spots[:, left] - spots[:, right], axis=1), 1e-6))
    return np.asarray(np.mean(eyes, axis=0))


def contrast(looks: Sequence[Look]) -> Points:
    """(F,): between the dark and the white of the eyes, 0..1; lids have little. Of looks with patches."""
    rows = []
    for look in looks:
        if look.patch is None:
            raise ValueError("a look without a patch; leave it out before measuring its eyes")
        left, top, side = context_box(look.box)
        scale = look.patch.shape[0] / side
        grey = np.asarray(cv2.cvtColor(look.patch, cv2.COLOR_BGR2GRAY), np.uint8)
        rows.append(np.mean([_eye_contrast(grey, look, eye, (left, top, scale)) for eye in CORNERS]))
    return np.asarray(rows)


def _eye_contrast(
    grey: NDArray[np.uint8], look: Look, corners: tuple[int, int], place: tuple[float, float, float]
) -> float:
    left, top, scale = place
    a, b = ((look.mesh[n, :2].astype(np.float64) - [left, top]) * scale for n in corners)
    along = b - a
    wide = max(float(np.linalg.norm(along)), 1.0)
    cos, sin = along / wide * (EYE_PX / wide)
    turn = np.array([[cos, sin], [-sin, cos]])
    shift = np.array([EYE_PX / 2, 5.0]) - turn @ (a + b) / 2
    eye = cv2.warpAffine(grey, np.column_stack([turn, shift]), (EYE_PX, 10))[:, 2:-2]
    dark, white = np.percentile(eye, [10, 90])
    return float((white - dark) / (white + dark + 10))


def shut(looks: Sequence[Look], settings: PadSettings) -> NDArray[np.bool_]:
    """(F,): whether the eyes are shut, by the mesh or by the pixels (a mesh is slow to believe in lids)."""
    height = openness(looks)
    closed = 1 - height / max(float(np.percentile(height, 75)), 1e-6) >= settings.blink_mesh_depth
    if all(look.patch is not None for look in looks):
        seen = contrast(looks)
        closed |= 1 - seen / max(float(np.percentile(seen, 60)), 1e-6) >= settings.blink_pixel_depth
    return np.asarray(closed)


def blinks(looks: Sequence[Look], settings: PadSettings) -> int:
    """How often the eyes shut and opened again within a blink's time; a blink at either end does not count."""
    closed = shut(looks, settings)
    times = [look.at_ms for look in looks]
    count, began = 0, None
    for i, now in enumerate(closed):
        if now and began is None:
            began = i
        elif not now and began is not None:
            if began > 0 and times[i] - times[began - 1] <= settings.blink_most_ms:
                count += 1
            began = None
    return count


def gaze(looks: Sequence[Look]) -> Points | None:
    """(F, 2): where the dark of the eyes lies between their corners (x) and across (y), in eye widths; None without
    patches. Coarse: the iris is some pixels wide at a door."""
    rows = []
    for look in looks:
        if look.patch is None:
            return None
        left, top, side = context_box(look.box)
        scale = look.patch.shape[0] / side
        grey = np.asarray(cv2.cvtColor(look.patch, cv2.COLOR_BGR2GRAY), np.uint8)
        rows.append(np.mean([_pupil(grey, look, eye, (left, top, scale)) for eye in CORNERS], axis=0))
    return np.asarray(rows)


def _pupil(grey: NDArray[np.uint8], look: Look, corners: tuple[int, int], place: tuple[float, float, float]) -> Points:
    left, top, scale = place
    a, b = ((look.mesh[n, :2] - [left, top]) * scale for n in corners)
    wide = max(float(np.linalg.norm(b - a)), 2.0)
    middle = (a + b) / 2
    x, y = np.floor(middle - [wide * 0.35, wide * 0.2]).astype(int)
    cut = grey[max(0, y) : y + max(3, int(wide * 0.4)), max(0, x) : x + max(3, int(wide * 0.7))].astype(np.float64)
    if cut.size < 9:
        return np.zeros(2)
    dark = np.clip(np.percentile(cut, 35) - cut, 0, None)
    total = max(float(dark.sum()), 1e-6)
    rows, columns = np.indices(cut.shape)
    return np.array([(dark * columns).sum() / total, (dark * rows).sum() / total]) / wide


def examine(looks: Sequence[Look], settings: PadSettings) -> Cue:
    """GENUINE where a blink was seen. Never ATTACK: people look at a door for seconds without blinking."""
    if len(looks) < LEAST_LOOKS:
        return silent(NAME)
    seen = blinks(looks, settings)
    figures = {"blinks": float(seen), "openness": float(np.median(openness(looks)))}
    wandering = gaze(looks)
    if wandering is not None:
        figures["gaze_range"] = float(np.ptp(wandering, axis=0).max())
    if seen:
        return cue(NAME, Finding.GENUINE, 1.0, **figures)
    return silent(NAME, **figures)
