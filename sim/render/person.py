"""What a camera at a door sees: somebody walks up, and stands there. Nobody in particular: a figure without a face.

A figure is drawn in its own picture, in centimetres, for one moment of its walk; each frame puts it where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.scene import Picture, Sensor, place_background

PX_PER_CM = 3.0
FIGURE_CM = (80, 184)  # width, height of the drawn figure, feet at its lower edge
STRIDES = 5.0  # from where somebody comes into view to the door
FAR, NEAR = 0.22, 0.86  # of the picture's height: how tall somebody is at the beginning and at the door
CLOTHES = ((60, 45, 40), (120, 70, 45), (45, 60, 130), (70, 110, 70), (150, 150, 155), (50, 50, 55), (60, 120, 170))
SKIN = ((150, 180, 220), (125, 160, 205), (90, 125, 175))
HAIR = ((30, 28, 30), (45, 50, 60), (120, 120, 120))


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture and where the figure is in it: left, top, right, bottom, in pixels; None where nobody is."""

    image: Picture
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Person:
    """Colours (blue, green, red) and build of a figure; it says nothing about anybody."""

    coat: tuple[int, ...]
    trousers: tuple[int, ...]
    skin: tuple[int, ...]
    hair: tuple[int, ...]
    broad: float
    tall: float


def somebody(rng: np.random.Generator) -> Person:
    """A figure by chance."""
    coat, trousers = rng.choice(len(CLOTHES), 2, replace=False)
    skin, hair = SKIN[rng.integers(len(SKIN))], HAIR[rng.integers(len(HAIR))]
    return Person(CLOTHES[coat], CLOTHES[trousers], skin, hair, rng.uniform(0.88, 1.12), rng.uniform(0.9, 1.0))


def figure(person: Person, stride: float) -> tuple[Picture, NDArray[np.uint8]]:
    """Picture and mask of a figure seen from the front. `stride` 0..1 is the moment of its walk; 0 stands."""
    width, height = (int(v * PX_PER_CM) for v in FIGURE_CM)
    image, alpha = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    middle, swing = FIGURE_CM[0] / 2, float(np.sin(2 * np.pi * stride))

    def shape(points: list[tuple[float, float]], colour: tuple[int, ...]) -> None:
        """A polygon; points in cm from the middle and from the ground up."""
        spots = [((middle + x * person.broad) * PX_PER_CM, height - y * person.tall * PX_PER_CM) for x, y in points]
        area = np.round(np.array(spots)).astype(np.int32)
        cv2.fillPoly(image, [area], colour, cv2.LINE_AA)
        cv2.fillPoly(alpha, [area], 255, cv2.LINE_AA)

    def oval(x: float, y: float, wide: float, high: float, colour: tuple[int, ...]) -> None:
        turn = np.linspace(0, 2 * np.pi, 40)
        shape([(x + wide * float(np.cos(a)), y + high * float(np.sin(a))) for a in turn], colour)

    dark = tuple(c // 2 for c in person.trousers)
    for side in (-1, 1):
        lift = max(0.0, side * swing) * 9  # the foot that is in the air
        shape([(side * 2, 92), (side * 17, 92), (side * 14, 8 + lift), (side * 4, 8 + lift)], person.trousers)
        shape([(side * 3, lift), (side * 17, lift), (side * 15, 9 + lift), (side * 4, 9 + lift)], dark)
    for side in (-1, 1):
        reach = -side * swing * 8  # arms go against the legs
        shape([(side * 18, 150), (side * 25, 146), (side * 29, 90 + reach), (side * 21, 88 + reach)], person.coat)
        oval(side * 25, 85 + reach, 5, 6, person.skin)
    shape([(-22, 152), (22, 152), (20, 84), (-20, 84)], person.coat)
    shape([(-1, 150), (1, 150), (1, 86), (-1, 86)], tuple(c * 3 // 4 for c in person.coat))
    shape([(-6, 160), (6, 160), (8, 150), (-8, 150)], person.skin)
    oval(0, 170, 11, 14, person.hair)
    oval(0, 167, 9.5, 11.5, person.skin)
    return image, alpha


def walk_up(
    *, seed: int, frames: int = 15, width: int = 960, height: int = 540, background_seed: int = 0
) -> Iterator[Seen]:
    """Somebody walks up to the door and grows from FAR to NEAR. Yields exactly `frames`; everything follows from
    `seed` (the figure, its path, light and noise) and `background_seed` (the camera's place)."""
    rng = np.random.default_rng([seed, 4])
    person, behind = somebody(rng), place_background(background_seed, width, height)
    sensor, gain = Sensor((height, width), rng.uniform(2, 6), rng), rng.uniform(0.8, 1.15)
    side = rng.uniform(-0.3, 0.3)
    for i in range(frames):
        t = i / max(1, frames - 1)
        share = 1 / ((1 - t) / FAR + t / NEAR)  # even speed: size goes with 1 / distance
        stride = STRIDES * t if t < 1 else 0.0
        at = (0.5 + side * (1 - t) + 0.04 * np.sin(2 * np.pi * stride) * t, 0.62 + 0.36 * (share - FAR) / (NEAR - FAR))
        picture = behind.copy()
        box = _stand(picture, figure(person, stride), share * height, (at[0] * width, at[1] * height))
        yield Seen(sensor.expose(picture, gain), box)


def nobody(*, seed: int, width: int = 960, height: int = 540, background_seed: int = 0) -> Seen:
    """The same place with nobody there."""
    rng = np.random.default_rng([seed, 5])
    gain = rng.uniform(0.8, 1.15)
    image = Sensor((height, width), rng.uniform(2, 6), rng).expose(
        place_background(background_seed, width, height), gain
    )
    return Seen(image, None)


def _stand(
    picture: Picture, drawn: tuple[Picture, NDArray[np.uint8]], tall: float, foot: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Put a figure so that it is `tall` pixels high and its feet are at `foot`, with a shadow. Returns its box."""
    image, alpha = drawn
    scale = tall / image.shape[0]
    size = (max(2, round(image.shape[1] * scale)), max(2, round(tall)))
    image, alpha = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (image, alpha))
    high, wide = picture.shape[:2]
    x, y = round(foot[0] - size[0] / 2), round(foot[1] - size[1])
    shadow = np.full(picture.shape[:2], 255, np.uint8)
    axes = (max(1, size[0] // 3), max(1, size[0] // 12))
    cv2.ellipse(shadow, (round(foot[0]), round(foot[1])), axes, 0, 0, 360, 110, -1, cv2.LINE_AA)
    picture[:] = cv2.multiply(picture, cv2.cvtColor(shadow, cv2.COLOR_GRAY2BGR), scale=1 / 255)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(wide, x + size[0]), min(high, y + size[1])
    part, share = picture[y0:y1, x0:x1], alpha[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
    part[:] = (part * (1 - share) + image[y0 - y : y1 - y, x0 - x : x1 - x] * share).astype(np.uint8)
    ys, xs = np.nonzero(alpha > 127)
    box = (int(x + xs.min()), int(y + ys.min()), int(x + xs.max() + 1), int(y + ys.max() + 1))
    return max(0, box[0]), max(0, box[1]), min(wide, box[2]), min(high, box[3])
