"""Random pictures of plates as a reader gets them: 128x32 px, labelled. Everything follows from the generator given.

Plates of two rows arrive at the reader with their rows side by side, as gateway.vision.two_rows puts them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.two_rows import side_by_side
from sim.render.glyphs import Glyphs, Mask, paired
from sim.render.plate import DIGITS, LETTERS, LOOKS, MARKS, PROVINCES, Look, PlateKind, draw_plate
from training.fonts import Choice

WIDTH, HEIGHT = 128, 32
CHARACTERS = PROVINCES + DIGITS + LETTERS + MARKS  # class i + 1; class 0 is blank
KINDS = tuple(PlateKind)
_SHARES = {
    PlateKind.BLUE: 0.28,
    PlateKind.GREEN: 0.16,
    PlateKind.GREEN_LARGE: 0.09,
    PlateKind.YELLOW: 0.07,
    PlateKind.YELLOW_TWO_ROW: 0.10,
    PlateKind.POLICE: 0.05,
    PlateKind.EMBASSY: 0.02,
    PlateKind.CONSULATE: 0.08,
    PlateKind.CROSS_BORDER: 0.05,
    PlateKind.LEARNER: 0.05,
    PlateKind.TRAILER: 0.05,
}
KIND_SHARES = tuple(_SHARES[kind] for kind in KINDS)
TWO_ROWS = (PlateKind.YELLOW_TWO_ROW, PlateKind.TRAILER)
NOTHING_SHARE = 0.04  # pictures without a plate: the reader must say that there is nothing
HARD_PROVINCES = "豫豫赣赣新琼陕藏蒙桂沪青"  # of many fine strokes, or easily another: a quarter more of these
RECOMPOSED = 0.6  # share of the plates whose characters have parts in other proportions
_PROVINCE_IS_GIVEN = (PlateKind.EMBASSY, PlateKind.CROSS_BORDER)
ALPHANUMERIC = DIGITS + LETTERS
_ENDS = {PlateKind.POLICE: "警", PlateKind.LEARNER: "学", PlateKind.TRAILER: "挂"}


def random_text(kind: PlateKind, rng: np.random.Generator) -> str:
    """A registration number that may be issued for `kind`; provinces and letters evenly, so that none is rare."""
    head = PROVINCES[rng.integers(31)] + LETTERS[rng.integers(24)]
    if kind is PlateKind.EMBASSY:
        return "使" + _digits(6, rng)
    if kind is PlateKind.CONSULATE:
        return head[0] + _digits(5, rng) + "领"
    if kind is PlateKind.CROSS_BORDER:
        return "粤Z" + _serial(4, rng) + "港澳"[rng.integers(2)]
    if kind in _ENDS:
        return head + _serial(4, rng) + _ENDS[kind]
    if kind is PlateKind.GREEN_LARGE:
        return head + _digits(5, rng) + _energy(rng)
    if kind is not PlateKind.GREEN:
        return head + _serial(5, rng)
    second = ALPHANUMERIC[rng.integers(34)] if rng.random() < 0.4 else DIGITS[rng.integers(10)]
    return head + _energy(rng) + second + _digits(4, rng)


def _digits(count: int, rng: np.random.Generator) -> str:
    return "".join(DIGITS[d] for d in rng.integers(0, 10, count))


def _serial(count: int, rng: np.random.Generator) -> str:
    share = 0.6 if rng.random() < 0.7 else 0.3
    return "".join(
        DIGITS[rng.integers(10)] if rng.random() < share else LETTERS[rng.integers(24)] for _ in range(count)
    )


def _energy(rng: np.random.Generator) -> str:
    return "DF"[rng.integers(2)] if rng.random() < 0.5 else "ABCDEFGHJK"[rng.integers(10)]


def warped(glyphs: Glyphs, rng: np.random.Generator) -> Glyphs:
    """The same characters with strokes bent, thinned or thickened a little: no two typefaces of plates agree."""
    strength, weight = rng.uniform(0, 0.035), int(rng.integers(-3, 5))
    salt = int(rng.integers(1 << 30))

    def glyph(character: str) -> Mask:
        mask = glyphs(character)
        high, wide = mask.shape
        own = np.random.default_rng([salt, ord(character)])
        if weight:
            pen = np.ones((abs(weight) + 1, abs(weight) + 1), np.uint8)
            mask = cv2.dilate(mask, pen) if weight > 0 else cv2.erode(mask, pen)
        field = own.normal(0, strength, (2, 4, 4)).astype(np.float32)
        dx, dy = (cv2.resize(part, (wide, high), interpolation=cv2.INTER_CUBIC) for part in field)
        x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
        return cv2.remap(mask, x + dx * wide, y + dy * high, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    return glyph


def recomposed(glyphs: Glyphs, other: Glyphs, rng: np.random.Generator) -> Glyphs:
    """The same characters with their parts in other proportions, some provinces half from `other`.

    In this, more than in the stroke, typefaces differ. Only training draws it: plates to measure with have none of it.
    """
    salt = int(rng.integers(1 << 30))

    def glyph(character: str) -> Mask:
        own = np.random.default_rng([salt, ord(character), 1])
        mask = glyphs(character)
        if not character.isascii() and own.random() < 0.6:
            second = other(character) if own.random() < 0.5 else mask
            mask = _halves(mask, second, own) if own.random() < 0.6 else _halves(mask.T, second.T, own).T
        x, y = np.meshgrid(_stretched(mask.shape[1], own), _stretched(mask.shape[0], own))
        return cv2.remap(np.ascontiguousarray(mask), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    return glyph


def _halves(first: Mask, second: Mask, rng: np.random.Generator) -> Mask:
    """The left of one and the right of the other, each cut where it has least ink, in a share of its own."""
    high, wide = first.shape
    at = _gap(first, 0.28, 0.68)
    then = _gap(second, at / wide - 0.07, at / wide + 0.07)  # the same gap, not the next
    share = float(np.clip((at / wide + then / second.shape[1]) / 2 + rng.normal(0, 0.04), 0.25, 0.75))
    middle = round(share * wide)
    left = cv2.resize(np.ascontiguousarray(first[:, :at]), (middle, high), interpolation=cv2.INTER_AREA)
    right = cv2.resize(np.ascontiguousarray(second[:, then:]), (wide - middle, high), interpolation=cv2.INTER_AREA)
    return np.hstack([left, right])


def _gap(mask: Mask, low: float, high: float) -> int:
    """The column of least ink between two shares of the width."""
    ink = cv2.blur(mask.mean(axis=0, keepdims=True).astype(np.float32), (5, 1))[0]
    start = round(low * len(ink))
    return start + int(ink[start : round(high * len(ink)) + 1].argmin())


def _stretched(length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """0..length-1, monotone, with some parts wider and others narrower; the ends stay."""
    share = np.linspace(0, 1, length, dtype=np.float32)
    for waves in (1, 2, 3):
        share = share + np.float32(rng.normal(0, 0.05 / waves**1.5)) * np.sin(np.pi * waves * share)
    return np.maximum.accumulate(np.clip(share, 0, 1)) * np.float32(length - 1)


def random_look(kind: PlateKind, fonts: tuple[Choice, Choice], rng: np.random.Generator) -> Look:
    """Fonts and colours within what plates look like after years outdoors."""
    hanzi, latin = (c.sources[rng.choice(len(c.sources), p=c.shares)] for c in fonts)
    base = LOOKS[kind]
    shift, gain = rng.normal(0, 14, 3), rng.uniform(0.75, 1.15)

    def worn(colour: tuple[float, float, float]) -> tuple[float, float, float]:
        return tuple(np.clip(np.array(colour) * gain + shift, 0, 255).tolist())  # type: ignore[return-value]

    top, bottom = worn(base.top), worn(base.bottom)
    if kind is PlateKind.GREEN and rng.random() < 0.2:
        top = bottom
    glyphs = paired(hanzi, latin)
    bolt = tuple(rng.uniform(50, 235, 3).tolist()) if rng.random() < 0.6 else None
    return Look(
        top=top,
        bottom=bottom,
        ink=worn(base.ink),
        rim=base.rim if rng.random() < 0.75 else None,
        glyphs=warped(glyphs, rng) if rng.random() < 0.6 else glyphs,
        embolden_mm=float(rng.choice([0, 0, 0, 2, 4, 6])),
        jitter_mm=rng.uniform(0, 1.5),
        bolt=bolt,
        left=worn(base.left) if base.left else None,
        accents=tuple((character, worn(colour)) for character, colour in base.accents),
    )


def sample(
    rng: np.random.Generator, fonts: tuple[Choice, Choice], hard: float = 1.0, *, recompose: float = RECOMPOSED
) -> tuple[NDArray[np.uint8], str, int]:
    """One picture: (32x128x3 uint8 BGR, text or "" for no plate, index into KINDS or -1). `hard` 0..1 scales faults."""
    if rng.random() < NOTHING_SHARE:
        return degrade(clutter(rng, HEIGHT, WIDTH), rng, hard, WIDTH), "", -1
    which = int(rng.choice(len(KINDS), p=KIND_SHARES))
    kind = KINDS[which]
    text = random_text(kind, rng)
    if kind not in _PROVINCE_IS_GIVEN and rng.random() < 0.25:
        text = HARD_PROVINCES[rng.integers(len(HARD_PROVINCES))] + text[1:]
    look = random_look(kind, fonts, rng)
    if rng.random() < recompose:
        hanzi = fonts[0].sources[rng.choice(len(fonts[0].sources), p=fonts[0].shares)]
        look = replace(look, glyphs=recomposed(look.glyphs, hanzi, rng))
    seen_px = int(np.exp(rng.uniform(np.log(46 if hard > 0.7 else 80), np.log(260))))  # width in the camera's picture
    plate = draw_plate(text, kind, px_per_mm=0.5 if seen_px < 200 else 0.65, look=look, rng=rng)
    if rng.random() < 0.15 * hard:
        dirt(plate, rng)
    seen = view(plate, rng, hard, seen_px)
    return degrade(seen, rng, hard, seen_px, two_rows=kind in TWO_ROWS), text, which


def clutter(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A background with soft and hard edges."""
    cells = rng.integers(0, 255, (int(rng.integers(1, 6)), int(rng.integers(1, 8)), 3)).astype(np.uint8)
    cells = (cells * rng.uniform(0.1, 1) + rng.uniform(0, 120)).clip(0, 255).astype(np.uint8)
    how = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    image = cv2.resize(cells, (width, height), interpolation=how)
    for _ in range(int(rng.integers(0, 4))):
        a, b = rng.integers(0, width, 2), rng.integers(0, height, 2)
        line = (int(a[0]), int(b[0])), (int(a[1]), int(b[1]))
        cv2.line(image, *line, rng.integers(0, 255, 3).tolist(), int(rng.integers(1, 5)))
    return image


def dirt(plate: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Mud and scratches, in place."""
    height, width = plate.shape[:2]
    for _ in range(int(rng.integers(1, 6))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        size = (int(rng.integers(2, 16)), int(rng.integers(2, 9)))
        cv2.ellipse(plate, at, size, float(rng.uniform(0, 180)), 0, 360, rng.integers(40, 150, 3).tolist(), -1)


def view(plate: NDArray[np.uint8], rng: np.random.Generator, hard: float, seen_px: int) -> NDArray[np.uint8]:
    """The plate as cut out of a picture: rectified by imperfect corners, or an upright box around a tilted plate."""
    height, width = plate.shape[:2]
    box = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    out_w, out_h = seen_px, max(11, round(seen_px * height / width * 0.8))
    if rng.random() < 0.5 or height * 2.6 > width:  # rectified: corners are off by a few per cent of the plate
        grow = rng.uniform(0.0, 0.1)  # the pipeline leaves a margin of 7 % (docs/models.md, "Margin")
        target = np.float32([[grow, grow], [1 - grow, grow], [1 - grow, 1 - grow], [grow, 1 - grow]])
        target += rng.normal(0, 1, (4, 2)) * hard * np.array([0.014, 0.05])
    else:  # upright box
        angle = math.radians(hard * rng.normal(0, 3 if rng.random() < 0.6 else 8))
        turned = (box - box.mean(axis=0)) * [rng.uniform(0.72, 1.08), 1]
        turned[:, 0] += rng.normal(0, 0.15) * hard * turned[:, 1]
        cos, sin = math.cos(angle), math.sin(angle)
        turned = turned @ np.array([[cos, sin], [-sin, cos]]) + rng.normal(0, 2.2 * hard, (4, 2))
        low, high = turned.min(axis=0), turned.max(axis=0)
        loose = rng.uniform(-0.03, 0.08, 4) + (rng.uniform(0, 0.1) if rng.random() < 0.15 else 0)
        low, high = low - loose[:2] * (high - low), high + loose[2:] * (high - low)
        target = (turned - low) / (high - low)
    target = np.float32(target * [out_w, out_h])
    shrink = out_w / width
    if shrink < 0.8:
        plate = cv2.GaussianBlur(plate, (0, 0), 0.45 / shrink)
    behind = clutter(rng, out_h, out_w)
    matrix = cv2.getPerspectiveTransform(box, target)
    return cv2.warpPerspective(
        plate, matrix, (out_w, out_h), dst=behind, borderMode=cv2.BORDER_TRANSPARENT, flags=cv2.INTER_LINEAR
    )


def degrade(
    image: NDArray[np.uint8], rng: np.random.Generator, hard: float, seen_px: int, *, two_rows: bool = False
) -> NDArray[np.uint8]:
    """Light, blur, noise and compression at the camera's resolution, then the reader's size."""
    height, width = image.shape[:2]
    light = np.float32(rng.uniform(1 - 0.65 * hard, 1 + 0.3 * hard)) * np.ones((height, width, 1), np.float32)
    if rng.random() < 0.5:
        light = light * (1 + np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * rng.normal(0, 0.25 * hard))
        light = light * (1 + np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * rng.normal(0, 0.2 * hard))
    if rng.random() < 0.3 * hard:  # a shadow's edge
        cut, slope = rng.uniform(0, width), rng.normal(0, 1)
        rows = np.arange(height, dtype=np.float32)[:, None]
        light = light * np.where(np.arange(width) > cut + slope * rows, rng.uniform(0.35, 1), 1.0)[..., None]
    f = image.astype(np.float32) * light * (1 + rng.normal(0, 0.1 * hard, 3)) + rng.normal(0, 10 * hard)
    if rng.random() < 0.3 * hard:  # haze, or glare
        f = f * rng.uniform(0.35, 0.9) + rng.uniform(0, 90)
    if rng.random() < 0.2 * hard:
        f = f.mean(axis=2, keepdims=True) * 0.75 + f * 0.25
    f = np.clip(f, 0, 255).astype(np.float32)
    kind_of_blur, unit = rng.random(), seen_px / 128
    if kind_of_blur < 0.4 * hard:
        f = cv2.GaussianBlur(f, (0, 0), max(0.3, rng.uniform(0.3, 1.7) * max(unit, 0.6)))
    elif kind_of_blur < 0.6 * hard:
        n = max(2, round(rng.uniform(2, 6) * unit))
        kernel = np.zeros((n, n), np.float32)
        kernel[n // 2] = 1
        turn = cv2.getRotationMatrix2D((n / 2 - 0.5, n / 2 - 0.5), rng.uniform(0, 180), 1)
        kernel = cv2.warpAffine(kernel, turn, (n, n)) + 1e-6
        f = cv2.filter2D(f, -1, kernel / kernel.sum())
    f += rng.standard_normal(f.shape, np.float32) * rng.uniform(0, 9 * max(hard, 0.3))
    out = np.clip(f, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        out = cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])[1], 1)
    if two_rows:
        return side_by_side(out, (WIDTH, HEIGHT))
    return cv2.resize(out, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA if width > WIDTH else cv2.INTER_LINEAR)
