"""One plate over many frames: where it is, what was read, and whether it comes or goes. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from gateway.vision import quad as geometry
from gateway.vision.quad import Quad
from gateway.vision.text import Reading

MOST_PLACES = 64  # of the newest frames, for the direction and the next place
GREW = 0.05  # share by which a plate's width changes, over what was seen, before that says anything
SURE = 3.0  # and in standard errors of that change
MOVED = 0.6  # of a plate's width, down or up the picture, where the width says nothing
LEAST_PLACES = 3
STOOD = 0.3  # plate widths of way, or of change in width, below which a track never moved since it began


class Direction(StrEnum):
    """Which way a car goes, as its camera sees it."""

    APPROACHING = "approaching"
    LEAVING = "leaving"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A plate in one frame."""

    reading: Reading
    corners: Quad


@dataclass(slots=True)
class Votes:
    """What the frames of one visit say for one text."""

    kind: str
    frames: int = 0
    total: float = 0.0
    best: float = 0.0

    def add(self, reading: Reading) -> None:
        self.frames += 1
        self.total += reading.score
        if reading.score > self.best:
            self.best, self.kind = reading.score, reading.kind


@dataclass(slots=True)
class Track:
    """One car in front of one camera. `places`: (ms, centre x, centre y, width) in pixels, oldest first."""

    began_ms: int
    places: deque[tuple[int, float, float, float]] = field(default_factory=lambda: deque(maxlen=MOST_PLACES))
    corners: Quad = field(default_factory=lambda: np.zeros((4, 2), np.float32))
    votes: dict[str, Votes] = field(default_factory=dict)
    refused: list[Reading] = field(default_factory=list)
    frames: int = 0
    seen_ms: int = 0
    agreed_ms: int | None = None
    announced: str | None = None
    other: list[Reading] = field(default_factory=list)  # legible, in a row, and not what was announced
    moved: bool = False  # whether it was ever elsewhere, or nearer or farther, than where it began
    _began_at: tuple[float, float, float] | None = None  # centre x, y and width, as in `places`

    @property
    def width(self) -> float:
        """Of the plate, when it was seen last, in pixels."""
        return self.places[-1][3] if self.places else 0.0

    @property
    def leading(self) -> str | None:
        """The text that most speaks for."""
        if self.announced is not None:
            return self.announced
        return max(self.votes, key=lambda text: self.votes[text].total, default=None)

    def see(self, now_ms: int, sighting: Sighting) -> None:
        """It is here now."""
        x, y = sighting.corners.mean(axis=0)
        self.places.append((now_ms, float(x), float(y), geometry.width(sighting.corners)))
        self.corners, self.seen_ms = sighting.corners, now_ms
        self.frames += 1
        x0, y0, width = self._began_at = self._began_at or self.places[-1][1:]
        apart = max(abs(float(x) - x0), abs(float(y) - y0), abs(self.width - width))
        self.moved = self.moved or apart > STOOD * max(width, 1.0)

    def expected(self, now_ms: int) -> Quad:
        """About where it is now: moved on as between the last two frames, at most one width."""
        if len(self.places) < 2:
            return self.corners
        (then, x0, y0, _), (last, x1, y1, width) = self.places[-2], self.places[-1]
        share = (now_ms - last) / max(1, last - then)
        step = np.clip(np.array([x1 - x0, y1 - y0]) * share, -width, width)
        return np.float32(self.corners + step)

    def direction(self) -> Direction:
        """From the plate's width over time; where that is unclear, from its way down or up the picture."""
        if len(self.places) < LEAST_PLACES:
            return Direction.UNKNOWN
        places = np.array(self.places)
        grown, error = _trend(places[:, 0], np.log(np.maximum(places[:, 3], 1.0)))
        if abs(grown) > max(GREW, SURE * error):
            return Direction.APPROACHING if grown > 0 else Direction.LEAVING
        sunk, error = _trend(places[:, 0], places[:, 2] / places[:, 3].mean())
        if abs(sunk) > max(MOVED, SURE * error) and sunk * grown >= 0:
            return Direction.APPROACHING if sunk > 0 else Direction.LEAVING
        return Direction.UNKNOWN


def _trend(times: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The change of a straight line through the values from first to last, and its standard error."""
    span = float(times[-1] - times[0])
    if span <= 0:
        return 0.0, float("inf")
    at = (times - times.mean()) / span
    spread = float((at**2).sum())
    slope = float((at * values).sum()) / spread
    rest = values - values.mean() - slope * at
    return slope, float(np.sqrt((rest**2).sum() / max(1, len(values) - 2) / spread))
