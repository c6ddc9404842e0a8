"""Textured triangles to pixels: perspective, nearest surface, light. No graphics card, numpy and one remap."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.render.heads.shape import Surface

Picture = NDArray[np.uint8]  # HxWx3, BGR
BLOCKS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)  # pixels: triangles are handled with others of about their size


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera at the origin that looks along -z; the picture's middle is the axis."""

    width: int = 360
    height: int = 360
    focal_px: float = 560.0


@dataclass(frozen=True, slots=True)
class Lights:
    """Where light comes from (unit vectors towards it) and how much; a lamp at the door may be on or off."""

    ambient: float = 0.55
    key: float = 0.5
    towards_key: tuple[float, float, float] = (0.3, 0.6, 0.74)
    lamp: float = 0.0
    towards_lamp: tuple[float, float, float] = (-0.35, -0.25, 0.9)


@dataclass(frozen=True, slots=True)
class Layer:
    """What one surface leaves on a picture: colours (H, W, 3) float32 0..255, and where it is (H, W) bool."""

    colours: NDArray[np.float32]
    there: NDArray[np.bool_]


def project(points: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """(N, 3) in cm in the camera's frame (z negative in front of it) to (N, 3): x, y in pixels, distance in cm."""
    distance = -points[:, 2]
    x = camera.width / 2 + camera.focal_px * points[:, 0] / distance
    y = camera.height / 2 - camera.focal_px * points[:, 1] / distance
    return np.column_stack([x, y, distance])


def shading(points: NDArray[np.float64], triangles: NDArray[np.int32], lights: Lights) -> NDArray[np.float64]:
    """(V,) how bright each vertex is, 1 being as the texture is."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    flat = np.cross(b - a, c - a)  # outwards: triangles are wound counter-clockwise seen from outside
    normals = np.zeros_like(points)
    for i in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(triangles[:, i], flat[:, axis], len(points))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    light = lights.ambient * (0.8 + 0.2 * normals[:, 1])
    light = light + lights.key * np.clip(normals @ np.array(lights.towards_key), 0, None)
    return np.asarray(light + lights.lamp * np.clip(normals @ np.array(lights.towards_lamp), 0, None))


def paint(
    surface: Surface, texture: NDArray[np.uint8], camera: Camera, bright: NDArray[np.float64] | None = None
) -> Layer:
    """The surface as the camera sees it. `bright` (V,) multiplies the texture; without it the texture shines itself."""
    seen = project(surface.points, camera)
    light = np.ones(len(seen)) if bright is None else bright
    depth = np.full(camera.height * camera.width, np.inf, np.float32)
    maps = np.zeros((camera.height * camera.width, 3), np.float32)
    corners = seen[surface.triangles]  # (T, 3, 3)
    low = np.floor(corners[..., :2].min(1)).astype(np.int64)
    size = (np.ceil(corners[..., :2].max(1)).astype(np.int64) - low).max(1) + 1
    along, beside = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    faces_us = along[:, 0] * beside[:, 1] < along[:, 1] * beside[:, 0]  # counter-clockwise seen from outside
    on_picture = faces_us & (corners[..., 2].min(1) > 1) & (low < [camera.width, camera.height]).all(1)
    attributes = np.column_stack([surface.uv * [texture.shape[1], texture.shape[0]] - 0.5, light])
    before = 0
    for block in BLOCKS:
        chosen = np.flatnonzero(on_picture & (size > before) & (size <= block))
        before = block
        if len(chosen):
            values = attributes[surface.triangles[chosen]]
            _fill(corners[chosen], low[chosen], block, values, (camera.width, camera.height), depth, maps)
    on = maps.reshape(camera.height, camera.width, 3)
    colours = cv2.remap(texture, on[..., 0], on[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Layer(colours.astype(np.float32) * on[..., 2:], np.isfinite(depth).reshape(camera.height, camera.width))


def _fill(
    corners: NDArray[np.float64],
    low: NDArray[np.int64],
    block: int,
    values: NDArray[np.float64],
    limits: tuple[int, int],
    depth: NDArray[np.float32],
    maps: NDArray[np.float32],
) -> None:
    """Every pixel of these triangles' boxes, tested at once; `depth` and `maps` are flat and written to."""
    first, second = (_edge(corners, low, i, j, k) for i, j, k in ((1, 2, 0), (2, 0, 1)))
    step = np.arange(block, dtype=np.float32)
    a = (first[:, :1] * step)[:, None] + (first[:, 1:2] * step + first[:, 2:])[:, :, None]  # (T, rows, columns)
    b = (second[:, :1] * step)[:, None] + (second[:, 1:2] * step + second[:, 2:])[:, :, None]
    which, row, column = np.nonzero((a >= 0) & (b >= 0) & (a + b <= 1))
    x, y = low[which, 0] + column, low[which, 1] + row
    kept = (x >= 0) & (x < limits[0]) & (y >= 0) & (y < limits[1])
    which, row, column, x, y = which[kept], row[kept], column[kept], x[kept], y[kept]
    shares = np.stack([a[which, row, column], b[which, row, column]], 1)
    weights = np.column_stack([shares, 1 - shares.sum(1)]) / corners[which, :, 2]  # perspective: shares of 1/distance
    inverse = weights.sum(1)
    distance = (1 / inverse).astype(np.float32)
    pixel = y * limits[0] + x
    kept = np.flatnonzero(distance < depth[pixel])
    order = kept[np.argsort(-distance[kept], kind="stable")]  # the nearest is written last and stays
    mixed = (weights[order, :, None] * values[which[order]]).sum(1) / inverse[order, None]
    depth[pixel[order]] = distance[order]
    maps[pixel[order]] = mixed


def _edge(corners: NDArray[np.float64], low: NDArray[np.int64], i: int, j: int, k: int) -> NDArray[np.float32]:
    """(T, 3): share of corner k at (column, row) of the box is c0 * column + c1 * row + c2."""
    p, q, r = (corners[:, n, :2] - low for n in (i, j, k))
    along = q - p
    area = along[:, 0] * (r[:, 1] - p[:, 1]) - along[:, 1] * (r[:, 0] - p[:, 0])
    area = np.where(np.abs(area) < 1e-6, 1e-6, area)
    offset = along[:, 1] * p[:, 0] - along[:, 0] * p[:, 1]
    return (np.column_stack([-along[:, 1], along[:, 0], offset]) / area[:, None]).astype(np.float32)
