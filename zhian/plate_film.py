"""`zhian plate read` on a film: one line per visit, through the pipeline that reads a camera."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import Vision
from gateway.errors import VisionError
from gateway.vision import refused
from gateway.vision.lane import Lane
from gateway.vision.reader import PlateReader
from gateway.vision.video import Film, Kept, Shot, Visit, visits
from gateway.vision.visit import Seen, Visits

TELL_EVERY_S = 5.0


@dataclass(slots=True)
class Told:
    """How far a film has been read, said on stderr every few seconds: `told` takes the line."""

    path: Path
    length_ms: int | None
    told: Callable[[str], None]
    now_s: Callable[[], float] = time.monotonic
    visits: int = 0
    _said_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._said_s = self.now_s()

    def at(self, at_ms: int) -> None:
        """The film has been read so far."""
        if self.now_s() - self._said_s < TELL_EVERY_S:
            return
        self._said_s = self.now_s()
        whole = f" of {clock(self.length_ms)}" if self.length_ms is not None else ""
        self.told(f"{self.path}: {clock(at_ms)}{whole}, {self.visits} visits so far")


def read_film(plates: PlateReader, path: Path, *, per_s: int, draw: Path | None, as_json: bool) -> None:
    """Print every visit as it ends. Raises VisionError, after the visits that were found until then."""
    settings = Vision()  # what a site has that sets nothing
    lane = Lane(plates, Visits(settings.min_score, settings.agreeing_frames))
    kept = Kept()
    with Film(path) as film:
        told = Told(path, film.length_ms, lambda line: print(line, file=sys.stderr, flush=True))
        last_ms = 0

        def looked(shot: Shot) -> None:
            nonlocal last_ms
            last_ms = shot.at_ms
            told.at(shot.at_ms)
            if draw is not None and lane.found:
                kept.keep(shot, lane.found)

        for visit in visits(lane, film.shots(per_s), looked):
            told.visits += 1
            drawn = _drawn(kept, visit, path, draw) if draw is not None else None
            print(_json(path, visit, plates, drawn) if as_json else _words(path, visit, drawn), flush=True)
        if not told.visits and not as_json:
            print(f"{path}: no plate came in {clock(last_ms)}", flush=True)


def clock(ms: int) -> str:
    """A moment of a film: minutes, seconds and tenths; hours where there are any."""
    tenths = ms // 100
    hours, minutes, rest = tenths // 36_000, tenths // 600 % 60, tenths % 600
    return f"{f'{hours}:' if hours else ''}{minutes:02d}:{rest // 10:02d}.{rest % 10}"


def _words(path: Path, visit: Visit, drawn: Path | None) -> str:
    one = visit.came_to
    if isinstance(one, Seen):
        said = f"{one.text} ({one.kind}, score {one.score:.2f}, {one.frames} frames, {one.direction})"
    else:
        said = f"refused {one.text!r} (score {one.score:.2f}, {one.frames} frames): {refused.words(one.why)}"
    return f"{path} at {clock(visit.at_ms)}: {said}{f'; drawn: {drawn}' if drawn else ''}"


def _json(path: Path, visit: Visit, plates: PlateReader, drawn: Path | None) -> str:
    one = visit.came_to
    row: dict[str, object] = {"file": str(path), "at_s": round(visit.at_ms / 1000, 2), "text": one.text}
    row |= {"kind": one.kind, "score": round(float(one.score), 4), "frames": one.frames}
    if isinstance(one, Seen):
        row["direction"] = str(one.direction)
    else:
        row |= {"refused": one.why, "reason": refused.words(one.why)}
    row |= {"model": plates.entry.name, "model_sha256": plates.entry.sha256}
    return json.dumps(row | ({"drawn": str(drawn)} if drawn else {}), ensure_ascii=False)


def _drawn(kept: Kept, visit: Visit, path: Path, folder: Path) -> Path | None:
    from zhian.plate_drawing import write

    shown = kept.at(visit.at_ms)
    if shown is None:
        return None
    try:
        return write(*shown, Path(f"{path.stem}-{visit.at_ms:07d}ms.jpg"), folder)
    except VisionError as e:
        raise VisionError(f"{path}: the visit at {clock(visit.at_ms)} was not drawn: {e}") from e
