"""How a head, or a hand that holds a picture of one, moves before a camera: smooth functions of time, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

BLINK_MS = 260  # of a spontaneous blink, from the first movement of the lid to the last: 100-400 ms in people
BLINKS_PER_S = 0.28  # 17 a minute, at rest
ACTS = ("turn_left", "turn_right", "nod", "blink", "closer")  # left and right are the person's own
ATTENDS_MS, STILL = 350, 0.15  # how fast somebody who is asked for something stops looking round, and what is left
TURN, NOD, CLOSER_CM, SHUT_MS = np.deg2rad(24), np.deg2rad(14), 16.0, 450


@dataclass(frozen=True, slots=True)
class Pose:
    """Angles in radians (yaw positive towards the picture's right), place in cm in the camera's frame, expression."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0
    z: float = -60.0
    closed: float = 0.0
    jaw_cm: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Act:
    """One of ACTS, done from `begins_ms` for `takes_ms`."""

    what: str
    begins_ms: int
    takes_ms: int


def rotation(pose: Pose) -> NDArray[np.float64]:
    """(3, 3): roll, then pitch (positive looks down), then yaw."""
    (cy, cp, cr), (sy, sp, sr) = (f([pose.yaw, pose.pitch, pose.roll]) for f in (np.cos, np.sin))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(turn @ nod @ tilt)


def placed(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """Points of the head's own frame (V, 3) in the camera's frame."""
    return np.asarray(points @ rotation(pose).T + [pose.x, pose.y, pose.z])


def _drift(
    rng: np.random.Generator, times_s: NDArray[np.float64], size: float, slowest_s: float
) -> NDArray[np.float64]:
    """A smooth wandering of about `size` (standard deviation): three sines."""
    waves = [
        rng.normal(0, size / np.sqrt(1.5)) * np.sin(2 * np.pi * times_s / (slowest_s * share) + rng.uniform(0, 6.3))
        for share in (1.0, 0.55, 0.3)
    ]
    return np.asarray(np.sum(waves, axis=0))


def natural(rng: np.random.Generator, times_ms: Sequence[int], turn: float | None = None) -> list[Pose]:
    """Somebody stops before a door and looks round, by `turn` radians to each side; by chance 6-14 degrees."""
    times_s = np.asarray(times_ms) / 1000
    amplitude = np.deg2rad(rng.uniform(6, 14)) * rng.choice([-1, 1]) if turn is None else turn
    yaw = amplitude * np.sin(2 * np.pi * times_s / rng.uniform(2.0, 3.5) + rng.uniform(0, 6.3))
    pitch = np.deg2rad(rng.uniform(-6, 6)) + _drift(rng, times_s, np.deg2rad(1.5), 2.5)
    roll, z = _drift(rng, times_s, np.deg2rad(1.5), 3.0), rng.uniform(-68, -52) + _drift(rng, times_s, 1.0, 3.0)
    x, y = rng.uniform(-3, 3) + _drift(rng, times_s, 0.6, 2.5), rng.uniform(-2, 2) + _drift(rng, times_s, 0.4, 2.5)
    closed = np.zeros(len(times_s))
    at = float(rng.exponential(1 / BLINKS_PER_S))
    while at < times_s[-1]:
        closed = np.maximum(closed, _lid(times_s - at, BLINK_MS / 1000))
        at += 0.6 + float(rng.exponential(1 / BLINKS_PER_S))
    jaw = rng.integers(2) * rng.uniform(0, 0.6) * np.clip(np.sin(2 * np.pi * times_s / rng.uniform(0.5, 1.2)), 0, None)
    gaze = np.cumsum((rng.random((len(times_s), 2)) < 0.15) * rng.normal(0, 0.5, (len(times_s), 2)), 0)
    gaze = np.clip(np.round(gaze), -1, 1)
    rows = np.column_stack([yaw, pitch, roll, x, y, z, closed, jaw]).tolist()
    return [
        Pose(a, b, c, d, e, f, g, h, (float(look[0]), float(look[1])))
        for (a, b, c, d, e, f, g, h), look in zip(rows, gaze, strict=True)
    ]


def _lid(since_s: NDArray[np.float64], takes_s: float) -> NDArray[np.float64]:
    """How closed, 0..1, a time after a blink began: down in the first third, up in the rest."""
    share = since_s / takes_s
    return np.clip(np.minimum(share * 3, (1 - share) * 2), 0, 1)


def obeying(rng: np.random.Generator, times_ms: Sequence[int], acts: Sequence[Act]) -> list[Pose]:
    """Somebody who does what is asked, and otherwise keeps rather still."""
    poses = natural(rng, times_ms, turn=np.deg2rad(rng.uniform(-2, 2)))
    size = rng.uniform(0.85, 1.2)
    return [doing(pose, at_ms, acts, size) for at_ms, pose in zip(times_ms, poses, strict=True)]


def doing(pose: Pose, at_ms: int, acts: Sequence[Act], size: float) -> Pose:
    """A pose at one moment of somebody who does `acts`; `size`: how far they go, 1 being usual."""
    for act in acts:
        share = (at_ms - act.begins_ms) / act.takes_ms
        if not 0 < share < 1:
            continue
        there = float(np.clip(2.2 * np.sin(np.pi * share), 0, 1)) * size
        if act.what in ("turn_left", "turn_right"):
            pose = replace(pose, yaw=pose.yaw + TURN * there * (1 if act.what == "turn_left" else -1))
        elif act.what == "nod":
            pose = replace(pose, pitch=pose.pitch + NOD * size * float(np.sin(2 * np.pi * share)))
        elif act.what == "closer":
            pose = replace(pose, z=pose.z + CLOSER_CM * there)
        elif act.what == "blink":
            shut = np.clip(1.6 - abs(share - 0.5) * act.takes_ms * 2 / SHUT_MS, 0, 1)
            pose = replace(pose, closed=max(pose.closed, float(shut)))
    return pose


def attending(pose: Pose, at_ms: int, acts: Sequence[Act]) -> Pose:
    """Somebody who has been asked for something looks at the door, and round no more."""
    if not acts:
        return pose
    stiller = float(np.clip(1 - (at_ms - acts[0].begins_ms + ATTENDS_MS) / ATTENDS_MS, STILL, 1))
    return replace(pose, yaw=pose.yaw * stiller)


def held(rng: np.random.Generator, times_ms: Sequence[int], tilt: float) -> list[Pose]:
    """A picture in a hand: `tilt` radians of turning it from side to side, hand shake of some millimetres."""
    times_s = np.asarray(times_ms) / 1000
    yaw = tilt * np.sin(2 * np.pi * times_s / rng.uniform(1.8, 3.5) + rng.uniform(0, 6.3))
    pitch = rng.normal(0, 0.1) + tilt * rng.uniform(0, 0.6) * np.sin(2 * np.pi * times_s / rng.uniform(1.8, 3.5))
    shake = [_drift(rng, times_s, 0.25, 1.6) + _drift(rng, times_s, 0.06, 0.25) for _ in range(3)]
    roll = rng.normal(0, 0.04) + _drift(rng, times_s, 0.015, 0.8)
    z = rng.uniform(-66, -46) + shake[2] * 2 + _drift(rng, times_s, 1.0, 3.0)
    rows = np.column_stack([yaw, pitch, roll, rng.uniform(-2, 2) + shake[0], rng.uniform(-2, 2) + shake[1], z])
    return [Pose(*row) for row in rows.tolist()]
