"""A found face to 468 points: MediaPipe's face mesh on an upright square around it, and on that square's mirror image.

The five alignment points are the mean of both looks (on LFW that is steadier than one); how far the two disagree is
kept as a measure of how sure the points are.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.faces.detect import Found
from gateway.vision.faces.face import MESH_POINTS, Face, five_points
from gateway.vision.picture import Picture
from gateway.vision.runtime import Net

SQUARE = 1.5  # of the box's longer side (MediaPipe's face_landmark_front graph)
LOOKS = 2  # invokes per face
_SWAPPED = [1, 0, 2, 4, 3]  # the five points of a mirror image, in the order of the picture itself


def landmarks(net: Net, picture: Picture, found: Found) -> tuple[Face, float]:
    """(the face, how far its two looks disagree in shares of the distance between the eyes). Two invokes."""
    side = net.input_shape[1]
    to_square = _square(found, side)
    patch = cv2.warpAffine(picture, to_square, (side, side), flags=cv2.INTER_LINEAR)
    x = cv2.cvtColor(patch, cv2.COLOR_BGR2RGB).astype(np.float32)
    x *= np.float32(1 / 255)
    mesh, presence = _look(net, x)
    mirrored, _ = _look(net, cv2.flip(x, 1))
    direct = five_points(mesh)
    other = five_points(mirrored)[_SWAPPED]
    other[:, 0] = side - 1 - other[:, 0]
    apart = float(np.linalg.norm(direct - other, axis=1).max() / max(1e-6, np.linalg.norm(direct[1] - direct[0])))
    back = cv2.invertAffineTransform(to_square)
    scale = float(np.hypot(back[0, 0], back[1, 0]))
    placed = np.empty((MESH_POINTS, 3), np.float32)
    placed[:, :2] = mesh[:, :2] @ back[:, :2].T + back[:, 2]
    placed[:, 2] = mesh[:, 2] * scale
    points = ((direct + other) / 2 @ back[:, :2].T + back[:, 2]).astype(np.float32)
    x.fill(0)
    patch.fill(0)
    return Face(found.box, found.score, placed, points, presence), apart


def _look(net: Net, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    points, presence = None, 0.0
    for values in net.run_ready(x).values():
        if values.size == MESH_POINTS * 3:
            points = values.reshape(MESH_POINTS, 3)
        else:
            presence = float(1 / (1 + np.exp(-np.clip(values.ravel()[0], -80, 80))))
    assert points is not None  # the manifest's hash fixes the outputs
    return points, presence


def _square(found: Found, side: int) -> NDArray[np.float64]:
    """The 2x3 map from the picture to the upright square around the face."""
    x, y, wide, high = found.box
    across = found.points[1] - found.points[0]
    right = across / max(1e-6, float(np.linalg.norm(across)))
    down = np.array([-right[1], right[0]])
    half = max(wide, high) * SQUARE / 2
    centre = np.array([x + wide / 2, y + high / 2])
    corners = [centre - half * right - half * down, centre + half * right - half * down]
    corners.append(centre - half * right + half * down)
    return cv2.getAffineTransform(np.float32(corners), np.float32([[0, 0], [side, 0], [0, side]]))
