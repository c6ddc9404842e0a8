"""A face to the upright crop that embedding models were trained on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.picture import Picture

# Five points in a crop of 112 x 112: the template of ArcFace (insightface, arcface_dst).
TEMPLATE = np.float64(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
SIDE = 112
_MOST_TIMES = 8  # a crop is drawn at most this many times too large before it is averaged down


def crop(picture: Picture, points: NDArray[np.float32], fill: float = 1.0, side: int = SIDE) -> Picture:
    """uint8 (side, side, 3): the picture turned, scaled and moved so that `points` (5, 2) meet the template.

    fill: the template's size about the crop's middle; below 1 shows more of what surrounds the face.
    """
    wanted = ((TEMPLATE - SIDE / 2) * fill + SIDE / 2) * (side / SIDE)
    matrix = similarity(points.astype(np.float64), wanted)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    times = 1
    while times < _MOST_TIMES and scale * times < 0.5:  # else most pixels of a large face would not be looked at
        times *= 2
    if times == 1:
        return cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)
    large = cv2.warpAffine(picture, matrix * times, (side * times, side * times), flags=cv2.INTER_LINEAR)
    small = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
    large.fill(0)
    return small


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2x3 rotation, scale and move of least squares from source (N, 2) to target (N, 2) (Umeyama 1991)."""
    middle, wanted = source.mean(0), target.mean(0)
    from_middle, to_middle = source - middle, target - wanted
    u, singular, v = np.linalg.svd(to_middle.T @ from_middle / len(source))
    sign = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(v) >= 0 else -1.0])
    rotation = u @ np.diag(sign) @ v
    scale = (singular * sign).sum() / max(1e-12, from_middle.var(0).sum())
    matrix = np.empty((2, 3))
    matrix[:, :2] = scale * rotation
    matrix[:, 2] = wanted - scale * rotation @ middle
    return matrix
