"""The head's colours as one picture (texture): skin, eyes, brows, lips, hair, all drawn, of nobody."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.heads.shape import EYE_CORNERS, LOWER_LIDS, STRIP, UPPER_LIDS, canonical

SIDE = 640  # pixels of the texture
# Blue, green, red. From pale to dark; what people's skin, hair and irises look like under neutral light, by eye.
SKINS = ((190, 205, 235), (165, 190, 228), (140, 170, 215), (115, 150, 200), (90, 120, 175), (62, 88, 138))
HAIRS = ((28, 26, 30), (40, 42, 52), (45, 62, 92), (120, 122, 128), (70, 105, 150))
IRISES = ((28, 38, 55), (35, 55, 85), (90, 100, 90), (130, 110, 85))
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
MOUTH_LINE = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
NOSE_SIDES = ((193, 122, 196, 174, 198, 49, 129), (417, 351, 419, 399, 420, 279, 358))
NOSTRILS, CHEEKS = ((2, 98), (2, 327)), (50, 280)

Texture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Colours:
    """What somebody's surface looks like; skin, hair, iris as BGR."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    iris: tuple[int, int, int]
    hairline: float  # share of the texture's height
    stubble: float
    brow_px: int
    seed: int


def colours(rng: np.random.Generator) -> Colours:
    """Colours by chance."""

    def pick(among: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
        blue, green, red = (int(np.clip(v + rng.normal(0, 6), 0, 255)) for v in among[rng.integers(len(among))])
        return blue, green, red

    return Colours(
        pick(SKINS), pick(HAIRS), pick(IRISES), rng.uniform(0.13, 0.2), rng.uniform(0, 0.3) * rng.integers(2),
        int(rng.integers(1, 5)), int(rng.integers(2**31)),
    )  # fmt: skip


def _spots(numbers: tuple[int, ...]) -> NDArray[np.int32]:
    return np.round(canonical().uv[list(numbers)] * SIDE).astype(np.int32)


def draw(of: Colours) -> Texture:
    """The texture with eyes that look straight ahead (SIDE, SIDE, 3)."""
    rng = np.random.default_rng(of.seed)
    image = _skin(of, rng)
    _shadows(image)
    dark = tuple(0.55 * v for v in of.skin)
    lips = (0.62 * of.skin[0], 0.58 * of.skin[1], 0.92 * of.skin[2])
    _blend(image, [_spots(LIPS)], lips, 0.85, 1.5)
    _blend_line(image, _spots(MOUTH_LINE), tuple(0.35 * v for v in of.skin), 3, 0.9)
    for side in NOSE_SIDES:
        _blend_line(image, _spots(side), dark, 9, 0.22, 5)
    for pair in NOSTRILS:
        spot = _spots(pair).mean(0)
        _blend_oval(image, spot, (13, 6), tuple(0.25 * v for v in of.skin), 0.85, 1.5)
    for brow in BROWS:
        _blend(image, [np.asarray(cv2.convexHull(_spots(brow)), np.int32)], of.hair, 0.5 + 0.08 * of.brow_px, 2)
        for _ in range(60):
            top = _spots(brow)[rng.integers(10)] + rng.normal(0, 3, 2)
            _blend_line(image, np.array([top, [top[0] + rng.normal(0, 5), top[1] - 6]], np.int32), of.hair, 1, 0.5, 0.5)
    _hair(image, of, rng)
    drawn = np.clip(image, 0, 255).astype(np.uint8)
    return look(drawn, of, (0.0, 0.0))


def look(texture: Texture, of: Colours, gaze: tuple[float, float]) -> Texture:
    """A copy with the irises at `gaze`: -1..1 of the way to the corner (x) and to the lid (y, down is positive)."""
    image = texture.copy()
    for corners, upper, lower in zip(EYE_CORNERS, UPPER_LIDS, LOWER_LIDS, strict=True):
        ring = _spots((corners[0], *upper, corners[1], *lower[::-1]))
        left, top, width, height = cv2.boundingRect(ring)
        pad = 6
        cut = image[top - pad : top + height + pad, left - pad : left + width + pad]
        ring = (ring - [left - pad, top - pad]).astype(np.int32)
        white = np.full_like(cut, (205, 212, 218))
        centre = np.array([width / 2 + pad + gaze[0] * width * 0.22, height * (0.48 + 0.2 * gaze[1]) + pad])
        radius = width * 0.205
        spot = (round(centre[0] * 8), round(centre[1] * 8))
        for part, colour in ((1.0, tuple(v // 2 for v in of.iris)), (0.88, of.iris), (0.45, (12, 12, 14))):
            cv2.circle(white, spot, round(radius * part * 8), colour, -1, cv2.LINE_AA, 3)
        glint = (round((centre[0] - radius * 0.35) * 8), round((centre[1] - radius * 0.4) * 8))
        cv2.circle(white, glint, round(radius * 0.2 * 8), (245, 245, 245), -1, cv2.LINE_AA, 3)
        inside = np.zeros(cut.shape[:2], np.uint8)
        cv2.fillPoly(inside, [ring], 255, cv2.LINE_AA)
        shade = (inside / 255.0)[..., None]
        cut[:] = (cut * (1 - shade) + white * shade).astype(np.uint8)
        lashes = tuple(int(v * 0.6) for v in of.hair)
        cv2.polylines(cut, [ring[: len(upper) + 2]], False, lashes, 3, cv2.LINE_AA)
        cv2.polylines(cut, [ring[len(upper) + 1 :]], False, tuple(int(v * 0.55) for v in of.skin), 1, cv2.LINE_AA)
    return image


def _skin(of: Colours, rng: np.random.Generator) -> NDArray[np.float32]:
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:] = of.skin
    for cells, strength in ((6, 5.0), (40, 3.0), (160, 3.0)):
        noise = rng.normal(0, strength, (cells, cells)).astype(np.float32)
        image += cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    for cheek in CHEEKS:
        _blend_oval(image, _spots((cheek,))[0], (60, 45), (0.85 * of.skin[0], 0.82 * of.skin[1], of.skin[2]), 0.5, 25)
    if of.stubble:
        chin = _spots((152,))[0]
        _blend_oval(image, chin - [0, 70], (150, 100), of.hair, of.stubble, 30)
    for _ in range(rng.integers(0, 12)):
        _blend_oval(image, rng.uniform(0.25, 0.8, 2) * SIDE, (2, 2), tuple(0.55 * v for v in of.skin), 0.7, 0.8)
    return image


def _shadows(image: NDArray[np.float32]) -> None:
    """What light from above leaves darker: eye sockets, under nose and lip."""
    shade = np.zeros(image.shape[:2], np.float32)
    for corners in EYE_CORNERS:
        spot = _spots(corners).mean(0).astype(int)
        cv2.ellipse(shade, (int(spot[0]), int(spot[1]) - 8), (48, 26), 0, 0, 360, 0.34, -1)
    for number, size, depth in ((2, (34, 10), 0.3), (18, (40, 9), 0.22), (168, (16, 22), 0.12)):
        spot = _spots((number,))[0]
        cv2.ellipse(shade, (int(spot[0]), int(spot[1]) + 6), size, 0, 0, 360, depth, -1)
    image *= 1 - cv2.GaussianBlur(shade, (0, 0), 9)[..., None]


def _hair(image: NDArray[np.float32], of: Colours, rng: np.random.Generator) -> None:
    """Above the hairline, and the strip that the back of the head takes its colour from."""
    across = np.linspace(-1, 1, SIDE)
    wave = cv2.GaussianBlur(rng.normal(0, 0.06, (1, SIDE)).astype(np.float32), (0, 0), 14)[0]
    line = (of.hairline + 0.3 * np.clip(np.abs(across) - 0.55, 0, 1) + wave) * SIDE
    down = np.arange(SIDE)[:, None]
    share = np.clip((line - down) / 14, 0, 1)[..., None]
    strands = cv2.GaussianBlur(rng.normal(0, 60, (SIDE, SIDE)).astype(np.float32), (0, 0), sigmaX=1, sigmaY=9)
    hair = np.asarray(of.hair, float) * (1 + 0.02 * strands[..., None])
    image[:] = image * (1 - share) + hair * share
    strip = int(STRIP * SIDE)
    image[:, :strip] = hair[:, :strip]
    image[:, strip : 2 * strip] = np.asarray(of.skin) * 0.8


def _mix(image: NDArray[np.float32], mask: NDArray[np.float32], colour: object, share: float, blur: float) -> None:
    left, top, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    pad = int(4 * blur) + 1
    part = np.s_[max(0, top - pad) : top + height + pad, max(0, left - pad) : left + width + pad]
    soft = cv2.GaussianBlur(mask[part], (0, 0), blur)[..., None] * share
    image[part] += (np.asarray(colour, np.float32) - image[part]) * soft


def _blend(
    image: NDArray[np.float32], areas: list[NDArray[np.int32]], colour: object, share: float, blur: float
) -> None:
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.fillPoly(mask, areas, 1.0)
    _mix(image, mask, colour, share, blur)


def _blend_line(
    image: NDArray[np.float32], line: NDArray[np.int32], colour: object, width: int, share: float, blur: float = 1.0
) -> None:
    left, top = np.maximum(line.min(0) - 20, 0)
    right, low = line.max(0) + 20
    cut = image[top:low, left:right]
    mask = np.zeros(cut.shape[:2], np.float32)
    cv2.polylines(mask, [line - [left, top]], False, 1.0, width)
    _mix(cut, mask, colour, share, blur)


def _blend_oval(
    image: NDArray[np.float32],
    spot: NDArray[np.float64],
    size: tuple[int, int],
    colour: object,
    share: float,
    blur: float,
) -> None:
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.ellipse(mask, (int(spot[0]), int(spot[1])), size, 0, 0, 360, 1.0, -1)
    _mix(image, mask, colour, share, blur)
