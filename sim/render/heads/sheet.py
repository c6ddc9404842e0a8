"""What carries a picture of a face: paper that is flat, bent or being bent; screens, and what they do to light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.heads.raster import Camera, Lights, Picture
from sim.render.heads.shape import LOWER_LIDS, UPPER_LIDS, Surface

CELLS = 10  # of the grid a sheet is painted with, each way
LIFE_SIZE_CM = 60.0  # distance at which the source was taken: one of its pixels is this / focal length on paper
BEZEL_SHARE = 0.045  # of a screen's width, each side


@dataclass(frozen=True, slots=True)
class Sheet:
    """A carrier: its scale against life size, and the radius it is bent to about an upright axis (infinite: flat)."""

    scale: float
    radius_cm: float = float("inf")
    flex: float = 0.0  # share by which the radius changes
    flex_period_ms: float = 1500.0

    @classmethod
    def by_chance(cls, kind: str, rng: np.random.Generator) -> Sheet:
        scale = rng.uniform(0.85, 1.1)
        if kind in ("print_bent", "mask_eyes"):
            return cls(scale, rng.uniform(9, 25))
        if kind == "print_flexed":
            return cls(scale, rng.uniform(12, 25), rng.uniform(0.15, 0.4), rng.uniform(900, 2500))
        return cls(scale)

    def at(self, now_ms: int) -> Sheet:
        """The sheet as it is bent now."""
        if not self.flex:
            return self
        factor = 1 + self.flex * float(np.sin(2 * np.pi * now_ms / self.flex_period_ms))
        return replace(self, radius_cm=self.radius_cm * factor, flex=0.0)

    def lift(self, spots: NDArray[np.floating], camera: Camera) -> NDArray[np.float64]:
        """Where pixels of the source (N, 2) lie in space (N, 3), in cm, the middle at the origin."""
        cm = self.scale * LIFE_SIZE_CM / camera.focal_px
        across = (spots[:, 0] - camera.width / 2) * cm
        up = -(spots[:, 1] - camera.height / 2) * cm
        if np.isinf(self.radius_cm):
            return np.column_stack([across, up, np.zeros(len(spots))])
        angle = np.clip(across / self.radius_cm, -1.6, 1.6)
        return np.column_stack([self.radius_cm * np.sin(angle), up, self.radius_cm * (np.cos(angle) - 1)])

    def surface(self, camera: Camera) -> Surface:
        """The whole sheet as triangles."""
        steps = np.linspace(0, 1, CELLS + 1)
        uv = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        points = self.lift(uv * [camera.width, camera.height], camera)
        row = np.arange(CELLS)
        a = (row[:, None] * (CELLS + 1) + row[None]).ravel()
        triangles = np.vstack(
            [np.column_stack([a, a + CELLS + 1, a + 1]), np.column_stack([a + 1, a + CELLS + 1, a + CELLS + 2])]
        )
        return Surface(points, uv, triangles.astype(np.int32))


def eye_holes(spots: NDArray[np.floating], camera: Camera) -> NDArray[np.uint8]:
    """(H, W, 3): white where a mask's eyes are cut out of the picture."""
    holes = np.zeros((camera.height, camera.width, 3), np.uint8)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        ring = spots[[*upper, *lower]]
        ring = ring.mean(0) + (ring - ring.mean(0)) * [1.25, 1.5]
        cv2.fillConvexPoly(holes, cv2.convexHull(np.round(ring).astype(np.int32)), (255, 255, 255))
    return holes


@dataclass(frozen=True, slots=True)
class Screen:
    """band, bands_hz: how deep and how often its light pulses past the camera's own rate; moire: what is left of its
    pixel grid in the picture, as a share of brightness; gloss: the share of the door's light it sends back."""

    brightness: float
    bezel: bool
    band: float
    bands_hz: float
    bands: float  # across the picture's height
    moire: float
    moire_px: tuple[float, float]  # of one period, along x and along y
    gloss: float = 0.05

    @classmethod
    def by_chance(cls, rng: np.random.Generator) -> Screen:
        """Assumed, not measured on screens: half show their edge; one in three neither pulses nor shows its grid."""
        clean = rng.random() < 1 / 3
        return cls(
            rng.uniform(0.7, 1.1), bool(rng.random() < 0.5), 0.0 if clean else rng.uniform(0.02, 0.15),
            rng.uniform(0.5, 4.0), rng.uniform(0.7, 4.0), 0.0 if clean else rng.uniform(0.01, 0.08),
            (rng.uniform(2.3, 9.0), rng.uniform(2.3, 9.0)),
        )  # fmt: skip

    def modulated(self, colours: NDArray[np.float32], now_ms: int) -> NDArray[np.float32]:
        """Bands that roll down the picture, and the grid's moire (written in the picture's own pixels)."""
        high, wide = colours.shape[:2]
        rows, columns = np.arange(high, dtype=np.float32), np.arange(wide, dtype=np.float32)
        band = 1 + self.band * np.cos(2 * np.pi * (self.bands * rows / high - self.bands_hz * now_ms / 1000))
        drift = now_ms / 400  # hand shake moves the moire's phase
        across = np.cos(2 * np.pi * columns / self.moire_px[0] + drift)
        down = np.cos(2 * np.pi * rows / self.moire_px[1] - drift)
        grid = 1 + self.moire * (across[None] + down[:, None]) / 2
        return np.asarray(colours * (band[:, None] * grid)[..., None], np.float32)


def bezel_of(picture: Picture, screen: Screen) -> Picture:
    """The screen's picture with its dark edge, where it shows one."""
    if not screen.bezel:
        return picture
    high, wide = picture.shape[:2]
    edge = round(BEZEL_SHARE * wide)
    framed = picture.copy()
    framed[:edge], framed[high - edge :], framed[:, :edge], framed[:, wide - edge :] = 12, 12, 12, 12
    return framed


def lit_by_itself(bright: NDArray[np.float64], lights: Lights, screen: Screen) -> NDArray[np.float64]:
    """(V,) a screen's own light, and the little of the door's that its glass sends back."""
    return np.full(len(bright), screen.brightness + screen.gloss * lights.lamp)
