"""Many frames of one car to one observation. Pure: frames and times come in, at most one observation a visit goes out.

A visit begins with a legible plate. It ends when no plate was seen for GONE_AFTER_MS, or when another text was read in
CHANGED_FRAMES frames in a row: then the next car's visit begins with those frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.vision.text import Reading

GONE_AFTER_MS = 2000
CHANGED_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a visit came to: the text that most frames agree on, and the best score it had."""

    text: str
    kind: str
    score: float
    frames: int


@dataclass(slots=True)
class _Votes:
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
class Visits:
    """One camera's visits, one after the other."""

    min_score: float
    agreeing_frames: int
    _votes: dict[str, _Votes] = field(default_factory=dict)
    _announced: str | None = None
    _last_seen_ms: int | None = None
    _other: list[Reading] = field(default_factory=list)

    def frame(self, now_ms: int, reading: Reading | None) -> Seen | None:
        """One frame's best plate, None where no plate was found. Returns the visit's observation, once.

        A refused reading or one below `min_score` keeps the visit open and votes for nothing.
        """
        if self._last_seen_ms is not None and now_ms - self._last_seen_ms > GONE_AFTER_MS:
            self._begin()
        if reading is None:
            return None
        self._last_seen_ms = now_ms
        if reading.refused is not None or reading.score < self.min_score:
            return None
        if self._announced is not None:
            if not self._is_next_car(reading):
                return None
            self._begin()
            self._last_seen_ms = now_ms
            earlier, self._other = self._other, []
            for one in earlier[:-1]:
                self._vote(one)
        self._vote(reading)
        return self._decide()

    def _begin(self) -> None:
        self._votes.clear()
        self._announced = self._last_seen_ms = None

    def _is_next_car(self, reading: Reading) -> bool:
        """After the observation: whether this frame completes a run of frames with one other text."""
        if reading.text == self._announced:
            self._other = []
            return False
        if self._other and self._other[-1].text != reading.text:
            self._other = []
        self._other.append(reading)
        return len(self._other) >= CHANGED_FRAMES

    def _vote(self, reading: Reading) -> None:
        self._votes.setdefault(reading.text, _Votes(reading.kind)).add(reading)

    def _decide(self) -> Seen | None:
        text, votes = max(self._votes.items(), key=lambda item: item[1].total)
        others = sum(v.total for t, v in self._votes.items() if t != text)
        if votes.frames < self.agreeing_frames or votes.total <= others:
            return None
        self._announced, self._other = text, []
        return Seen(text, votes.kind, votes.best, votes.frames)
