"""Many frames of one camera to one observation a visit. Pure: frames and times come in, observations go out.

A visit is one car in front of the camera. It begins with a plate that is on no track yet and ends when that was not
seen for GONE_AFTER_MS, or when another text was read in CHANGED_FRAMES frames in a row: then the next car's visit
begins with those frames. An observation goes out once, as soon as enough frames agree and it is clear which way the car
goes, or SETTLE_MS later with an unknown direction. It waits while another plate is nearer: what the arm does concerns
the car at the arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gateway.vision import quad as geometry
from gateway.vision.quad import Quad
from gateway.vision.text import UNREADABLE, Reading
from gateway.vision.track import Direction, Sighting, Track, Votes

GONE_AFTER_MS = 2000
CHANGED_FRAMES = 3
MISREAD_FRAMES = 9
SETTLE_MS = 500
REACH = 2.0  # plate widths that a car moves between two frames, at most; further only with the very same text
NEARER = 1.15  # times as wide: a plate that is clearly nearer to the camera
STANDS_MS = 60_000  # what was never legible for so long is part of the scene and holds nobody up
MOST_TRACKS = 8
MOST_REFUSED = 20  # refused readings of one visit that are looked at for its reason
LEAST_REFUSED_FRAMES = 3  # a visit shorter than this was a flicker, and leaves no trace


@dataclass(frozen=True, slots=True)
class Seen:
    """What a visit came to: the text that most frames agree on, and the best score it had."""

    text: str
    kind: str
    score: float
    frames: int
    direction: Direction = Direction.UNKNOWN


@dataclass(frozen=True, slots=True)
class Unread:
    """A visit that came to nothing. why: a `grammar.Refusal`, or weak (score), torn (the frames do not agree),
    too-few-frames, or behind (another plate was nearer until the car was gone). seen_ms: when it was there last."""

    text: str
    kind: str
    score: float
    frames: int
    why: str
    seen_ms: int = 0


@dataclass(slots=True)
class Visits:
    """One camera's visits. `unread` collects what came to nothing, until it is taken."""

    min_score: float
    agreeing_frames: int
    unread: list[Unread] = field(default_factory=list)
    _tracks: list[Track] = field(default_factory=list)
    _looked_ms: int = 0

    def frame(self, now_ms: int, sightings: Sequence[Sighting]) -> list[Seen]:
        """One frame's plates. Refused readings and those below `min_score` keep a visit open and vote for nothing."""
        self._end(now_ms)
        self._looked_ms = now_ms
        for track, sighting in self._assigned(now_ms, sightings):
            track.see(now_ms, sighting)
            self._count(track, sighting.reading, now_ms)
        return self._due(now_ms)

    def still(self, now_ms: int) -> list[Seen]:
        """Nothing moved since the frame before: whoever was there at the last look is there, and nobody else."""
        for track in self._tracks:
            if track.seen_ms >= self._looked_ms:
                track.seen_ms = max(track.seen_ms, now_ms)
        return self._due(now_ms)

    def quiet(self, now_ms: int) -> list[Seen]:
        """No frame came for a while: what waits only for time may be due, and whoever is gone is gone."""
        self._end(now_ms)
        return self._due(now_ms)

    def known(self, now_ms: int) -> tuple[Quad, ...]:
        """About where plates are now, nearest first."""
        return tuple(track.expected(now_ms) for track in sorted(self._tracks, key=lambda one: -one.width))

    def _assigned(self, now_ms: int, sightings: Sequence[Sighting]) -> list[tuple[Track, Sighting]]:
        """Each sighting with its track, the nearest pairs first; what has none begins one."""
        pairs = []
        for track in self._tracks:
            expected = track.expected(now_ms).mean(axis=0)
            for n, one in enumerate(sightings):
                wide = max(track.width, geometry.width(one.corners), 1.0)
                apart = float(np.linalg.norm(one.corners.mean(axis=0) - expected)) / wide
                same = one.reading.refused is None and one.reading.text == track.leading
                if apart <= REACH or same:
                    pairs.append((apart - (REACH if same else 0.0), n, track))
        found: list[tuple[Track, Sighting]] = []
        taken: set[int] = set()
        for _, n, track in sorted(pairs, key=lambda pair: pair[:2]):
            if n not in taken and all(track is not other for other, _ in found):
                found.append((track, sightings[n]))
                taken.add(n)
        for n, one in enumerate(sightings):
            if n not in taken and len(self._tracks) < MOST_TRACKS:
                self._tracks.append(Track(now_ms))
                found.append((self._tracks[-1], one))
        return found

    def _count(self, track: Track, reading: Reading, now_ms: int) -> None:
        if reading.refused is not None or reading.score < self.min_score:
            if len(track.refused) < MOST_REFUSED:
                track.refused.append(reading)
            return
        if track.announced is not None:
            if not _is_next_car(track, reading):
                return
            earlier, track.other = track.other[:-1], []
            track.announced = track.agreed_ms = None
            track.votes.clear()
            track.refused.clear()
            while len(track.places) > CHANGED_FRAMES:
                track.places.popleft()
            for one in earlier:
                track.votes.setdefault(one.text, Votes(one.kind)).add(one)
        track.votes.setdefault(reading.text, Votes(reading.kind)).add(reading)
        if self._agreed(track) is None:
            track.agreed_ms = None
        elif track.agreed_ms is None:
            track.agreed_ms = now_ms

    def _agreed(self, track: Track) -> str | None:
        """The text that enough frames agree on and that outweighs all others."""
        text = max(track.votes, key=lambda t: track.votes[t].total, default=None)
        if text is None or track.votes[text].frames < self.agreeing_frames:
            return None
        others = sum(votes.total for other, votes in track.votes.items() if other != text)
        return text if track.votes[text].total > others else None

    def _due(self, now_ms: int) -> list[Seen]:
        seen = []
        for track in self._tracks:
            if track.announced is None and self._is_due(track, now_ms) and self._nobody_nearer(track, now_ms):
                seen += self._announce(track)
        return seen

    def _is_due(self, track: Track, now_ms: int) -> bool:
        if track.agreed_ms is None:
            return False
        return now_ms - track.agreed_ms >= SETTLE_MS or track.direction() is not Direction.UNKNOWN

    def _nobody_nearer(self, track: Track, now_ms: int) -> bool:
        return not any(
            other.width > NEARER * track.width
            for other in self._tracks
            if other is not track
            and other.frames >= LEAST_REFUSED_FRAMES
            and (other.votes or now_ms - other.began_ms < STANDS_MS)
        )

    def _announce(self, track: Track) -> list[Seen]:
        text = self._agreed(track)
        if text is None or any(other.announced == text for other in self._tracks):
            track.announced = text  # one car, of which two places in the picture show the number
            return []
        votes, track.announced, track.other = track.votes[text], text, []
        return [Seen(text, votes.kind, votes.best, votes.frames, track.direction())]

    def _end(self, now_ms: int) -> None:
        """Tracks whose car is gone. What was agreed on and only waited is lost with the car: it is not at the arm."""
        gone = [track for track in self._tracks if now_ms - track.seen_ms > GONE_AFTER_MS]
        self._tracks = [track for track in self._tracks if now_ms - track.seen_ms <= GONE_AFTER_MS]
        self.unread += [one for track in gone if (one := _unread(track)) is not None]


def _is_next_car(track: Track, reading: Reading) -> bool:
    """After the observation: whether this frame completes a run of frames with one other text."""
    if reading.text == track.announced:
        track.other = []
        return False
    if track.other and track.other[-1].text != reading.text:
        track.other = []
    track.other.append(reading)
    one_off = len(reading.text) == len(track.announced or "") and _differing(reading.text, track.announced or "") == 1
    return len(track.other) >= (MISREAD_FRAMES if one_off else CHANGED_FRAMES)


def _differing(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _unread(track: Track) -> Unread | None:
    """Why a visit came to nothing; None where it came to something, was only a flicker, or was part of the scene: what
    never moved and never looked like a number."""
    if track.announced is not None or track.frames < LEAST_REFUSED_FRAMES:
        return None
    if track.votes:
        text, votes = max(track.votes.items(), key=lambda item: item[1].total)
        why = "behind" if track.agreed_ms is not None else "torn" if len(track.votes) > 1 else "too-few-frames"
        return Unread(text, votes.kind, votes.best, track.frames, why, track.seen_ms)
    if not track.refused:
        return None
    best = max(track.refused, key=lambda reading: reading.score)
    if best.refused is not None and best.score < UNREADABLE and not track.moved:
        return None
    return Unread(best.text, best.kind, best.score, track.frames, str(best.refused or "weak"), track.seen_ms)
