"""Every real picture that a reader read wrongly, on one sheet, with what was measured about it and what it points to.

The causes are read off numbers: which characters differ, how likely the reader found the right number beside the one it
took, and width, sharpness and slant of the plate. They say what goes with a miss; they prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gateway.aiming.hints import sharpness
from gateway.vision import quad as geometry
from gateway.vision.picture import Picture
from gateway.vision.quad import Quad
from sim.render.glyphs import FONTS

COLUMNS, TILE, EDGE = 3, (580, 272), 16  # tiles in a row, their size and the margin in them, px
SHOWN = (264, 78)  # of the plate on its tile, at most
SOFT = 0.27  # sharpness at which 85 of 100 rendered plates were read, docs/models.md, "Aiming"
SLANTED = 6.0  # degrees
NARROW = 60.0  # px
CLOSE = 0.2  # of the likelihood of what was taken: the right number was a near second
ALIKE = ("0DQ", "1LTI7", "8B3", "2Z7", "5S6", "AR4", "VYU", "MNHW", "CG6", "EF", "4A1L", "KX", "PFR", "UJ0")
REACH = 0.5  # slants that are tried: drop of the plate over its width, in its heights


@dataclass(frozen=True, slots=True)
class Miss:
    """A real picture that somebody read wrongly.

    corners: of the plate, or of what was taken for one; None where nothing was found. score: of what was read;
    label_score: what the same reader gave the right number there.
    """

    picture: Picture
    file: str
    label: str
    read: str
    by: str
    corners: Quad | None
    score: float
    label_score: float


def slant_degrees(cut: NDArray[np.uint8]) -> float:
    """How far the row of characters in a plate falls from left to right, from where its rows of edges are sharpest."""
    grey = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0))
    high, wide = edges.shape

    def contrast(drop: float) -> float:
        matrix = np.float32([[1, 0, 0], [-drop * high / wide, 1, drop * high / 2]])
        straight = cv2.warpAffine(edges, matrix, (wide, high), borderMode=cv2.BORDER_REPLICATE)
        return float((np.diff(straight.sum(axis=1)) ** 2).sum())

    drop = max(np.linspace(-REACH, REACH, 41).tolist(), key=contrast)
    return math.degrees(math.atan(drop * high / wide))


def differences(label: str, read: str) -> list[tuple[int, str, str]]:
    """(place from 1, right, read) where two texts of one length differ."""
    return [(i, a, b) for i, (a, b) in enumerate(zip(label, read, strict=True), 1) if a != b]


def causes(miss: Miss) -> list[str]:
    """What the texts and their likelihoods point to."""
    if not miss.read:
        return ["no plate found" if miss.corners is None else "found, but no number there was likely enough"]
    said = []
    if len(miss.read) != len(miss.label):
        said.append(f"{len(miss.read)} characters for {len(miss.label)}: equal neighbours run together")
    else:
        differ = differences(miss.label, miss.read)
        if any(place == 1 for place, _, _ in differ):
            said.append("the province")
        if _shifted(miss.label, miss.read):
            said.append("a part of the row shifted by one place")
        elif any(place > 1 and any(a in group and b in group for group in ALIKE) for place, a, b in differ):
            said.append("characters that look alike")
    if miss.label_score > CLOSE * miss.score:
        said.append("the right number was a near second")
    return said or ["characters that do not look alike"]


def _shifted(label: str, read: str) -> bool:
    """Whether more of what differs agrees with the neighbour's place, and at least two places in a row."""
    differ = {place - 1 for place, _, _ in differences(label, read)}
    pairs = [{i for i in differ if 0 <= i + by < len(label) and read[i] == label[i + by]} for by in (-1, 1)]
    return any(2 * len(by) >= len(differ) and any(i + 1 in by for i in by) for by in pairs)


def faults(width_px: float, sharp: float, slant: float) -> list[str]:
    """What is wrong with the picture of the plate."""
    said = []
    if sharp < SOFT:
        said.append("soft")
    if abs(slant) > SLANTED:
        said.append("slanted")
    if width_px < NARROW:
        said.append("narrow")
    return said


def write(misses: Sequence[Miss], path: Path) -> None:
    """The sheet as a picture, one tile for each file, with a line for each reader that missed it."""
    ordered = sorted(misses, key=lambda miss: miss.file)
    tiles = [_tile(list(group)) for _, group in groupby(ordered, key=lambda miss: miss.file)]
    tiles += [Image.new("RGB", TILE, "white")] * (-len(tiles) % COLUMNS)
    rows = len(tiles) // COLUMNS
    sheet = Image.new("RGB", (COLUMNS * TILE[0], rows * TILE[1]), "white")
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % COLUMNS * TILE[0], number // COLUMNS * TILE[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _tile(group: list[Miss]) -> Image.Image:
    first = group[0]
    tile = Image.new("RGB", TILE, "white")
    pen = ImageDraw.Draw(tile)
    pen.rectangle((2, 2, TILE[0] - 3, TILE[1] - 3), outline=(200, 200, 200))
    whole = _fitted(first.picture, SHOWN)
    tile.paste(whole, (EDGE, EDGE))
    corners = next((miss.corners for miss in group if miss.corners is not None), None)
    width_px, sharp, slant = 0.0, 0.0, 0.0
    if corners is not None:
        cut = geometry.rectify(first.picture, corners, (128, 32), margin=0.0)
        tile.paste(_fitted(cut, SHOWN), (EDGE * 2 + SHOWN[0], EDGE))
        width_px, sharp, slant = geometry.width(corners), _sharpness(cut), _slant(corners, cut)
    y = EDGE + SHOWN[1] + 8
    _line(pen, (EDGE, y), f"{first.file}   {first.label}", 18)
    if corners is not None:
        measured = f"plate {width_px:.0f} px, sharpness {sharp:.2f}, slant {slant:+.0f} degrees"
        wrong = faults(width_px, sharp, slant)
        _line(pen, (EDGE, y + 24), measured + (f": {', '.join(wrong)}" if wrong else ""), 13)
    y += 46
    for miss in group:
        _line(pen, (EDGE, y), f"{miss.by}: {miss.read or '-'}", 16)
        _line(pen, (EDGE + 210, y + 2), _numbers(miss), 13)
        _line(pen, (EDGE + 16, y + 20), "; ".join(causes(miss)), 12)
        y += 37
    return tile


def _sharpness(cut: NDArray[np.uint8]) -> float:
    return sharpness(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY))


def _slant(corners: Quad, cut: NDArray[np.uint8]) -> float:
    """Of the corners; where the picture itself is the plate, of its row of characters."""
    fall = corners[1] - corners[0]
    by_corners = math.degrees(math.atan2(float(fall[1]), float(fall[0])))
    return by_corners if abs(by_corners) > 0.5 else slant_degrees(cut)


def _numbers(miss: Miss) -> str:
    """The likelihoods, and where the texts differ."""
    if not miss.read:
        return ""
    said = f"{miss.score:.2g} against {miss.label_score:.2g}"
    if len(miss.read) == len(miss.label):
        differ = differences(miss.label, miss.read)
        said += "; " + ", ".join(f"{a} as {b}" for _, a, b in differ[:3]) + (" ..." if len(differ) > 3 else "")
    return said


def _fitted(picture: NDArray[np.uint8], most: tuple[int, int]) -> Image.Image:
    high, wide = picture.shape[:2]
    scale = min(most[0] / wide, most[1] / high)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    return Image.fromarray(cv2.resize(picture, size, interpolation=how)[..., ::-1])


def _line(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int) -> None:
    """Text of which each character is drawn from the font that has it."""
    latin = ImageFont.load_default(size)
    hanzi = ImageFont.truetype(str(FONTS / "plate-hanzi.ttf"), size)
    x = float(at[0])
    for part, plain in _runs(text):
        font = latin if plain else hanzi
        pen.text((x, at[1]), part, font=font, fill=(0, 0, 0), anchor="la")
        x += font.getlength(part)


def _runs(text: str) -> Iterable[tuple[str, bool]]:
    return (("".join(part), plain) for plain, part in groupby(text, key=str.isascii))
