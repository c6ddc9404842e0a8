"""What gives a screen or a sheet away beside its flatness: rolling bands, the grid of its pixels, its edge.

Each of the three can only accuse. A clean screen that fills the picture shows none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.pad.look import Cue, Finding, Look, Points, context_box, cue, silent
from gateway.vision.pad.settings import PadSettings

FLICKER, MOIRE, BEZEL = "flicker", "moire", "bezel"
LEAST_LOOKS = 6
MARGIN = 0.22  # of a patch's width, each side: what is beside the face
BAND_ROWS = 64  # a margin's brightness is compared at this many heights
MOST_BANDS = 8  # across a patch; finer ones are noise or texture
WINDOW_PX = 96  # of the face, for the spectrum
LOWEST = 0.13  # cycles a pixel: below this a face has its own structure
JPEG_BLOCK = 8  # its edges make peaks at multiples of 1/8 that are nobody's pixel grid
LINE_SHARE = 0.3  # of a patch's side: the shortest line that may be an edge
TILT = np.tan(np.deg2rad(18))


def examine(looks: Sequence[Look], settings: PadSettings) -> list[Cue]:
    """All three; SILENT without patches."""
    seen = [look for look in looks if look.patch is not None]
    if len(seen) < LEAST_LOOKS:
        return [silent(name) for name in (FLICKER, MOIRE, BEZEL)]
    return [flicker(seen, settings), moire(seen, settings), bezel(seen, settings)]


def _grey(look: Look) -> NDArray[np.float32]:
    if look.patch is None:
        raise ValueError("a look without a patch; leave it out before testing for a replay")
    return np.asarray(cv2.cvtColor(look.patch, cv2.COLOR_BGR2GRAY), np.float32)


def bands(looks: Sequence[Look]) -> tuple[float, float]:
    """How much bands change over both margins from look to look (rms of the logarithm), and the margins' correlation.

    Margins are compared in the frame's coordinates, where the wall behind a person stands still, and only between
    looks whose patch stands nearly still as well: else other parts of the wall are compared.
    """
    places = [context_box(look.box) for look in looks]
    top, low = max(p[1] for p in places), min(p[1] + p[2] for p in places)
    if low - top < BAND_ROWS / 2:
        return 0.0, 0.0
    heights = np.linspace(top, low, BAND_ROWS)
    sides: list[list[Points]] = [[], []]
    for look, (_, patch_top, side) in zip(looks, places, strict=True):
        grey = np.log(cv2.GaussianBlur(_grey(look), (0, 0), 1.5) + 8)
        edge = max(2, round(MARGIN * grey.shape[1]))
        rows = (heights - patch_top) * grey.shape[0] / side
        for kept, part in zip(sides, (grey[:, :edge], grey[:, -edge:]), strict=True):
            kept.append(np.interp(rows, np.arange(len(part)), np.median(part, axis=1)))
    near = [i for i in range(len(looks) - 1) if _beside(places[i], places[i + 1])]
    if len(near) < LEAST_LOOKS - 1:
        return 0.0, 0.0
    rolled = []
    for kept in sides:
        change = np.diff(np.stack(kept), axis=0)[near]
        height = np.linspace(-1, 1, BAND_ROWS)
        plain = np.column_stack([np.ones(BAND_ROWS), height])
        change = change - (plain @ (np.linalg.pinv(plain) @ change.T)).T  # exposure, and light that comes from one end
        spectrum = np.fft.rfft(change, axis=1)
        spectrum[:, MOST_BANDS + 1 :] = 0
        rolled.append(np.fft.irfft(spectrum, BAND_ROWS, axis=1))
    left, right = (part.ravel() for part in rolled)
    size = float(np.sqrt((left @ left) * (right @ right)))
    together = float(left @ right)
    return float(np.sqrt(max(together, 0.0) / len(left))), together / size if size > 1e-12 else 0.0


def _beside(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether two squares (left, top, side) are nearly the same."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 0.04 * one[2]


def flicker(looks: Sequence[Look], settings: PadSettings) -> Cue:
    """ATTACK where both sides of the face get darker and brighter in rolling bands together."""
    depth, together = bands(looks)
    figures = {"depth": depth, "together": together}
    if depth >= settings.flicker_depth and together >= settings.flicker_together:
        return cue(FLICKER, Finding.ATTACK, 0.0, **figures)
    return silent(FLICKER, **figures)


def peak(looks: Sequence[Look]) -> float:
    """Strongest line in the mean power spectrum of the face over the median at its distance from zero, in dB."""
    total: Points | None = None
    window = np.outer(np.hanning(WINDOW_PX), np.hanning(WINDOW_PX))
    for look in looks:
        grey = _grey(look)
        start = (grey.shape[0] - WINDOW_PX) // 2
        if start < 0:
            return 0.0
        cut = grey[start : start + WINDOW_PX, start : start + WINDOW_PX]
        fine = cut - cv2.GaussianBlur(cut, (0, 0), 3)
        power = np.abs(np.fft.fft2(fine * window)) ** 2
        total = power if total is None else total + power
    if total is None:
        return 0.0
    frequency = np.fft.fftfreq(WINDOW_PX)
    x, y = np.meshgrid(frequency, frequency)
    distance = np.hypot(x, y)
    width = 1.5 / WINDOW_PX
    blocks = np.abs(frequency * JPEG_BLOCK - np.round(frequency * JPEG_BLOCK)) < width * JPEG_BLOCK
    on_axis = np.abs(frequency) < width
    usable = (distance > LOWEST) & (distance < 0.5)
    usable &= ~(
        (blocks[None] & on_axis[:, None]) | (blocks[:, None] & on_axis[None]) | (blocks[None] & blocks[:, None])
    )
    level = 10 * np.log10(total + 1e-9)
    ring = np.round(distance * 40).astype(int)
    found = 0.0
    for number in np.unique(ring[usable]):
        inside = level[usable & (ring == number)]
        found = max(found, float(inside.max() - np.median(inside)))
    return found


def moire(looks: Sequence[Look], settings: PadSettings) -> Cue:
    """ATTACK where the face carries a regular grid."""
    found = peak(looks)
    if found >= settings.moire_least_db:
        return cue(MOIRE, Finding.ATTACK, 0.0, peak_db=found)
    return silent(MOIRE, peak_db=found)


def edges(look: Look) -> tuple[float | None, ...]:
    """Where long straight edges stand beside the face: left x, right x, top y, bottom y in the frame, None for none."""
    left, top, side = context_box(look.box)
    grey = _grey(look).astype(np.uint8)
    scale = side / grey.shape[0]
    lines = cv2.HoughLinesP(
        cv2.Canny(cv2.GaussianBlur(grey, (0, 0), 1.2), 30, 80), 1, np.pi / 180, 30,
        minLineLength=LINE_SHARE * grey.shape[0], maxLineGap=6,
    )  # fmt: skip
    x, y, width, height = look.box
    found: list[float | None] = [None] * 4
    for x1, y1, x2, y2 in np.reshape(lines, (-1, 4)) if lines is not None else ():
        middle_x, middle_y = left + (x1 + x2) / 2 * scale, top + (y1 + y2) / 2 * scale
        if abs(int(x2) - int(x1)) < TILT * abs(int(y2) - int(y1)):
            at = 0 if middle_x < x else 1 if middle_x > x + width else None
            value = middle_x
        elif abs(int(y2) - int(y1)) < TILT * abs(int(x2) - int(x1)):
            at = 2 if middle_y < y - 0.15 * height else 3 if middle_y > y + height else None
            value = middle_y
        else:
            continue
        if at is not None:
            before = found[at]
            nearer = before is None or abs(value - (x + width / 2)) < abs(before - (x + width / 2))
            found[at] = value if at > 1 or nearer else before
    return tuple(found)


def bezel(looks: Sequence[Look], settings: PadSettings) -> Cue:
    """ATTACK where at least three sides of a frame go with the face wherever it goes; a door frame stands still."""
    seen = [edges(look) for look in looks]
    centres = np.array([[look.box[0] + look.box[2] / 2, look.box[1] + look.box[3] / 2] for look in looks])
    size = float(np.median([look.box[2] for look in looks]))
    travelled = float(np.sqrt(centres.var(0).sum())) / size
    attached, shares = 0, []
    for side in range(4):
        at = [(i, row[side]) for i, row in enumerate(seen) if row[side] is not None]
        shares.append(len(at) / len(looks))
        if shares[-1] < settings.bezel_share:
            continue
        numbers, values = np.array([i for i, _ in at]), np.array([v for _, v in at], float)
        face = centres[numbers, side // 2]
        spread = float(np.median(np.abs((values - face) - np.median(values - face))))
        moved = float(np.median(np.abs(face - np.median(face))))
        fixed = float(np.median(np.abs(values - np.median(values))))
        attached += moved > 0.008 * size and spread < 0.5 * moved and fixed > 0.5 * moved
    figures = {"sides": float(attached), "travelled": travelled, "share": float(np.mean(shares))}
    if attached >= settings.bezel_sides:
        return cue(BEZEL, Finding.ATTACK, 0.0, **figures)
    return silent(BEZEL, **figures)
