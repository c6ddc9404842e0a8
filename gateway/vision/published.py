"""The published plate models (published.toml), where an operator has fetched and accepted them: pixels in and out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision import quad as geometry
from gateway.vision.detect import Found, distinct
from gateway.vision.picture import Picture
from gateway.vision.runtime import Net

DETECTOR, READER = "published-plate-detector", "published-plate-reader"
# Of the published code (RetinaFace's arrangement): a box prior every `step` pixels, in these sizes.
PRIORS = ((8, (24, 48)), (16, (96, 192)), (32, (384, 768)))
VARIANCES = (0.1, 0.2)
MEAN = np.float32([104, 117, 123])  # of the training pictures, BGR
ACCEPTED = 0.5
OVERLAP = 0.4  # boxes that share more than this are one plate
CONTENT = 125  # columns of the reader's input that hold the plate; zeros to their right


def find(net: Net, picture: Picture) -> list[Found]:
    """Plates in a picture, best first. One invoke."""
    high, wide = picture.shape[:2]
    side = net.input_shape[1]
    scale = side / max(high, wide)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shrunk = cv2.resize(picture, (round(wide * scale), round(high * scale)), interpolation=how)
    canvas = np.zeros((side, side, 3), np.float32)  # grey, once the mean is taken away
    canvas[: shrunk.shape[0], : shrunk.shape[1]] = shrunk.astype(np.float32) - MEAN
    outputs = net.run_ready(canvas)
    priors, sure = _priors(side), outputs["conf"][:, 1]
    kept = np.flatnonzero(sure > ACCEPTED)
    if not len(kept):
        return []
    priors, sure = priors[kept], sure[kept]
    centres = priors[:, :2] + outputs["loc"][kept][:, :2] * VARIANCES[0] * priors[:, 2:]
    sizes = priors[:, 2:] * np.exp(outputs["loc"][kept][:, 2:] * VARIANCES[1])
    corners = priors[:, None, :2] + outputs["landms"][kept].reshape(-1, 4, 2) * VARIANCES[0] * priors[:, None, 2:]
    boxes = np.concatenate([centres - sizes / 2, sizes], 1) * side
    chosen = np.ravel(cv2.dnn.NMSBoxes(boxes.tolist(), sure.tolist(), ACCEPTED, OVERLAP))
    found = [Found(_in_order(corners[i] * side / scale), float(sure[i])) for i in chosen]
    return distinct([one for one in found if geometry.is_plausible(one.corners) and _inside(one.corners, wide, high)])


def columns(net: Net, cuts: Sequence[Picture]) -> list[NDArray[np.float32]]:
    """Probabilities (steps, classes) of each cut, which a plate fills."""
    _, net_high, net_wide, _ = net.input_shape
    found = []
    for cut in cuts:
        x = np.zeros((net_high, net_wide, 3), np.float32)
        x[:, :CONTENT] = cv2.resize(cut, (CONTENT, net_high)).astype(np.float32) / 127.5 - 1
        (probabilities,) = net.run_ready(x).values()
        found.append(probabilities)
    return found


@cache
def _priors(side: int) -> NDArray[np.float32]:
    """(N, 4): centre x, centre y, width, height in shares of the side."""
    found = []
    for step, sizes in PRIORS:
        cells = -(-side // step)
        for row, column in product(range(cells), repeat=2):
            found += [[(column + 0.5) * step, (row + 0.5) * step, size, size] for size in sizes]
    return np.float32(found) / side


def _inside(corners: geometry.Quad, wide: int, high: int) -> bool:
    """Whether the plate's middle is in the picture: the net sees plates along the edge of what fills its square up."""
    across, down = corners.mean(axis=0).tolist()
    return 0 <= across < wide and 0 <= down < high


def _in_order(points: NDArray[np.float32]) -> geometry.Quad:
    """Four corners as left top, right top, right bottom, left bottom."""
    by_x = points[np.argsort(points[:, 0])]
    left, right = (half[np.argsort(half[:, 1])] for half in (by_x[:2], by_x[2:]))
    return np.float32([left[0], right[0], right[1], left[1]])
