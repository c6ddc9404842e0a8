"""Draws Chinese registration plates after GA 36-2018. A kind is data: one row of LAYOUTS and one of LOOKS.

Sizes are the standard's, in millimetres. Glyphs come from free fonts, since the standard's own typeface is not free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.glyphs import Glyphs, bundled, fit

PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
HANZI = PROVINCES + "警学挂港澳使领"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and no O: they read as 1 and 0
LATIN = DIGITS + LETTERS
Colour = tuple[float, float, float]  # blue, green, red, 0..255


class PlateKind(StrEnum):
    """The kinds that can be drawn."""

    BLUE = "blue"
    GREEN = "green"
    YELLOW = "yellow"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, in millimetres from the plate's left top corner."""

    width: float
    height: float
    cells: tuple[tuple[float, float], ...]  # left edge and width of each character
    top: float = 25.0
    character_height: float = 90.0
    dot: tuple[float, float, float] | None = None  # centre x, centre y, radius
    bolts: tuple[tuple[float, float], ...] = ()


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


def _row(left: float, widths: tuple[float, ...], gap: float, after_second: float) -> tuple[tuple[float, float], ...]:
    cells, x = [], left
    for i, width in enumerate(widths):
        cells.append((x, width))
        x += width + (after_second if i == 1 else gap)
    return tuple(cells)


# GA 36-2018: 440 x 140 mm, characters 45 x 90, 12 apart, 34 around the dot; new energy 480 x 140, 43 wide, 9 apart.
_SEVEN = Layout(
    440.0,
    140.0,
    _row(15.5, (45.0,) * 7, 12.0, 34.0),
    dot=(134.5, 70.0, 5.0),
    bolts=((110.0, 13.0), (330.0, 13.0), (110.0, 127.0), (330.0, 127.0)),
)
_EIGHT = Layout(
    480.0,
    140.0,
    _row(15.5, (45.0,) + (43.0,) * 7, 9.0, 49.0),
    bolts=((120.0, 13.0), (360.0, 13.0), (120.0, 127.0), (360.0, 127.0)),
)
LAYOUTS: Mapping[PlateKind, Layout] = MappingProxyType(
    {PlateKind.BLUE: _SEVEN, PlateKind.GREEN: _EIGHT, PlateKind.YELLOW: _SEVEN}
)
_WHITE, _BLACK = (245.0, 245.0, 245.0), (25.0, 25.0, 25.0)
LOOKS: Mapping[PlateKind, Look] = MappingProxyType(
    {
        PlateKind.BLUE: Look((195.0, 85.0, 20.0), (185.0, 78.0, 15.0), _WHITE, rim=_WHITE),
        PlateKind.GREEN: Look((235.0, 240.0, 232.0), (110.0, 195.0, 85.0), _BLACK, rim=(70.0, 110.0, 60.0)),
        PlateKind.YELLOW: Look((30.0, 185.0, 240.0), (25.0, 178.0, 235.0), _BLACK, rim=_BLACK),
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
    """Draw `text` on a plate of `kind`: HxWx3 uint8, BGR, exactly the plate (440 or 480 by 140 mm).

    `rng` is only used with a look that has jitter. Raises ValueError, in one sentence, for a text that does not fit.
    """
    layout, look = LAYOUTS[kind], look or LOOKS[kind]
    if len(text) != len(layout.cells) or not all(c in LATIN or c in HANZI for c in text):
        raise ValueError(f"a {kind} plate has {len(layout.cells)} characters that plates use, got {text!r}")
    height, width = round(layout.height * px_per_mm), round(layout.width * px_per_mm)
    ink = _ink(text, layout, look, (height, width), px_per_mm, rng)
    share = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    image = np.float32(look.top) * (1 - share) + np.float32(look.bottom) * share
    image = np.broadcast_to(image, (height, width, 3)).copy()
    if look.rim:  # GA 36: a line of about 3 mm, a few millimetres inside the edge
        inset, line = round(4 * px_per_mm), max(1, round(2.5 * px_per_mm))
        cv2.rectangle(image, (inset, inset), (width - 1 - inset, height - 1 - inset), look.rim, line, cv2.LINE_AA)
    if look.bolt:
        for x, y in layout.bolts:
            at, radius = (round(x * px_per_mm), round(y * px_per_mm)), max(1, round(5.5 * px_per_mm))
            cv2.circle(image, at, radius, look.bolt, -1, cv2.LINE_AA)
    alpha = (ink.astype(np.float32) / 255.0)[..., None]
    return (image * (1 - alpha) + np.float32(look.ink) * alpha).astype(np.uint8)


def _ink(
    text: str,
    layout: Layout,
    look: Look,
    shape: tuple[int, int],
    px_per_mm: float,
    rng: np.random.Generator | None,
) -> NDArray[np.uint8]:
    """The characters and the dot as one mask of `shape`."""
    glyphs = look.glyphs or bundled()
    mask = np.zeros(shape, np.uint8)
    grow = round(look.embolden_mm * px_per_mm)
    tall = round(layout.character_height * px_per_mm)
    for character, (left, cell) in zip(text, layout.cells, strict=True):
        shape_of = glyphs(character)
        wide = cell
        if character == "1":  # the one character of its own width
            wide = min(cell, layout.character_height * shape_of.shape[1] / shape_of.shape[0])
        drawn = fit(shape_of, round(wide * px_per_mm), tall)
        if grow:
            drawn = cv2.dilate(drawn, np.ones((grow, grow), np.uint8))
        dx, dy = rng.normal(0, look.jitter_mm, 2) if rng is not None and look.jitter_mm else (0.0, 0.0)
        x = int(np.clip(round((left + (cell - wide) / 2 + dx) * px_per_mm), 0, shape[1] - drawn.shape[1]))
        y = int(np.clip(round((layout.top + dy) * px_per_mm), 0, shape[0] - drawn.shape[0]))
        part = mask[y : y + drawn.shape[0], x : x + drawn.shape[1]]
        np.maximum(part, drawn, out=part)
    if layout.dot:
        x, y, radius = (v * px_per_mm for v in layout.dot)
        cv2.circle(mask, (round(x), round(y)), max(1, round(radius)), 255, -1, cv2.LINE_AA)
    return mask
