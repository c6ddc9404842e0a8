"""Rendered plates for measuring: fonts and faults that training never had, one known corner error, every cause noted.

Each plate follows from its number alone. Faults: gamma, rain, a lamp that flickers in a rolling shutter, night noise,
chroma loss, defocus by a disc (training blurs by a Gaussian), a headlight beside the plate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.grammar import refusal
from gateway.vision.quad import rectify
from gateway.vision.two_rows import side_by_side
from sim.render.plate import draw_plate
from training.fonts import Choice
from training.plate_samples import HEIGHT, KINDS, TWO_ROWS, WIDTH, random_look, random_text

SEED = 99
CANVAS = (260, 420)  # height, width of the picture around a plate, px
FAULTS = ("none", "rain", "flicker", "night", "chroma", "headlight")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One plate as the reader gets it, and what was done to it."""

    cut: NDArray[np.uint8]
    text: str
    kind: str
    width_px: float
    tilt_degrees: float
    blur_px: float  # radius of the disc
    light: float  # mean of the picture after gamma, 0..255
    fault: str

    @property
    def in_two_rows(self) -> bool:
        return self.kind in TWO_ROWS

    def classes(self) -> Iterator[tuple[str, str]]:
        """(table, row) of every table this plate counts in."""
        yield "kind", self.kind
        yield "province", self.text[0]
        yield "width", _step(self.width_px, (60, 80, 100, 140, 200), "px")
        yield "tilt", _step(abs(self.tilt_degrees), (0, 5, 10, 15), "degrees")
        yield "blur", _step(self.blur_px, (0, 0.5, 1.0, 1.5), "px")
        yield "light", _step(self.light, (0, 40, 80, 130), "of 255")
        yield "fault", self.fault


def _step(value: float, bounds: tuple[float, ...], unit: str) -> str:
    below = max(b for b in bounds if b <= value or b == bounds[0])
    place = bounds.index(below)
    above = f"{bounds[place + 1]:g}" if place + 1 < len(bounds) else "..."
    return f"{below:g}-{above} {unit}"


def plates(count: int, fonts: tuple[Choice, Choice]) -> Iterator[HeldOut]:
    """`count` plates, kinds in turn."""
    for number in range(count):
        yield _plate(np.random.default_rng([SEED, 7, number]), number, fonts)


def _plate(rng: np.random.Generator, number: int, fonts: tuple[Choice, Choice]) -> HeldOut:
    kind = KINDS[number % len(KINDS)]
    while refusal(text := random_text(kind, rng), kind):
        pass
    look = random_look(kind, fonts, rng)
    plate = draw_plate(text, kind, px_per_mm=0.6, look=look, rng=rng)
    wide, tilt = float(np.exp(rng.uniform(math.log(60), math.log(240)))), float(rng.uniform(-15, 15))
    picture, corners = _photographed(plate, wide, tilt, rng)
    blur = float(rng.uniform(0, 1.6)) if rng.random() < 0.6 else 0.0
    picture = _defocused(picture, blur)
    fault = FAULTS[int(rng.integers(len(FAULTS)))]
    picture = _faulty(picture, fault, rng)
    light = float(picture.mean())
    seen = np.float32(corners + rng.normal(0, 0.01, (4, 2)) * wide)
    if kind in TWO_ROWS:
        cut = side_by_side(rectify(picture, seen, (WIDTH, 2 * HEIGHT)), (WIDTH, HEIGHT))
    else:
        cut = rectify(picture, seen, (WIDTH, HEIGHT))
    return HeldOut(cut, text, kind.value, wide, tilt, blur, light, fault)


def _photographed(
    plate: NDArray[np.uint8], wide: float, tilt: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    high, broad = plate.shape[:2]
    canvas = np.full((*CANVAS, 3), rng.integers(25, 190, 3).tolist(), np.uint8)
    quad = np.float32([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * np.float32([wide, wide * high / broad])
    angle = math.radians(tilt)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    quad = np.float32(quad @ turn + np.array(CANVAS[::-1]) / 2 + rng.normal(0, 0.015, (4, 2)) * wide)
    flat = np.float32([[0, 0], [broad, 0], [broad, high], [0, high]])
    soft = cv2.GaussianBlur(plate, (0, 0), max(0.3, 0.4 * broad / wide))
    matrix = cv2.getPerspectiveTransform(flat, quad)
    cv2.warpPerspective(soft, matrix, CANVAS[::-1], dst=canvas, borderMode=cv2.BORDER_TRANSPARENT)
    return canvas, quad


def _defocused(picture: NDArray[np.uint8], radius_px: float) -> NDArray[np.uint8]:
    if radius_px < 0.3:
        return picture
    side, fine = 2 * math.ceil(radius_px) + 1, 8  # the disc is drawn `fine` times larger, then shrunk
    disc = np.zeros((side * fine, side * fine), np.float32)
    cv2.circle(disc, (side * fine // 2, side * fine // 2), round(radius_px * fine), 1.0, -1)
    kernel = cv2.resize(disc, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def _faulty(picture: NDArray[np.uint8], fault: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    high, wide = picture.shape[:2]
    f = 255 * (picture / 255.0) ** rng.uniform(0.6, 1.7)
    if fault == "rain":
        for _ in range(int(rng.integers(20, 80))):
            x, y = int(rng.integers(wide)), int(rng.integers(high))
            cv2.line(f, (x, y), (x + 2, y + int(rng.integers(6, 16))), (205.0, 205.0, 205.0), 1, cv2.LINE_AA)
    elif fault == "flicker":
        f *= 1 + 0.25 * np.sin(np.arange(high) / rng.uniform(4, 20) + rng.uniform(0, 6))[:, None, None]
    elif fault == "night":
        f = f * 0.35
        f += rng.standard_normal(f.shape) * np.sqrt(np.maximum(f, 1))
    elif fault == "headlight":
        y, x = np.mgrid[0:high, 0:wide]
        at = (wide / 2 + rng.choice([-1, 1]) * rng.uniform(0.35, 0.6) * wide, high / 2)
        f += (190 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (0.12 * wide) ** 2)))[..., None]
    out = np.clip(f, 0, 255).astype(np.uint8)
    if fault == "chroma":  # a poor recorder: colour at a quarter of the resolution
        ycc = cv2.cvtColor(out, cv2.COLOR_BGR2YCrCb)
        small = cv2.resize(ycc[..., 1:], (wide // 4, high // 4), interpolation=cv2.INTER_AREA)
        ycc[..., 1:] = cv2.resize(small, (wide, high), interpolation=cv2.INTER_LINEAR)
        out = cv2.cvtColor(ycc, cv2.COLOR_YCrCb2BGR)
    return out
