"""Random scenes for the detector: 320x192 px pictures with every plate's corners. Seeded, rendered, no photograph."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.glyphs import paired
from sim.render.plate import HANZI, LATIN, LAYOUTS, draw_plate
from sim.render.scene import background, car_front, place, project
from training.fonts import Choice
from training.nets import DETECTOR_HEIGHT, DETECTOR_WIDTH
from training.plate_samples import KIND_SHARES, KINDS, clutter, random_look, random_text

DRAWN_W, DRAWN_H = 2 * DETECTOR_WIDTH, 2 * DETECTOR_HEIGHT  # drawn at twice the size, then shrunk as pictures are
MOST_PLATES = 3
Scene = tuple[NDArray[np.uint8], NDArray[np.float32]]  # (192, 320, 3) BGR; (MOST_PLATES, 4, 2) px, NaN where unused


def sample(rng: np.random.Generator, fonts: tuple[Choice, Choice]) -> Scene:
    """One scene: a road or textures behind, cars or bare plates in it, lettering and boxes that are no plates."""
    picture = _behind(rng)
    corners = np.full((MOST_PLATES, 4, 2), np.nan, np.float32)
    for _ in range(int(rng.integers(0, 4))):
        _decoy(picture, rng, fonts)
    wanted = int(rng.choice(4, p=(0.08, 0.72, 0.14, 0.06)))
    taken: list[NDArray[np.float32]] = []
    for i in range(wanted):
        found = _plate(picture, rng, fonts, alone=i == 0)
        if all(np.abs(found.mean(axis=0) - other.mean(axis=0)).max() > np.ptp(other[:, 0]) for other in taken):
            taken.append(found)
        else:  # it hid an earlier one: begin again
            return sample(rng, fonts)
    small = _degrade(picture, rng)
    for i, found in enumerate(taken):
        centre = found.mean(axis=0)
        if 0 < centre[0] < DRAWN_W and 0 < centre[1] < DRAWN_H:
            corners[i] = found / 2
    return small, corners


def _behind(rng: np.random.Generator) -> NDArray[np.uint8]:
    if rng.random() < 0.5:
        whole = background(int(rng.integers(1 << 30)), 960, 540)
        scale = rng.uniform(0.72, 1.0)
        w, h = int(960 * scale), int(540 * scale)
        x, y = int(rng.integers(0, 960 - w + 1)), int(rng.integers(0, 540 - h + 1))
        picture = cv2.resize(whole[y : y + h, x : x + w], (DRAWN_W, DRAWN_H), interpolation=cv2.INTER_AREA)
    else:
        picture = clutter(rng, DRAWN_H, DRAWN_W)
        for _ in range(int(rng.integers(2, 14))):
            a = (int(rng.integers(-50, DRAWN_W)), int(rng.integers(-50, DRAWN_H)))
            b = (a[0] + int(rng.integers(10, 260)), a[1] + int(rng.integers(6, 200)))
            cv2.rectangle(picture, a, b, rng.integers(0, 255, 3).tolist(), -1 if rng.random() < 0.7 else 3)
    if rng.random() < 0.6:  # texture in several octaves: leaves, asphalt, gravel
        total = np.zeros((DRAWN_H, DRAWN_W), np.float32)
        for octave in (2, 4, 8, 16):
            grain = rng.standard_normal((DRAWN_H // octave, DRAWN_W // octave), np.float32)
            total += cv2.resize(grain, (DRAWN_W, DRAWN_H), interpolation=cv2.INTER_LINEAR) * rng.uniform(0, 1)
        noisy = picture.astype(np.float32) + total[..., None] * rng.uniform(4, 28)
        picture = np.clip(noisy, 0, 255).astype(np.uint8)
    return picture


def _decoy(picture: NDArray[np.uint8], rng: np.random.Generator, fonts: tuple[Choice, Choice]) -> None:
    """Lettering on a board, or a plate-coloured board without lettering, in place."""
    w = int(rng.integers(20, 220))
    h = int(w * rng.uniform(0.15, 0.9))
    x, y = int(rng.integers(-w // 2, DRAWN_W)), int(rng.integers(-h // 2, DRAWN_H))
    board = rng.integers(0, 255, 3) if rng.random() < 0.5 else np.array([190, 90, 20]) * rng.uniform(0.5, 1.2)
    cv2.rectangle(picture, (x, y), (x + w, y + h), np.clip(board, 0, 255).tolist(), -1)
    if rng.random() < 0.3:
        return
    ink = rng.integers(0, 255, 3).astype(np.float32)
    glyphs = paired(*(c.sources[rng.integers(len(c.sources))] for c in fonts))
    tall, alphabet = int(rng.uniform(0.25, 0.8) * h) + 4, HANZI if rng.random() < 0.5 else LATIN
    at = x + 4
    for _ in range(int(rng.integers(1, 14))):
        mask = glyphs(alphabet[rng.integers(len(alphabet))])
        mask = cv2.resize(mask, (max(3, int(tall * rng.uniform(0.5, 1.0))), tall), interpolation=cv2.INTER_AREA)
        top = y + (h - tall) // 2
        x0, y0, x1, y1 = max(at, 0), max(top, 0), min(at + mask.shape[1], DRAWN_W), min(top + tall, DRAWN_H)
        if x1 > x0 and y1 > y0:
            share = mask[y0 - top : y1 - top, x0 - at : x1 - at, None].astype(np.float32) / 255
            part = picture[y0:y1, x0:x1]
            part[:] = (part * (1 - share) + ink * share).astype(np.uint8)
        at += mask.shape[1] + int(rng.integers(1, 8))


def _plate(
    picture: NDArray[np.uint8], rng: np.random.Generator, fonts: tuple[Choice, Choice], *, alone: bool
) -> NDArray[np.float32]:
    """Put a car, or a plate on nothing, into the picture; return its corners at the drawn size."""
    kind = KINDS[int(rng.choice(len(KINDS), p=KIND_SHARES))]
    text, look = random_text(kind, rng), random_look(kind, fonts, rng)
    wide = 2 * np.exp(rng.uniform(np.log(13), np.log(165 if alone else 60)))  # px at the drawn size
    plate = draw_plate(text, kind, px_per_mm=0.6, look=look, rng=rng)
    margin = 0.0 if alone else wide / 2
    at = (rng.uniform(margin, DRAWN_W - margin), rng.uniform(DRAWN_H * 0.08, DRAWN_H * 0.95))
    angles = (rng.normal(0, 0.28), rng.normal(0.12, 0.16), rng.normal(0, 0.07))
    if rng.random() < 0.6:
        front = car_front(text, kind, rng, plate)
        found = place(picture, front, project(front, wide, at, angles))
        gain = rng.uniform(0.6, 1.25)
        picture[:] = np.clip(picture.astype(np.float32) * gain, 0, 255).astype(np.uint8)
        return found
    layout = LAYOUTS[kind]
    height = wide * layout.height / layout.width
    quad = np.float32([[-wide, -height], [wide, -height], [wide, height], [-wide, height]]) / 2
    cos, sin = np.cos(angles[2]), np.sin(angles[2])
    quad = (quad * [np.cos(angles[0]), np.cos(angles[1])]) @ np.array([[cos, sin], [-sin, cos]])
    quad[:, 1] += quad[:, 0] * rng.normal(0, 0.12)
    quad = np.float32(quad + at + rng.normal(0, 0.012, (4, 2)) * wide)
    size = (plate.shape[1], plate.shape[0])
    if wide < 0.8 * size[0]:
        plate = cv2.GaussianBlur(plate, (0, 0), 0.45 * size[0] / wide)
    flat = np.float32([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]])
    if rng.random() < 0.6:  # a bumper or a holder around it
        around = np.int32(
            (quad - quad.mean(axis=0)) * [rng.uniform(1.02, 1.8), rng.uniform(1.05, 2.5)] + quad.mean(axis=0)
        )
        cv2.fillPoly(picture, [around], rng.integers(0, 255, 3).tolist(), cv2.LINE_AA)
    matrix = cv2.getPerspectiveTransform(flat, quad)
    lit = np.clip(plate.astype(np.float32) * rng.uniform(0.45, 1.2), 0, 255).astype(np.uint8)
    cv2.warpPerspective(
        lit, matrix, (DRAWN_W, DRAWN_H), dst=picture, borderMode=cv2.BORDER_TRANSPARENT, flags=cv2.INTER_LINEAR
    )
    return quad


def _degrade(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur, noise, letterbox and compression, then half the size."""
    if rng.random() < 0.35:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 2.2))
    elif rng.random() < 0.2:
        picture = cv2.blur(picture, (int(rng.integers(2, 8)), 1))
    small = cv2.resize(picture, (DETECTOR_WIDTH, DETECTOR_HEIGHT), interpolation=cv2.INTER_AREA)
    f = small.astype(np.float32) * rng.uniform(0.4, 1.25) * (1 + rng.normal(0, 0.07, 3)) + rng.normal(0, 12)
    if rng.random() < 0.2:
        f = f * rng.uniform(0.4, 0.9) + rng.uniform(0, 90)
    f += rng.standard_normal(f.shape, np.float32) * rng.uniform(0, 9)
    out = np.clip(f, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        out = cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])[1], 1)
    return out
