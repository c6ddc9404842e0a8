"""Where the shapes of characters come from: font files, as tight masks that a plate stretches into its cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Mask = NDArray[np.uint8]  # HxW, 0 = nothing, 255 = ink, cut to the ink's edges
Glyphs = Callable[[str], Mask]
FONTS = Path(__file__).parent / "fonts"
RASTER_PX = 160  # em size of the masks; plates are drawn smaller than this


@cache
def from_font(path: Path, face: int = 0) -> Glyphs:
    """The characters of one font file. Raises OSError where it cannot be read, ValueError for a blank character."""
    font = ImageFont.truetype(str(path), RASTER_PX, index=face)

    @cache
    def glyph(character: str) -> Mask:
        left, top, right, bottom = font.getbbox(character)
        image = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8), 0)
        ImageDraw.Draw(image).text((4 - left, 4 - top), character, font=font, fill=255)
        return trim(np.asarray(image), f"{path.name} has no shape for {character!r}")

    return glyph


def trim(mask: Mask, otherwise: str) -> Mask:
    """Cut a mask to its ink. Raises ValueError(otherwise) for an empty one."""
    ys, xs = np.where(mask > 24)
    if not len(ys):
        raise ValueError(otherwise)
    return np.ascontiguousarray(mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])


def paired(hanzi: Glyphs, latin: Glyphs) -> Glyphs:
    """Chinese characters from one source, letters and digits from another."""
    return lambda character: latin(character) if character.isascii() else hanzi(character)


@cache
def bundled() -> Glyphs:
    """The two subset fonts that ship in fonts/, so that nothing needs to be installed."""
    return paired(from_font(FONTS / "plate-hanzi.ttf"), from_font(FONTS / "plate-latin.ttf"))


def fit(mask: Mask, width_px: int, height_px: int) -> Mask:
    """Stretch a mask to a cell."""
    return cv2.resize(mask, (max(2, width_px), max(2, height_px)), interpolation=cv2.INTER_AREA)
