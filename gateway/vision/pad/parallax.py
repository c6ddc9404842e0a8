"""Is it solid, asked of the pixels: which explains them better, a sheet that may bend, or the same and a nose?

Landmarks come from a net that has only ever seen faces, and it sees a little relief in a flat picture too. Pixels do
not. One frame is the reference. For each other frame two warps are fitted to the brightness of the rigid part of the
face (no lids, no mouth): every point moves by a polynomial of degree 2 in its place (what a tilted or a rolled
picture does, to second order), and in the other warp also by a face's relief times two numbers, the turn to the side
and up or down. The second has two parameters more and always fits a little better; the question is how far the two
numbers go (`amplitude`) and how much better the fit gets (`gain`). Gauss-Newton with the reference's gradient
(Lucas and Kanade 1981; Baker and Matthews 2004), robust weights, coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.pad.look import (
    LEFT_CORNER,
    RIGHT_CORNER,
    Cue,
    Finding,
    Look,
    Points,
    context_box,
    cue,
    levelled,
    silent,
)
from gateway.vision.pad.relief import face_relief
from gateway.vision.pad.settings import PadSettings

NAME = "parallax"
LEAST_LOOKS = 6
# Every frame is brought to this: eyes level, their outer corners EYES_PX apart, EYES_ROW from the top.
CANVAS_PX, EYES_PX, EYES_ROW = 128, 56.0, 46.0
LEAST_EYES_PX = 24.0  # below this a face's relief moves by less than a pixel in a small turn
BLURS_PX = (2.0, 1.0)  # coarse to fine
STEPS, SETTLED = 12, 1e-4  # of Gauss-Newton at each level; a change of the numbers below SETTLED ends it
ROBUST = 0.7  # differences beyond this many local standard deviations count less
MOST_ERROR = 0.5  # what one pixel adds to the squared error at most: closed eyes and shine are no evidence
LEAST_PIXELS = 400
NOSE_TIP, MOST_ASIDE = 1, 0.4  # of the nose from its usual place, in eye distances: some 35 degrees
FREE = 6  # terms of the polynomial; one more for the relief
# What moves by itself: rings of the eyes and of the mouth (MediaPipe's numbers), widened by these factors.
MOVING = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7), (1.15, 1.6)),
    ((263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249), (1.15, 1.6)),
    ((61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146), (1.1, 1.2)),
)  # fmt: skip

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parallax:
    """amplitude: rms over the frames of the relief's movement, as the sine of a turn. gain: share of the squared error
    that the relief removes. jitter: of the amplitude from frame to frame. error: mean squared, in local variances."""

    amplitude: float
    gain: float
    jitter: float
    error: float
    stretch: float


@dataclass(frozen=True, slots=True)
class _Reference:
    """x, y: (N,) of the pixels compared. design: (N, 7) pixels each term moves them by. numbers: of the points whose
    depth is known. terms: (P, 6) of the polynomial at those points; with_depth: (P, 7) and of their relief."""

    x: Points
    y: Points
    design: Points
    numbers: NDArray[np.int64]
    terms: Points
    with_depth: Points


@dataclass(frozen=True, slots=True)
class _Level:
    """Frames at one blur; what is compared in the reference; its Jacobian (N, 14) and the inverse normal matrices."""

    frames: list[Grey]
    wanted: Grey
    jacobian: Points
    with_relief: Points
    without: Points


def measure(looks: Sequence[Look]) -> Parallax | None:
    """Of looks with patches; None where too few pixels of the face can be compared."""
    cut = [_canvas(look) for look in looks]
    spots = np.stack([at for _, at in cut])
    number = int(np.argmin(((spots - spots.mean(0)) ** 2).sum((1, 2))))
    reference = _reference(spots[number])
    if reference is None:
        return None
    levels = [_level([grey for grey, _ in cut], reference, number, blur) for blur in BLURS_PX]
    moved = np.zeros((len(looks), 2))
    errors, stretches = np.zeros((len(looks), 2)), np.zeros(len(looks))
    for i in [*range(number + 1, len(looks)), *range(number - 1, -1, -1)]:
        start = np.zeros((FREE + 1, 2))
        shift = (spots[i] - spots[number])[reference.numbers] / EYES_PX
        start[:FREE] = np.linalg.lstsq(reference.terms, shift, rcond=None)[0]
        flat, errors[i, 0] = _fit(start, levels, reference, i, relief=False)
        wide, narrow = np.linalg.svd(np.eye(2) + flat[1:3], compute_uv=False)
        stretches[i] = np.log(wide / max(narrow, 1e-6))
        # From where the neighbour ended, and from what the landmarks say: the pixels decide which, by their error.
        start[FREE] = moved[i - 1 if i > number else i + 1]
        by_mesh = np.linalg.lstsq(reference.with_depth, shift, rcond=None)[0]
        fits = [_fit(begin, levels, reference, i, relief=True) for begin in (start, by_mesh)]
        fits.append((flat, errors[i, 0]))  # where no relief fits better, there was none
        solid, errors[i, 1] = min(fits, key=lambda fit: fit[1])
        moved[i] = solid[FREE]
    about = moved - np.median(moved, 0)
    second = (about[2:] - 2 * about[1:-1] + about[:-2]) / np.sqrt(6)
    sheet, solid_error = errors.sum(0)
    return Parallax(
        float(np.sqrt((about**2).sum(1).mean())),
        float(1 - solid_error / sheet) if sheet > 1e-9 else 0.0,
        float(np.sqrt((second**2).sum(1).mean())),
        float(solid_error / max(1, len(looks) - 1)),
        float(np.percentile(stretches, 90)),
    )


def examine(looks: Sequence[Look], settings: PadSettings, *, asked_to_turn: bool = False) -> Cue:
    """GENUINE where the pixels show a face's relief that moves; ATTACK where the thing turned and they show a sheet."""
    seen = _facing([look for look in looks if look.patch is not None])
    if len(seen) < max(LEAST_LOOKS, len(looks) // 3):
        return silent(NAME)
    result = measure(seen) if _eyes_px(seen) >= LEAST_EYES_PX else None
    if result is None:
        return silent(NAME, eyes_px=_eyes_px(seen))
    least = settings.parallax_asked if asked_to_turn else settings.parallax_least
    figures = {
        "amplitude": result.amplitude, "gain": result.gain, "jitter": result.jitter, "error": result.error,
        "stretch": result.stretch,
    }  # fmt: skip
    score = 0.5 * result.amplitude / least
    clear = result.gain >= settings.parallax_gain
    # Whoever is asked turns fast, and a fast turn looks like jitter; otherwise most of the movement has to be smooth.
    steady = asked_to_turn or result.amplitude >= settings.parallax_over_jitter * result.jitter
    if result.amplitude >= least and clear and steady:
        return cue(NAME, Finding.GENUINE, score, **figures)
    turned = result.stretch >= settings.parallax_stretch and result.error < settings.parallax_flat_error
    if turned and result.amplitude < settings.parallax_flat:
        return cue(NAME, Finding.ATTACK, min(score, 0.4), **figures)
    return silent(NAME, **figures)


def _facing(looks: Sequence[Look]) -> Sequence[Look]:
    """Without those that are turned so far that the nose hides a cheek: their pixels cannot be compared."""
    if not looks:
        return looks
    spots = levelled(looks)
    aside = spots[:, NOSE_TIP, 0] / np.maximum(np.abs(spots[:, RIGHT_CORNER, 0] - spots[:, LEFT_CORNER, 0]), 1e-6)
    near = np.abs(aside - np.median(aside)) <= MOST_ASIDE
    return [look for look, kept in zip(looks, near, strict=True) if kept]


def _eyes_px(looks: Sequence[Look]) -> float:
    """Median distance of the eyes' outer corners on the patches."""
    shown = []
    for look in looks:
        if look.patch is not None:
            scale = look.patch.shape[0] / context_box(look.box)[2]
            shown.append(float(np.linalg.norm(look.mesh[RIGHT_CORNER, :2] - look.mesh[LEFT_CORNER, :2])) * scale)
    return float(np.median(shown))


def _canvas(look: Look) -> tuple[Grey, Points]:
    """The face in grey on the common canvas, and its mesh there (468, 2)."""
    if look.patch is None:
        raise ValueError("a look without a patch; leave it out before measuring")
    left, top, side = context_box(look.box)
    spots = (look.mesh[:, :2].astype(np.float64) - [left, top]) * (look.patch.shape[0] / side)
    along = spots[RIGHT_CORNER] - spots[LEFT_CORNER]
    length = max(float(np.linalg.norm(along)), 1.0)
    scale = EYES_PX / length
    cos, sin = along / length * scale
    turn = np.array([[cos, sin], [-sin, cos]])
    shift = np.array([CANVAS_PX / 2, EYES_ROW]) - turn @ (spots[LEFT_CORNER] + spots[RIGHT_CORNER]) / 2
    grey = np.asarray(cv2.cvtColor(look.patch, cv2.COLOR_BGR2GRAY), np.float32)
    if scale < 0.9:  # nothing finer than the canvas's pixels is to alias into it
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.5 / scale), np.float32)
    drawn = cv2.warpAffine(grey, np.column_stack([turn, shift]), (CANVAS_PX, CANVAS_PX), flags=cv2.INTER_LINEAR)
    return np.asarray(drawn, np.float32), spots @ turn.T + shift


def _terms(spots: Points) -> Points:
    x, y = spots.T
    return np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def _reference(spots: Points) -> _Reference | None:
    numbers, depth = face_relief()
    middle = np.array([CANVAS_PX / 2, EYES_ROW])
    mask = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(spots[numbers]).astype(np.int32)), 1)
    for ring, wider in MOVING:
        edge = spots[list(ring)]
        edge = edge.mean(0) + (edge - edge.mean(0)) * wider
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(edge).astype(np.int32)), 0)
    rows, columns = np.nonzero(mask)
    if len(rows) < LEAST_PIXELS:
        return None
    place = (np.column_stack([columns, rows]) - middle) / EYES_PX
    known = (spots[numbers] - middle) / EYES_PX
    terms = _terms(place)
    dense = _thin_plate(known, depth, place)
    dense -= terms @ np.linalg.lstsq(terms, dense, rcond=None)[0]
    design = np.column_stack([terms, dense]) * EYES_PX
    at_points = _terms(known)
    relief = depth - at_points @ np.linalg.lstsq(at_points, depth, rcond=None)[0]
    x, y = columns.astype(np.float64), rows.astype(np.float64)
    return _Reference(x, y, design, numbers, at_points, np.column_stack([at_points, relief]))


def _thin_plate(known: Points, values: Points, wanted: Points) -> Points:
    """A smooth surface through values (P,) at known (P, 2), at wanted (N, 2). Smoothed: points may coincide."""

    def bend(a: Points, b: Points) -> Points:
        square = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.asarray(square * np.log(square + 1e-12))

    count = len(known)
    plane = np.column_stack([np.ones(count), known])
    system = np.block([[bend(known, known) + 1e-2 * np.eye(count), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros(3)]))
    flat = np.column_stack([np.ones(len(wanted)), wanted])
    return np.asarray(bend(wanted, known) @ weights[:count] + flat @ weights[count:])


def _even(grey: Grey, blur_px: float) -> Grey:
    """Brightness about its neighbourhood's mean, in its standard deviations: what shading and exposure leave alone."""
    smooth = cv2.GaussianBlur(grey, (0, 0), blur_px)
    about = smooth - cv2.GaussianBlur(smooth, (0, 0), 7)
    return np.asarray(about / (np.sqrt(cv2.GaussianBlur(about * about, (0, 0), 10)) + 2), np.float32)


def _level(greys: Sequence[Grey], reference: _Reference, number: int, blur_px: float) -> _Level:
    frames = [_even(grey, blur_px) for grey in greys]
    pixels = (reference.y.astype(int), reference.x.astype(int))
    across, down = (cv2.Sobel(frames[number], cv2.CV_32F, dx, 1 - dx, scale=1 / 8)[pixels] for dx in (1, 0))
    jacobian = np.concatenate([reference.design * across[:, None], reference.design * down[:, None]], 1)
    normal = jacobian.T @ jacobian
    normal += np.eye(len(normal)) * 1e-6 * np.trace(normal)
    without = np.zeros_like(normal)
    free = [n for n in range(2 * (FREE + 1)) if n % (FREE + 1) != FREE]
    without[np.ix_(free, free)] = np.linalg.inv(normal[np.ix_(free, free)])
    return _Level(frames, frames[number][pixels], jacobian, np.linalg.inv(normal), without)


def _fit(
    start: Points, levels: Sequence[_Level], reference: _Reference, number: int, *, relief: bool
) -> tuple[Points, float]:
    """The warp's numbers (7, 2) for one frame, and the mean squared error that is left."""
    numbers, error = start.copy(), 0.0
    for level in levels:
        inverse = level.with_relief if relief else level.without
        for _ in range(STEPS):
            different = _difference(numbers, level, reference, number)
            weighted = different / np.maximum(1, np.abs(different) / ROBUST)
            step = (inverse @ (level.jacobian.T @ weighted)).reshape(2, FREE + 1).T
            numbers = numbers - step
            if np.abs(step).max() < SETTLED:
                break
        error = float(np.minimum(_difference(numbers, level, reference, number) ** 2, MOST_ERROR).mean())
    return numbers, error


def _difference(numbers: Points, level: _Level, reference: _Reference, number: int) -> Points:
    shift = reference.design @ numbers
    x, y = (reference.x + shift[:, 0]).astype(np.float32), (reference.y + shift[:, 1]).astype(np.float32)
    return np.asarray(cv2.remap(level.frames[number], x[:, None], y[:, None], cv2.INTER_LINEAR)[:, 0] - level.wanted)
