"""Is it solid? A picture's landmarks move as a surface's do that has no nose, however it is tilted or bent.

Seen from a little aside, a point of a plane moves by a homography; of paper rolled about an axis, by one that also has
the terms of a curved sheet. To second order both are polynomials of degree 2 in the point's place. What a face does
beyond that is its relief (nose, brow, eye sockets) times the sine of the turn. So: take from each frame's landmarks
the best polynomial of degree 2 over their mean place, project what is left on the relief of a face
(face_relief.json: MediaPipe's canonical face model), and ask how much of it there is and whether it is most of what
is left. Landmarks come from a net that expects a face: on flat pictures it invents a little relief, which is what the
least amplitude is set against (docs/pad.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.vision.pad.look import Cue, Finding, Look, Points, cue, levelled, silent
from gateway.vision.pad.settings import PadSettings

NAME = "relief"
LEAST_LOOKS = 6


@dataclass(frozen=True, slots=True)
class Relief:
    """amplitude: rms over the frames of the turn's sine as the relief shows it, about its mean. share: of the motion
    that no bent sheet explains, what a face's relief does, 0..1. jitter: of the amplitude, from frame to frame.
    residual, noise: rms of that motion and of its frame-to-frame part, in eye distances. stretch: range over the
    frames of how much narrower one direction got than the other; above 0 for anything that turns, flat or not."""

    amplitude: float
    share: float
    jitter: float
    residual: float
    noise: float
    stretch: float


@lru_cache(maxsize=1)
def face_relief() -> tuple[NDArray[np.int64], Points]:
    """Numbers of the points that no expression moves, and their depth in eye distances."""
    read = json.loads(Path(__file__).with_name("face_relief.json").read_text(encoding="utf-8"))
    return np.array(read["points"]), np.array(read["depth"])


def measure(looks: Sequence[Look]) -> Relief:
    """Of at least LEAST_LOOKS looks."""
    numbers, depth = face_relief()
    spots = levelled(looks)[:, numbers]
    mean = spots.mean(0)
    x, y = mean.T
    basis, _ = np.linalg.qr(np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y]))
    prior = depth - basis @ (basis.T @ depth)
    moved = spots - mean
    left = moved - np.einsum("nk,fkc->fnc", basis, np.einsum("nk,fnc->fkc", basis, moved))
    weight = float(prior @ prior)
    along = np.einsum("n,fnc->fc", prior, left) / weight
    total = float((left**2).sum())
    share = float((along**2).sum()) * weight / total if total > 1e-12 else 0.0
    return Relief(
        amplitude=float(np.sqrt((along**2).sum(1).mean())),
        share=share,
        jitter=float(np.sqrt((_second(along) ** 2).sum(1).mean())),
        residual=float(np.sqrt((left**2).mean())),
        noise=float(np.sqrt((_second(left) ** 2).mean())),
        stretch=_stretch(mean, spots),
    )


def _second(values: Points) -> Points:
    """Second differences over the frames, scaled so that white noise keeps its size: smooth motion drops out."""
    return np.asarray((values[2:] - 2 * values[1:-1] + values[:-2]) / np.sqrt(6))


def _stretch(mean: Points, spots: Points) -> float:
    """Range (10th to 90th percentile) of log(singular value ratio) of the frames' affine maps, signed by direction."""
    centred = mean - mean.mean(0)
    maps = np.linalg.pinv(centred) @ (spots - spots.mean(1, keepdims=True))
    ratio = np.log(np.linalg.norm(maps[:, 0], axis=1) / np.linalg.norm(maps[:, 1], axis=1))
    low, high = np.percentile(ratio, [10, 90])
    return float(high - low)


def examine(looks: Sequence[Look], settings: PadSettings, *, asked_to_turn: bool = False) -> Cue:
    """GENUINE where a face's relief moved enough; ATTACK where the thing turned and showed none; otherwise SILENT."""
    if len(looks) < LEAST_LOOKS:
        return silent(NAME)
    seen = measure(looks)
    least = settings.relief_asked if asked_to_turn else settings.relief_least
    figures = {
        "amplitude": seen.amplitude, "share": seen.share, "jitter": seen.jitter,
        "residual": seen.residual, "noise": seen.noise, "stretch": seen.stretch,
    }  # fmt: skip
    score = 0.5 * seen.amplitude / least
    solid = seen.amplitude >= least and seen.share >= settings.relief_share
    if solid and (asked_to_turn or seen.amplitude >= settings.relief_over_jitter * seen.jitter):
        return cue(NAME, Finding.GENUINE, score, **figures)
    if seen.stretch >= settings.flat_stretch and seen.amplitude < settings.flat_most:
        return cue(NAME, Finding.ATTACK, min(score, 0.4), **figures)
    return silent(NAME, **figures)
