"""Where faces are: BlazeFace (short range) on the whole picture, and closer on its middle where that finds nothing.

Anchors and decoding are MediaPipe's (face_detection_short_range: strides 8 and 16 of 128 pixels, 2 and 6 anchors).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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
    x, scale, pad = _letterboxed(part, side)
    outputs = net.run_ready(x)
    x.fill(0)
    scores = 1 / (1 + np.exp(-np.clip(outputs["classificators"][:, 0], -80, 80)))
    kept = np.flatnonzero(scores > ACCEPTED)
    if not len(kept):
        return []
    raw, anchors, scores = outputs["regressors"][kept].reshape(len(kept), -1, 2), _anchors()[kept], scores[kept]
    points = raw / side + anchors[:, None]  # [:, 0] is the centre; [:, 1] was the size, which has no anchor
    sizes = raw[:, 1] / side
    boxes = np.concatenate([points[:, 0] - sizes / 2, points[:, 0] + sizes / 2], 1)
    found = []
    for group in _groups(boxes, scores):
        weights = (scores[group] / scores[group].sum())[:, None]
        corners = ((boxes[group] * weights).sum(0).reshape(2, 2) * side - pad) / scale + (left, top)
        marks = ((points[group, 2:] * weights[:, None]).sum(0) * side - pad) / scale + (left, top)
        (x0, y0), (x1, y1) = corners.tolist()
        found.append(Found((x0, y0, x1 - x0, y1 - y0), marks.astype(np.float32), float(scores[group].max())))
    return found


def _letterboxed(part: Picture, side: int) -> tuple[NDArray[np.float32], float, NDArray[np.float64]]:
    """(input, scale, (x, y) of the picture's corner in the input); black bars are -1 as in MediaPipe."""
    high, wide = part.shape[:2]
    scale = side / max(high, wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    step = int(1 / scale) // _COARSE
    thinned = part[::step, ::step] if step > 1 else part
    small = cv2.resize(thinned, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    pad = np.array([(side - size[0]) // 2, (side - size[1]) // 2])
    x = np.full((side, side, 3), -1, np.float32)
    x[pad[1] : pad[1] + size[1], pad[0] : pad[0] + size[0]] = small[..., ::-1] / np.float32(127.5) - 1
    small.fill(0)
    return x, scale, pad.astype(np.float64)


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
def _anchors() -> NDArray[np.float32]:
    """(896, 2): centres in shares of the side."""
    found = []
    for cells, each in CELLS:
        rows, columns = np.mgrid[:cells, :cells]
        centres = np.stack([columns.ravel(), rows.ravel()], 1)
        found.append(np.repeat((centres + 0.5) / cells, each, axis=0))
    return np.concatenate(found).astype(np.float32)
