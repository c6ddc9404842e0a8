"""What a small camera makes of light: blur, noise, exposure, a screen's rolling bands, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.heads.raster import Picture


@dataclass(frozen=True, slots=True)
class Sensor:
    """blur_px: standard deviation of the lens's blur. noise: of a grey pixel, 0..255. jpeg: quality, 0 for none."""

    blur_px: float = 0.7
    noise: float = 2.0
    exposure: float = 1.0
    jpeg: int = 88

    @classmethod
    def by_chance(cls, rng: np.random.Generator) -> Sensor:
        return cls(rng.uniform(0.5, 1.1), rng.uniform(1.0, 5.0), rng.uniform(0.75, 1.15), int(rng.integers(78, 95)))


def take(light: NDArray[np.float32], sensor: Sensor, rng: np.random.Generator) -> Picture:
    """A picture of linear-in-code colours (H, W, 3) 0..255; what is brighter clips."""
    seen = cv2.GaussianBlur(light, (0, 0), sensor.blur_px) * sensor.exposure
    spread = sensor.noise * np.sqrt(0.25 + np.clip(seen, 0, 255) / 170)  # shot noise grows with the root of light
    noisy = seen + rng.standard_normal(seen.shape, np.float32) * spread.astype(np.float32)
    picture = np.clip(noisy, 0, 255).astype(np.uint8)
    if not sensor.jpeg:
        return np.asarray(picture)
    _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def wall(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """A lobby behind: a wall that is brighter on one side, a door frame or two, something on the wall."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    grey = rng.uniform(60, 190) * (1 + rng.uniform(-0.25, 0.25) * x + rng.uniform(-0.2, 0.2) * y)
    image = (grey[..., None] * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    for _ in range(rng.integers(1, 5)):
        left, wide = rng.integers(-20, width), rng.integers(6, 90)
        top, high = (0, height) if rng.random() < 0.6 else (rng.integers(0, height), rng.integers(10, 120))
        image[top : top + high, max(0, left) : max(0, left + wide)] *= rng.uniform(0.4, 1.4)
    texture = rng.normal(0, 4, (height // 4, width // 4)).astype(np.float32)
    return np.asarray(image + cv2.resize(texture, (width, height))[..., None], np.float32)
