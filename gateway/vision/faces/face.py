"""One face in one frame, as every later stage sees it. No identity in it: points, not a template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MESH_POINTS = 468  # of MediaPipe's face mesh; the indices below are its canonical numbering
# The five alignment points from the mesh: the mean of these vertices each. "Left" is the picture's left.
LEFT_EYE, RIGHT_EYE, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH = (33, 133), (362, 263), (1,), (61,), (291,)
_GROUPS = (LEFT_EYE, RIGHT_EYE, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH)
_FIVE = [[(2 * group)[at] for group in _GROUPS] for at in (0, 1)]


@dataclass(frozen=True, slots=True)
class Face:
    """A face with its landmarks, in pixels of the whole frame (x to the right, y down).

    box: (x, y, width, height), may reach over the frame's edge. score: of the detector, 0..1.
    mesh: float32 (468, 3); z is relative depth in the same pixels, smaller is nearer to the camera.
    points: float32 (5, 2): the eyes, the nose's tip, the corners of the mouth; left in the picture first.
    presence: 0..1, how sure the mesh is that there is a face under it.
    """

    box: tuple[float, float, float, float]
    score: float
    mesh: NDArray[np.float32]
    points: NDArray[np.float32]
    presence: float


def five_points(mesh: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (5, 2): the alignment points of a mesh (468, 3)."""
    first, second = mesh[_FIVE[0], :2], mesh[_FIVE[1], :2]
    return (first + second) / 2
