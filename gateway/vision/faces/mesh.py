"""A found face to 468 points: MediaPipe's face mesh on an upright square around it, and on that square's mirror image.

The five alignment points are the mean of both looks (on LFW that is steadier than one); how far the two disagree is
kept as a measure of how sure the points are.
"""

from __future__ import annotations

from math import exp, hypot, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.faces import align
from gateway.vision.faces.detect import Found
from gateway.vision.faces.face import MESH_POINTS, Face, five_points
from gateway.vision.picture import Picture
from gateway.vision.runtime import Net, numbers_of

SQUARE = 1.5  # of the box's longer side (MediaPipe's face_landmark_front graph)
LOOKS = 2  # invokes per face
_NUMBERS = numbers_of(0, 1 / 255)
_SWAPPED = [1, 0, 2, 4, 3]  # the five points of a mirror image, in the order of the picture itself


def landmarks(net: Net, picture: Picture, found: Found) -> tuple[Face, float]:
    """(the face, how far its two looks disagree in shares of the distance between the eyes). Two invokes."""
    side = net.input_shape[1]
    to_square = _square(found, side)
    patch = align.drawn(picture, to_square, side, rgb=True)
    mesh, presence = _told(net.run_pixels(patch, _NUMBERS))
    patch.fill(0)
    mirrored, _ = _told(net.run_mirrored())
    direct = five_points(mesh)
    other = five_points(mirrored)[_SWAPPED]
    other[:, 0] = side - 1 - other[:, 0]
    between = direct[1] - direct[0]
    apart = sqrt(float(((direct - other) ** 2).sum(1).max())) / max(1e-6, hypot(between[0], between[1]))
    back = cv2.invertAffineTransform(to_square)
    points = ((direct + other) / 2 @ back[:, :2].T + back[:, 2]).astype(np.float32)
    placed = mesh  # its memory is ours
    placed[:, :2] = mesh[:, :2] @ back[:, :2].T + back[:, 2]
    placed[:, 2] *= hypot(back[0, 0], back[1, 0])
    return Face(found.box, found.score, placed, points, presence), apart


def _told(outputs: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], float]:
    points, presence = None, 0.0
    for values in outputs.values():
        if values.size == MESH_POINTS * 3:
            points = values.reshape(MESH_POINTS, 3)
        else:
            presence = 1 / (1 + exp(-min(80.0, max(-80.0, float(values.ravel()[0])))))
    assert points is not None  # the manifest's hash fixes the outputs
    return points, presence


def _square(found: Found, side: int) -> NDArray[np.float64]:
    """The 2x3 map from the picture to the upright square around the face."""
    x, y, wide, high = found.box
    (left_x, left_y), (right_x, right_y) = found.points[:2].tolist()
    across, down = right_x - left_x, right_y - left_y
    times = side / (max(wide, high) * SQUARE) / max(1e-6, hypot(across, down))
    cos, sin = times * across, times * down
    middle_x, middle_y = x + wide / 2, y + high / 2
    moves = side / 2 - cos * middle_x - sin * middle_y, side / 2 + sin * middle_x - cos * middle_y
    return np.array([[cos, sin, moves[0]], [-sin, cos, moves[1]]])
