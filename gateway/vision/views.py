"""A rectified plate seen a little differently: its edge is not known to a pixel, so a still is read several times."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from gateway.vision.picture import Picture

View = tuple[float, float, float]  # scale, across, down; shares of the plate's size

# As it is, a little further left, right, up and down, closer and from further away. Chosen on 350 rendered crops in
# unseen fonts: docs/models.md, "Views".
VIEWS: tuple[View, ...] = (
    (1.0, 0.0, 0.0),
    (1.0, 0.04, 0.0),
    (1.0, -0.04, 0.0),
    (1.0, 0.0, 0.08),
    (1.0, 0.0, -0.08),
    (1.06, 0.0, 0.0),
    (0.94, 0.0, 0.0),
)
SHIFTS = VIEWS[:5]  # of a second cut of the same plate


def seen(cut: Picture, views: Sequence[View]) -> list[Picture]:
    """The cut in each of `views`, at its own size; what was outside repeats its edge."""
    high, wide = cut.shape[:2]
    found = []
    for scale, across, down in views:
        left, top = (across + (1 - scale) / 2) * wide, (down + (1 - scale) / 2) * high
        matrix = np.float32([[scale, 0, left], [0, scale, top]])
        same = (scale, across, down) == VIEWS[0]
        found.append(cut if same else cv2.warpAffine(cut, matrix, (wide, high), borderMode=cv2.BORDER_REPLICATE))
    return found
