"""Where faces are: BlazeFace (short range) on the whole picture, and closer on its middle where that finds nothing.

Anchors and decoding are MediaPipe's (face_detection_short_range: strides 8 and 16 of 128 pixels, 2 and 6 anchors).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, log

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.picture import Picture
from gateway.vision.runtime import Net

ACCEPTED = 0.5  # MediaPipe's min_score_thresh
OVERLAP = 0.3  # boxes that share more than this are one face (MediaPipe's min_suppression_threshold)
MAX_FACES = 8
CELLS = ((16, 2), (8, 6))  # cells a side, anchors a cell
KEY_POINTS = 6  # right eye, left eye, nose, mouth, right ear, left ear of the person
LOOKS_MAX = 3  # invokes per picture
# Where nothing was found: the middle square, then the middle of that. A face has to be about a seventh of what is
# looked at.
CLOSER = (1.0, 0.5)
_ACCEPTED_LOGIT = log(ACCEPTED / (1 - ACCEPTED))
_NUMBERS = np.arange(256, dtype=np.float32) / np.float32(127.5) - 1
_COARSE = 2  # a picture this many times too large is thinned by taking every n-th pixel first: cheap, and enough here


@dataclass(frozen=True, slots=True)
class Found:
    """A face: box (x, y, width, height) and key points float32 (6, 2) in pixels of the picture, score 0..1."""

    box: tuple[float, float, float, float]
    points: NDArray[np.float32]
    score: float


def find(net: Net, picture: Picture) -> list[Found]:
    """Faces, the widest first, at most MAX_FACES; at most LOOKS_MAX invokes."""
    found = _look(net, picture, 0, 0)
    high, wide = picture.shape[:2]
    for share in CLOSER:
        side = int(min(high, wide) * share)
        if found or side < 2 * net.input_shape[1]:
            break
        left, top = (wide - side) // 2, (high - side) // 2
        found = _look(net, picture[top : top + side, left : left + side], left, top)
    return sorted(found, key=lambda one: -one.box[2])[:MAX_FACES]


def _look(net: Net, part: Picture, left: int, top: int) -> list[Found]:
    side = net.input_shape[1]
    boxed, scale, pad = _letterboxed(part, side)
    outputs = net.run_pixels(boxed, _NUMBERS)
    boxed.fill(0)
    logits = outputs["classificators"][:, 0]
    kept = np.flatnonzero(logits > _ACCEPTED_LOGIT)
    if not len(kept):
        return []
    scores = 1 / (1 + np.exp(-np.clip(logits[kept], -80, 80)))
    spots = outputs["regressors"][kept]  # (N, 16) in pixels of the input: centre, size, key points
    half = spots[:, 2:4] / 2
    spots[:, 2:4] = spots[:, :2]
    spots += _anchors(side)[kept]
    spots[:, :2] -= half
    spots[:, 2:4] += half
    found = []
    for group in _groups(spots[:, :4], scores):
        weights = scores[group]
        mean = ((weights / weights.sum()) @ spots[group]).reshape(-1, 2)
        placed = (mean - pad) / scale + (left, top)
        (x0, y0), (x1, y1) = placed[:2].tolist()
        found.append(Found((x0, y0, x1 - x0, y1 - y0), placed[2:].astype(np.float32), float(weights.max())))
    return found


def _letterboxed(part: Picture, side: int) -> tuple[Picture, float, NDArray[np.float64]]:
    """(RGB, scale, (x, y) of the picture's corner in it); the bars are black as in MediaPipe."""
    high, wide = part.shape[:2]
    scale = side / max(high, wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    step = int(1 / scale) // _COARSE
    thinned = part
    if step > 1:
        thinned = cv2.resize(part, (ceil(wide / step), ceil(high / step)), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(thinned, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    pad = np.array([(side - size[0]) // 2, (side - size[1]) // 2])
    boxed = np.zeros((side, side, 3), np.uint8)
    boxed[pad[1] : pad[1] + size[1], pad[0] : pad[0] + size[0]] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=small)
    small.fill(0)
    if thinned is not part:
        thinned.fill(0)
    return boxed, scale, pad.astype(np.float64)


def _groups(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Indices of the boxes of each face, best face first: weighted suppression."""
    left, groups = np.argsort(-scores), []
    while len(left) and len(groups) < MAX_FACES:
        best, others = boxes[left[0]], boxes[left]
        sides = np.minimum(best[2:], others[:, 2:]) - np.maximum(best[:2], others[:, :2])
        shared = np.clip(sides, 0, None).prod(1)
        union = (best[2:] - best[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared
        same = shared / np.maximum(union, 1e-9) > OVERLAP
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups


@cache
def _anchors(side: int) -> NDArray[np.float32]:
    """(896, 16): each anchor's centre in pixels, once for every point."""
    found = []
    for cells, each in CELLS:
        rows, columns = np.mgrid[:cells, :cells]
        centres = np.stack([columns.ravel(), rows.ravel()], 1)
        found.append(np.repeat((centres + 0.5) * (side / cells), each, axis=0))
    return np.tile(np.concatenate(found), 2 + KEY_POINTS).astype(np.float32)
