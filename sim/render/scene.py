"""What a camera at a gate sees: a road, and cars that drive up to it. Everything follows from seeds.

A car's front is flat: it is drawn once, in centimetres, and each frame puts it into the picture by a perspective that
comes from distance and angles, as a camera beside and above the lane would. That keeps the plate's corners exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.plate import LAYOUTS, PlateKind, draw_plate

Picture = NDArray[np.uint8]  # HxWx3, BGR
Corners = NDArray[np.float32]  # (4, 2): left top, right top, right bottom, left bottom, in pixels

PX_PER_CM = 5.0  # of a car's front; a plate is then 220 px wide, more than it ever gets in a frame
CAR_CM = (190, 150)  # width, height of the drawn front
SLACK = 64  # pixels by which a sheet of noise is larger than a picture


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and where the plate is in it."""

    image: Picture
    corners: Corners


@dataclass(frozen=True, slots=True)
class Front:
    """A car's front, ready to be put into pictures."""

    image: Picture
    alpha: NDArray[np.uint8]
    corners: Corners  # of the plate, in the front's own pixels


@lru_cache(maxsize=8)
def place_background(seed: int, width: int, height: int) -> Picture:
    """`background`, drawn once; not to be written to."""
    picture = background(seed, width, height)
    picture.flags.writeable = False
    return picture


def background(seed: int, width: int = 960, height: int = 540) -> Picture:
    """The camera's fixed view: sky or wall, buildings, hedge, lane, kerb. Same seed, same picture."""
    rng = np.random.default_rng([seed, 1])
    horizon = int(height * rng.uniform(0.28, 0.42))
    top, low = rng.uniform(120, 235) + rng.normal(0, 14, 3), rng.uniform(150, 240) + rng.normal(0, 10, 3)
    share = np.linspace(0, 1, horizon)[:, None, None]
    image = np.empty((height, width, 3), np.float32)
    image[:horizon] = top * (1 - share) + low * share
    image[horizon:] = rng.uniform(70, 130) + np.linspace(-12, 18, height - horizon)[:, None, None]
    for _ in range(int(rng.integers(3, 7))):  # buildings with windows
        x, w = int(rng.integers(-60, width)), int(rng.integers(60, 260))
        y = int(horizon * rng.uniform(0.05, 0.6))
        wall = rng.uniform(70, 210) + rng.normal(0, 18, 3)
        cv2.rectangle(image, (x, y), (x + w, horizon), wall.tolist(), -1)
        step = int(rng.integers(18, 34))
        for wx in range(x + 8, x + w - step // 2, step):
            for wy in range(y + 8, horizon - step // 2, step):
                shade = (wall * rng.uniform(0.4, 0.8)).tolist()
                cv2.rectangle(image, (wx, wy), (wx + step // 2, wy + step // 2), shade, -1)
    hedge = int(height * rng.uniform(0.03, 0.09))
    green = np.array([45, 95, 50]) * rng.uniform(0.6, 1.3)
    cv2.rectangle(image, (0, horizon - hedge), (width, horizon + hedge // 2), green.tolist(), -1)
    middle = width * rng.uniform(0.42, 0.58)
    for side in (-1, 1):  # kerbs run to the horizon
        foot, far = middle + side * width * 0.62, middle + side * width * 0.09
        line = np.array([[foot, height], [far, horizon], [far + side * 6, horizon], [foot + side * 60, height]])
        cv2.fillPoly(image, [line.astype(np.int32)], (185, 190, 190), cv2.LINE_AA)
    grain = rng.normal(0, 7, (height // 3, width // 3, 1)).astype(np.float32)
    image += cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def car_front(text: str, kind: PlateKind, rng: np.random.Generator, plate: Picture | None = None) -> Front:
    """Draw a car's front with its plate. `plate` replaces the drawn plate (training wants many looks)."""
    width, height = (int(v * PX_PER_CM) for v in CAR_CM)
    image, alpha = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.uint8)
    paint = rng.choice(np.array([[235, 235, 235], [40, 40, 42], [150, 150, 155], [40, 45, 150], [130, 70, 40]]))
    paint = np.clip(paint * rng.uniform(0.8, 1.1) + rng.normal(0, 8, 3), 0, 255)

    def area(points: list[tuple[float, float]], colour: NDArray[np.float64] | tuple[float, float, float]) -> None:
        shape = np.round(np.array(points) * (width, height)).astype(np.int32)
        cv2.fillPoly(image, [shape], tuple(float(c) for c in colour), cv2.LINE_AA)
        cv2.fillPoly(alpha, [shape], 255, cv2.LINE_AA)

    dark, glass = np.array([28.0, 28.0, 30.0]), rng.uniform(40, 110) + rng.normal(0, 8, 3)
    for x in (0.05, 0.80):  # tyres
        area([(x, 0.84), (x + 0.15, 0.84), (x + 0.15, 1.0), (x, 1.0)], dark)
    area([(0.20, 0.02), (0.80, 0.02), (0.93, 0.42), (0.07, 0.42)], paint * 0.9)
    area([(0.23, 0.05), (0.77, 0.05), (0.88, 0.38), (0.12, 0.38)], glass)
    area([(0.05, 0.42), (0.95, 0.42), (0.99, 0.58), (0.99, 0.92), (0.01, 0.92), (0.01, 0.58)], paint)
    area([(0.08, 0.40), (0.92, 0.40), (0.97, 0.50), (0.03, 0.50)], np.clip(paint * 1.08, 0, 255))
    lamp = rng.uniform(170, 250, 3)
    for a, b in ((0.03, 0.22), (0.97, 0.78)):
        area([(a, 0.53), (b, 0.56), (b, 0.63), (a, 0.64)], lamp)
    top, low = rng.uniform(0.54, 0.58), rng.uniform(0.64, 0.67)
    area([(0.25, top), (0.75, top), (0.72, low), (0.28, low)], dark)
    for y in np.linspace(top + 0.01, low - 0.01, int(rng.integers(3, 6))):
        a, b = (int(0.27 * width), int(y * height)), (int(0.73 * width), int(y * height))
        cv2.line(image, a, b, (120.0, 120.0, 125.0), 2, cv2.LINE_AA)
    area([(0.10, 0.83), (0.90, 0.83), (0.86, 0.91), (0.14, 0.91)], dark)

    drawn = draw_plate(text, kind, px_per_mm=PX_PER_CM / 10) if plate is None else plate
    layout = LAYOUTS[kind]
    w, h = layout.width / 10 * PX_PER_CM, layout.height / 10 * PX_PER_CM
    x, y = (width - w) / 2 + rng.normal(0, 2) * PX_PER_CM, height * rng.uniform(0.69, 0.74)
    x, y, w, h = round(x), round(y), round(w), round(h)
    holder = round(rng.uniform(0, 1.2) * PX_PER_CM)
    if holder:
        cv2.rectangle(image, (x - holder, y - holder), (x + w + holder, y + h + holder), (35.0, 35.0, 35.0), -1)
    image[y : y + h, x : x + w] = cv2.resize(drawn, (w, h), interpolation=cv2.INTER_AREA)
    corners = np.float32([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
    return Front(np.clip(image, 0, 255).astype(np.uint8), alpha, corners)


def project(front: Front, plate_px: float, at: tuple[float, float], angles: tuple[float, float, float]) -> np.ndarray:
    """The 3x3 homography from a front's pixels to the picture.

    The plate's centre lands on `at` and the plate is about `plate_px` wide there; `angles` are yaw, pitch and roll of
    the front as the camera sees it, in radians.
    """
    height, width = front.alpha.shape
    yaw, pitch, roll = angles
    centre = front.corners.mean(axis=0)
    flat = np.float64([[0, 0], [width, 0], [width, height], [0, height]]) - centre
    solid = np.column_stack([flat, np.zeros(4)])
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    seen = solid @ turn.T
    scale = plate_px / (front.corners[1, 0] - front.corners[0, 0])
    distance = 6.0 * width  # in the front's pixels: about six car widths, as a gate camera's lens sees it
    points = seen[:, :2] * (scale * distance / (distance + seen[:, 2:])) + at
    return cv2.getPerspectiveTransform(np.float32(flat + centre), np.float32(points))


def place(picture: Picture, front: Front, homography: np.ndarray) -> Corners:
    """Put the front into the picture, in place, with a shadow under it; return the plate's corners there."""
    height, width = picture.shape[:2]
    high, wide = front.alpha.shape
    shrink = float(np.sqrt(abs(np.linalg.det(homography[:2, :2]))))
    marks = np.float32([[0, 0], [wide, 0], [wide, high], [0, high], [0.5 * wide, 0.97 * high]])
    seen = cv2.perspectiveTransform(marks[None], homography)[0]
    foot, axes = seen[4], (int(0.52 * wide * shrink), int(0.06 * high * shrink) + 1)
    low = np.floor(np.minimum(seen.min(axis=0), foot - axes)).astype(int) - 1
    far = np.ceil(np.maximum(seen.max(axis=0), foot + axes)).astype(int) + 2
    x0, y0, x1, y1 = *np.clip(low, 0, (width, height)), *np.clip(far, 0, (width, height))
    corners = cv2.perspectiveTransform(front.corners[None], homography)[0].astype(np.float32)
    if x1 <= x0 or y1 <= y0:  # out of the picture
        return corners
    part, size = picture[y0:y1, x0:x1], (int(x1 - x0), int(y1 - y0))
    moved = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ homography
    image = cv2.GaussianBlur(front.image, (0, 0), 0.45 / shrink) if shrink < 0.7 else front.image  # no aliasing
    warped = cv2.warpPerspective(image, moved, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.cvtColor(cv2.warpPerspective(front.alpha, moved, size, flags=cv2.INTER_LINEAR), cv2.COLOR_GRAY2BGR)
    light = np.full((size[1], size[0], 3), 255, np.uint8)
    cv2.ellipse(light, (int(foot[0]) - int(x0), int(foot[1]) - int(y0)), axes, 0, 0, 360, (105, 105, 105), -1)
    behind = cv2.multiply(cv2.multiply(part, light, scale=1 / 255), 255 - alpha, scale=1 / 255)
    part[:] = cv2.add(behind, cv2.multiply(warped, alpha, scale=1 / 255))
    return corners


class Sensor:
    """A camera's sensor: gain with a soft shoulder, and noise of `noise` grey levels. Everything follows from `rng`."""

    def __init__(self, shape: tuple[int, int], noise: float, rng: np.random.Generator) -> None:
        self._shape, self._rng = shape, rng
        grain = rng.standard_normal((shape[0] + SLACK, shape[1] + SLACK, 3), np.float32)
        self._grain = np.round(grain * noise).astype(np.int16)

    def expose(self, picture: Picture, gain: float) -> Picture:
        """One exposure. The noise is one large sheet looked at from a new place each time, which is cheap."""
        steps = np.arange(256) / 255
        table = np.clip(255 * (1 - np.exp(-1.6 * gain * steps)) / (1 - np.exp(-1.6)), 0, 255).astype(np.uint8)
        x, y = self._rng.integers(0, SLACK, 2)
        grain = self._grain[y : y + self._shape[0], x : x + self._shape[1]]
        return cv2.add(cv2.LUT(picture, table), grain, dtype=cv2.CV_8U)


def approach(
    text: str,
    kind: PlateKind,
    *,
    seed: int,
    frames: int = 24,
    width: int = 960,
    height: int = 540,
    background_seed: int = 0,
    plate_px: tuple[float, float] | None = None,
    leaving: bool = False,
) -> Iterator[Frame]:
    """A car drives up to the camera: its plate grows from about 60 to about 180 px (at 960 wide), or as `plate_px`
    says; `leaving`: it drives away instead, backwards, as far as the picture tells.

    `seed` fixes car, path, light and noise; `background_seed` is the camera's place. Yields exactly `frames` frames.
    Raises ValueError, in one sentence, for a text that does not fit on a plate of `kind`.
    """
    rng = np.random.default_rng([seed, 2])
    front = car_front(text, kind, rng)
    behind = place_background(background_seed, width, height)
    unit = width / 960
    start, end = 60 * unit * rng.uniform(0.95, 1.1), 180 * unit * rng.uniform(0.95, 1.08)
    if plate_px is not None:
        start, end = plate_px
    side, sink = rng.uniform(-0.05, 0.05), rng.uniform(-0.02, 0.04)
    yaw, pitch, roll = rng.normal(0, 0.14), rng.uniform(0.05, 0.24), rng.normal(0, 0.022)
    gain, drift = rng.uniform(0.75, 1.2), rng.normal(0, 0.12)
    sensor = Sensor((height, width), rng.uniform(2, 7), rng)
    for i in range(frames):
        t = i / max(1, frames - 1)
        t = 1 - t if leaving else t
        px = 1 / ((1 - t) / start + t / end)  # even speed: size goes with 1 / distance
        at = (width * (0.5 + side * (0.3 + t)), height * (0.50 + sink + 0.20 * t) + rng.normal(0, 0.6))
        turned = (yaw * (1 + 0.5 * t), pitch * (1 + 0.3 * t), roll + rng.normal(0, 0.002))
        picture = behind.copy()
        corners = place(picture, front, project(front, px, at, turned))
        yield Frame(sensor.expose(picture, gain * (1 + drift * t) + rng.normal(0, 0.01)), corners)


def empty_scene(*, seed: int, width: int = 960, height: int = 540, background_seed: int = 0) -> Picture:
    """The same place with nobody there. `seed` fixes light and noise."""
    rng = np.random.default_rng([seed, 3])
    gain = rng.uniform(0.75, 1.2)
    return Sensor((height, width), rng.uniform(2, 7), rng).expose(
        place_background(background_seed, width, height), gain
    )
