"""Letters and digits of our own, as strokes: straight, narrow, even, like the characters on metal plates.

Each character is polylines and elliptic arcs on a grid 45 wide and 90 high (the standard's cell), drawn with a round or
square pen. A variant differs in pen, corner shapes and a small jitter of every point, so that training sees a family.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from sim.render.glyphs import Glyphs, Mask, trim

SCALE = 3  # mask pixels per grid unit
MARGIN = 12  # grid units around the cell
# A path is a list of points; ("o", cx, cy, rx, ry, from, to) adds an arc, degrees clockwise from the right.
Step = tuple[float, float] | tuple[str, float, float, float, float, float, float]
TOP, LOW, L, R, M = 5.0, 85.0, 5.0, 40.0, 22.5

PATHS: dict[str, list[list[Step]]] = {
    "0": [[("o", M, 22, 17.5, 17, 180, 360), ("o", M, 68, 17.5, 17, 0, 180), (L, 22)]],
    "1": [[(14, 18), (25, 6), (25, LOW)]],
    "2": [[("o", M, 23, 17, 18, 190, 385), (L, LOW), (R, LOW)]],
    "3": [[("o", M, 24, 16.5, 19, 200, 440), ], [("o", M, 64, 17.5, 21, 270, 520)]],
    "4": [[(30, LOW), (30, TOP), (L - 1, 66), (R + 2, 66)]],
    "5": [[(R - 2, TOP), (8, TOP), (7, 42), ("o", M, 60, 17.5, 25, 220, 515)]],
    "6": [[(30, TOP), (10, 45), ("o", M, 62, 17.5, 23, 190, 550)]],
    "7": [[(L, TOP), (R, TOP), (16, LOW)]],
    "8": [[("o", M, 25, 15.5, 20, 90, 450)], [("o", M, 65, 17.5, 20, 270, 630)]],
    "9": [[(15, LOW), (35, 45), ("o", M, 28, 17.5, 23, 10, 370)]],
    "A": [[(L - 1, LOW), (M, TOP), (R + 1, LOW)], [(11, 62), (34, 62)]],
    "B": [[(L, TOP), (L, LOW), (22, LOW), ("o", 22, 65, 18, 20, 90, -90), (L, 44)],
          [(L, TOP), (22, TOP), ("o", 22, 25, 16, 19.5, -90, 90)]],
    "C": [[("o", M, 24, 17.5, 19, 350, 180), ("o", M, 66, 17.5, 19, 180, 10)]],
    "D": [[(L, TOP), (L, LOW), (20, LOW), ("o", 20, 65, 20, 20, 90, 0), ("o", 20, 25, 20, 20, 0, -90), (L, TOP)]],
    "E": [[(R, TOP), (L, TOP), (L, LOW), (R, LOW)], [(L, 44), (35, 44)]],
    "F": [[(R, TOP), (L, TOP), (L, LOW)], [(L, 44), (35, 44)]],
    "G": [[("o", M, 24, 17.5, 19, 350, 180), ("o", M, 66, 17.5, 19, 180, 0), (R, 50), (25, 50)]],
    "H": [[(L, TOP), (L, LOW)], [(R, TOP), (R, LOW)], [(L, 44), (R, 44)]],
    "J": [[(34, TOP), ("o", 19, 68, 15, 17, 0, 170)]],
    "K": [[(L, TOP), (L, LOW)], [(R, TOP), (L, 56)], [(16, 44), (R, LOW)]],
    "L": [[(L, TOP), (L, LOW), (R, LOW)]],
    "M": [[(L, LOW), (L, TOP), (M, 55), (R, TOP), (R, LOW)]],
    "N": [[(L, LOW), (L, TOP), (R, LOW), (R, TOP)]],
    "P": [[(L, LOW), (L, TOP), (22, TOP), ("o", 22, 28, 18, 23, -90, 90), (L, 51)]],
    "Q": [[("o", M, 22, 17.5, 17, 180, 360), ("o", M, 68, 17.5, 17, 0, 180), (L, 22)], [(27, 64), (R + 2, LOW + 1)]],
    "R": [[(L, LOW), (L, TOP), (22, TOP), ("o", 22, 27, 18, 22, -90, 90), (L, 49)], [(22, 49), (R, LOW)]],
    "S": [[("o", M, 24, 17, 19, 345, 135), ("o", M, 66, 17.5, 19, -45, 165)]],
    "T": [[(L - 1, TOP), (R + 1, TOP)], [(M, TOP), (M, LOW)]],
    "U": [[(L, TOP), ("o", M, 67, 17.5, 18, 180, 0), (R, TOP)]],
    "V": [[(L - 1, TOP), (M, LOW), (R + 1, TOP)]],
    "W": [[(L - 1, TOP), (13, LOW), (M, 30), (32, LOW), (R + 1, TOP)]],
    "X": [[(L, TOP), (R, LOW)], [(R, TOP), (L, LOW)]],
    "Y": [[(L - 1, TOP), (M, 46), (R + 1, TOP)], [(M, 46), (M, LOW)]],
    "Z": [[(L, TOP), (R, TOP), (L, LOW), (R, LOW)]],
}  # fmt: skip
# Some plates' and signs' typefaces have a three with a flat top.
FLAT_THREE: list[list[Step]] = [[(L, TOP), (R - 1, TOP), (22, 38), ("o", M, 61, 17.5, 24, 270, 520)]]


def _points(path: list[Step], rng: np.random.Generator, spread: float) -> np.ndarray:
    points: list[tuple[float, float]] = []
    for step in path:
        if step[0] == "o":
            _, cx, cy, rx, ry, start, end = step
            for angle in np.radians(np.linspace(start, end, 24)):
                points.append((cx + rx * np.cos(angle), cy + ry * np.sin(angle)))
        else:
            points.append((step[0] + rng.normal(0, spread), step[1] + rng.normal(0, spread)))
    return np.array(points)


@cache
def strokes(variant: int) -> Glyphs:
    """One member of the family. Same variant, same shapes; every third has a flat three."""
    pen = (8.0, 10.0, 12.0, 11.0, 10.0, 14.0, 9.0, 13.0)[variant % 8]
    rng = np.random.default_rng([variant, 36])
    stretch = 1 + rng.normal(0, 0.05, 2)

    @cache
    def glyph(character: str) -> Mask:
        own = np.random.default_rng([variant, ord(character)])
        mask = np.zeros(((90 + 2 * MARGIN) * SCALE, (45 + 2 * MARGIN) * SCALE), np.uint8)
        for path in FLAT_THREE if character == "3" and variant % 3 == 2 else PATHS[character]:
            points = (_points(path, own, 0.8) - (M, 45)) * stretch + (M + MARGIN, 45 + MARGIN)
            cv2.polylines(
                mask, [np.round(points * SCALE * 16).astype(np.int32)], False, 255, round(pen * SCALE), cv2.LINE_AA, 4
            )
        return trim(mask, f"no strokes for {character!r}")

    return glyph
