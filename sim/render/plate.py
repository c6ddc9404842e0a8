"""Draws Chinese registration plates after GA 36-2018. A kind is data: one row of LAYOUTS and one of LOOKS.

Sizes are in millimetres. Outlines, rows and colours are the standard's as public sources restate it; where the dots,
bolts and the two-colour plate's seam are estimates from photographs, it says so. Glyphs come from free fonts, since
the standard's own typeface is not free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.plates import DIGITS as DIGITS
from sim.plates import LETTERS as LETTERS
from sim.plates import PROVINCES as PROVINCES
from sim.plates import PlateKind as PlateKind
from sim.render.glyphs import Glyphs, bundled, fit

MARKS = "警学挂港澳使领"  # what a plate of a special kind says besides
HANZI = PROVINCES + MARKS
LATIN = DIGITS + LETTERS
Colour = tuple[float, float, float]  # blue, green, red, 0..255
Bolts = tuple[tuple[float, float], ...]


class Cell(NamedTuple):
    """Where a character is."""

    left: float
    width: float
    top: float = 25.0
    height: float = 90.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, in millimetres from the plate's left top corner."""

    width: float
    height: float
    cells: tuple[Cell, ...]
    dot: tuple[float, float, float] | None = None  # centre x, centre y, radius
    bolts: Bolts = ()
    seam: float | None = None  # left of it the plate has the look's `left` colour


@dataclass(frozen=True, slots=True)
class Look:
    """Colours and shapes. `jitter_mm` and `embolden_mm` only matter to training, which wants many looks."""

    top: Colour
    bottom: Colour
    ink: Colour
    rim: Colour | None = None
    glyphs: Glyphs | None = None  # None = the bundled fonts
    embolden_mm: float = 0.0
    jitter_mm: float = 0.0
    bolt: Colour | None = (170.0, 170.0, 170.0)
    left: Colour | None = None  # of the part left of the layout's seam
    accents: tuple[tuple[str, Colour], ...] = ()  # characters with an ink of their own


def _row(widths: tuple[float, ...], gap: float, wide_gap: float, after: int, left: float = 15.5) -> tuple[Cell, ...]:
    """Characters in one row; the wide gap, with the dot in it, is after the `after`-th."""
    cells, x = [], left
    for i, width in enumerate(widths, 1):
        cells.append(Cell(x, width))
        x += width + (wide_gap if i == after else gap)
    return tuple(cells)


def _one_row(after: int) -> Layout:
    """440 x 140 mm: seven characters of 45 x 90, 12 apart, 34 around the dot."""
    cells = _row((45.0,) * 7, 12.0, 34.0, after)
    before = cells[after - 1]
    return Layout(440.0, 140.0, cells, dot=(before.left + before.width + 17.0, 70.0, 5.0), bolts=_BOLTS_440)


def _energy(seam: float | None) -> Layout:
    """480 x 140 mm: one character 45 wide and seven of 43, 9 apart, 49 after the second, no dot."""
    cells = _row((45.0,) + (43.0,) * 7, 9.0, 49.0, 2)
    bolts = ((120.0, 13.0), (360.0, 13.0), (120.0, 127.0), (360.0, 127.0))
    return Layout(480.0, 140.0, cells, bolts=bolts, seam=seam)


_BOLTS_440: Bolts = ((110.0, 13.0), (330.0, 13.0), (110.0, 127.0), (330.0, 127.0))
_SEVEN = _one_row(2)
# 440 x 220 mm: above, two characters of 80 x 60; below, five of 65 x 110, 15 apart. Dot and bolts are estimates.
_TWO_ROWS = Layout(
    440.0,
    220.0,
    (*(Cell(x, 80.0, 15.0, 60.0) for x in (110.0, 250.0)), *(Cell(27.5 + 80 * i, 65.0, 90.0, 110.0) for i in range(5))),
    dot=(220.0, 45.0, 5.0),
    bolts=((60.0, 45.0), (380.0, 45.0)),
)
_SEAM = 137.0  # an estimate: half way between the second and the third character
LAYOUTS: Mapping[PlateKind, Layout] = MappingProxyType(
    {
        PlateKind.BLUE: _SEVEN,
        PlateKind.YELLOW: _SEVEN,
        PlateKind.YELLOW_TWO_ROW: _TWO_ROWS,
        PlateKind.GREEN: _energy(None),
        PlateKind.GREEN_LARGE: _energy(_SEAM),
        PlateKind.POLICE: _one_row(1),
        PlateKind.EMBASSY: _one_row(4),
        PlateKind.CONSULATE: _one_row(4),
        PlateKind.CROSS_BORDER: _SEVEN,
        PlateKind.LEARNER: _SEVEN,
        PlateKind.TRAILER: _TWO_ROWS,
    }
)
_WHITE, _BLACK, _RED = (245.0, 245.0, 245.0), (25.0, 25.0, 25.0), (35.0, 30.0, 205.0)
_YELLOW = Look((30.0, 185.0, 240.0), (25.0, 178.0, 235.0), _BLACK, rim=_BLACK)
_ON_BLACK = Look((34.0, 30.0, 30.0), (28.0, 24.0, 24.0), _WHITE, rim=_WHITE)
_ON_BLACK_RED = Look(_ON_BLACK.top, _ON_BLACK.bottom, _WHITE, rim=_WHITE, accents=(("使", _RED), ("领", _RED)))
LOOKS: Mapping[PlateKind, Look] = MappingProxyType(
    {
        PlateKind.BLUE: Look((195.0, 85.0, 20.0), (185.0, 78.0, 15.0), _WHITE, rim=_WHITE),
        PlateKind.YELLOW: _YELLOW,
        PlateKind.YELLOW_TWO_ROW: _YELLOW,
        PlateKind.GREEN: Look((235.0, 240.0, 232.0), (110.0, 195.0, 85.0), _BLACK, rim=(70.0, 110.0, 60.0)),
        PlateKind.GREEN_LARGE: Look(
            (115.0, 196.0, 92.0), (108.0, 190.0, 84.0), _BLACK, rim=_BLACK, left=(30.0, 185.0, 240.0)
        ),
        PlateKind.POLICE: Look(
            (242.0, 242.0, 242.0), (236.0, 236.0, 236.0), _BLACK, rim=_BLACK, accents=(("警", _RED),)
        ),
        PlateKind.EMBASSY: _ON_BLACK_RED,
        PlateKind.CONSULATE: _ON_BLACK_RED,
        PlateKind.CROSS_BORDER: _ON_BLACK,
        PlateKind.LEARNER: _YELLOW,
        PlateKind.TRAILER: _YELLOW,
    }
)


def draw_plate(
    text: str,
    kind: PlateKind,
    *,
    px_per_mm: float = 1.0,
    look: Look | None = None,
    rng: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Draw `text` on a plate of `kind`: HxWx3 uint8, BGR, exactly the plate (440 or 480 by 140, or 440 by 220 mm).

    `rng` is only used with a look that has jitter. Raises ValueError, in one sentence, for a text that does not fit.
    """
    layout, look = LAYOUTS[kind], look or LOOKS[kind]
    if len(text) != len(layout.cells) or not all(c in LATIN or c in HANZI for c in text):
        raise ValueError(f"a {kind} plate has {len(layout.cells)} characters that plates use, got {text!r}")
    height, width = round(layout.height * px_per_mm), round(layout.width * px_per_mm)
    share = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    image = np.float32(look.top) * (1 - share) + np.float32(look.bottom) * share
    image = np.broadcast_to(image, (height, width, 3)).copy()
    if layout.seam is not None and look.left is not None:
        image[:, : round(layout.seam * px_per_mm)] = look.left
    if look.rim:  # GA 36: a line of about 3 mm, a few millimetres inside the edge
        inset, line = round(4 * px_per_mm), max(1, round(2.5 * px_per_mm))
        cv2.rectangle(image, (inset, inset), (width - 1 - inset, height - 1 - inset), look.rim, line, cv2.LINE_AA)
    if look.bolt:
        for x, y in layout.bolts:
            at, radius = (round(x * px_per_mm), round(y * px_per_mm)), max(1, round(5.5 * px_per_mm))
            cv2.circle(image, at, radius, look.bolt, -1, cv2.LINE_AA)
    for ink, colour in _inks(text, layout, look, (height, width), px_per_mm, rng):
        alpha = (ink.astype(np.float32) / 255.0)[..., None]
        image = image * (1 - alpha) + np.float32(colour) * alpha
    return image.astype(np.uint8)


def _inks(
    text: str,
    layout: Layout,
    look: Look,
    shape: tuple[int, int],
    px_per_mm: float,
    rng: np.random.Generator | None,
) -> list[tuple[NDArray[np.uint8], Colour]]:
    """The characters and the dot as masks of `shape`, one for each colour."""
    glyphs = look.glyphs or bundled()
    masks: dict[Colour, NDArray[np.uint8]] = {look.ink: np.zeros(shape, np.uint8)}
    accents = dict(look.accents)
    grow = round(look.embolden_mm * px_per_mm)
    for character, cell in zip(text, layout.cells, strict=True):
        shape_of = glyphs(character)
        wide = cell.width
        if character == "1":  # the one character of its own width
            wide = min(cell.width, cell.height * shape_of.shape[1] / shape_of.shape[0])
        drawn = fit(shape_of, round(wide * px_per_mm), round(cell.height * px_per_mm))
        if grow:
            drawn = cv2.dilate(drawn, np.ones((grow, grow), np.uint8))
        dx, dy = rng.normal(0, look.jitter_mm, 2) if rng is not None and look.jitter_mm else (0.0, 0.0)
        x = int(np.clip(round((cell.left + (cell.width - wide) / 2 + dx) * px_per_mm), 0, shape[1] - drawn.shape[1]))
        y = int(np.clip(round((cell.top + dy) * px_per_mm), 0, shape[0] - drawn.shape[0]))
        mask = masks.setdefault(accents.get(character, look.ink), np.zeros(shape, np.uint8))
        part = mask[y : y + drawn.shape[0], x : x + drawn.shape[1]]
        np.maximum(part, drawn, out=part)
    if layout.dot:
        x, y, radius = (v * px_per_mm for v in layout.dot)
        cv2.circle(masks[look.ink], (round(x), round(y)), max(1, round(radius)), 255, -1, cv2.LINE_AA)
    return [(mask, colour) for colour, mask in masks.items()]
