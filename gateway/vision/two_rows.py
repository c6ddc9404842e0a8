"""A plate of two rows as one row, so that one reader reads both kinds. Pure.

Places are shares of a plate of 440 x 220 mm with characters of 80 x 60 mm above and 65 x 110 mm below, as
`sim/render/plate.py` draws it after GA 36-2018.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SPLIT = 0.375  # of the height: between the rows
ABOVE = (0.21, 0.79)  # of the width: where the two characters above are
SHARE = 40 / 128  # of the result's width for the row above
# Plates of one row are 3.1 or 3.4 times as wide as high, of two rows 2.0; between these limits, seen aslant, both are
# possible and both are read.
SURELY_TWO, SURELY_ONE = 1.75, 2.75


def side_by_side(cut: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The row above on the left, the row below to its right, in `size` (width, height) pixels."""
    high, wide = cut.shape[:2]
    across, split = round(size[0] * SHARE), round(high * SPLIT)
    above = cut[: max(2, split), round(wide * ABOVE[0]) : round(wide * ABOVE[1])]
    below = cut[min(high - 2, split) :]
    return np.hstack([_resized(above, (across, size[1])), _resized(below, (size[0] - across, size[1]))])


def _resized(part: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if part.shape[1] > size[0] else cv2.INTER_LINEAR
    return cv2.resize(part, size, interpolation=how)
