"""`zhian face check --sequence`: a film or a folder of pictures judged as at a door. Nobody is looked up."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import VisionError
from gateway.vision.faces.encounter import GONE_AFTER_MS, SAME_FACE_OVERLAP, overlap
from gateway.vision.faces.quality import SENTENCES, Problem
from gateway.vision.pad.evidence import MOST_LOOKS, Look, Verdict, judge
from gateway.vision.pad.look import patch_of
from gateway.vision.pad.reasons import WORDS
from gateway.vision.video import Film

if TYPE_CHECKING:
    from gateway.vision.faces.reader import FaceReader, Seen
    from gateway.vision.picture import Picture

MAX_PICTURES = 3000  # five minutes at ten a second: a door judges seconds


@dataclass(slots=True)
class Run:
    """One face that stays in view without a jump; the newest looks of it."""

    looks: deque[Look] = field(default_factory=lambda: deque(maxlen=MOST_LOOKS))

    def goes_on(self, look: Look) -> bool:
        """Whether `look` is of the same face."""
        if not self.looks:
            return True
        last = self.looks[-1]
        return look.at_ms - last.at_ms <= GONE_AFTER_MS and overlap(last.box, look.box) >= SAME_FACE_OVERLAP


def check_sequence(
    reader: FaceReader, path: Path, per_s: int, row: Callable[[Seen], dict[str, object]], *, as_json: bool
) -> bool:
    """Print every picture's quality and, of each unbroken run of one face, what PAD says. Whether every run was bona
    fide, and there was one. Raises VisionError."""
    run, good = Run(), []
    for at_ms, name, picture in _pictures(path, per_s):
        seen = reader.nearest(picture)
        _print_picture(name, at_ms, seen, row, as_json=as_json)
        if seen is None:
            continue
        look = Look(at_ms, seen.face.mesh, seen.face.box, patch_of(picture, seen.face.box))
        if Problem.TWO_FACES in seen.quality.problems or not run.goes_on(look):
            good += _judged(path, run, as_json=as_json)
            run = Run()
        if Problem.TWO_FACES not in seen.quality.problems:
            run.looks.append(look)
    good += _judged(path, run, as_json=as_json)
    if not good and not as_json:
        print(f"{path}: {SENTENCES[Problem.NO_FACE]['en']} {SENTENCES[Problem.NO_FACE]['zh-CN']}")
    return bool(good) and all(good)


def _pictures(path: Path, per_s: int) -> Iterator[tuple[int, str, Picture]]:
    """(ms since the first, name, picture). A folder's are taken by name, `per_s` of them a second."""
    from zhian.face import ENDINGS, read_picture

    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
        if not files:
            raise VisionError(
                f"{path}: expected JPEG, PNG or BMP pictures in the folder, got none; give another folder"
            )
        _check_count(path, len(files))
        for number, file in enumerate(files):
            yield round(number * 1000 / per_s), file.name, read_picture(file)
        return
    with Film(path) as film:
        shots = film.shots(per_s)
        first = next(shots)
        for number, shot in enumerate(chain((first,), shots), 1):
            _check_count(path, number)
            yield shot.at_ms - first.at_ms, f"{shot.at_ms / 1000:.1f} s", shot.picture


def _check_count(path: Path, count: int) -> None:
    if count > MAX_PICTURES:
        raise VisionError(f"{path}: expected at most {MAX_PICTURES} pictures, got more; cut it or lower --fps")


def _print_picture(
    name: str, at_ms: int, seen: Seen | None, row: Callable[[Seen], dict[str, object]], *, as_json: bool
) -> None:
    if as_json:
        face = None if seen is None else {key: value for key, value in row(seen).items() if key in ("box", "quality")}
        print(json.dumps({"file": name, "at_ms": at_ms, "face": face}, ensure_ascii=False), flush=True)
        return
    problems = [Problem.NO_FACE] if seen is None else list(seen.quality.problems)
    words = " ".join(f"{SENTENCES[p]['en']} {SENTENCES[p]['zh-CN']}" for p in problems)
    print(f"{name}: {words or f'quality {seen.quality.score:.2f}' if seen is not None else words}", flush=True)


def _judged(path: Path, run: Run, *, as_json: bool) -> list[bool]:
    """What PAD says of a run, printed; nothing of one without looks."""
    if not run.looks:
        return []
    looks = tuple(run.looks)
    verdict = judge(looks)
    told = {
        "sequence": str(path),
        "from_ms": looks[0].at_ms,
        "to_ms": looks[-1].at_ms,
        "looks": len(looks),
        "bona_fide": verdict.bona_fide,
        "attack": verdict.attack,
        "reasons": [{"reason": reason, **WORDS[reason]} for reason in verdict.reasons],
        "scores": dict(verdict.scores),
    }
    if as_json:
        print(json.dumps(told, ensure_ascii=False), flush=True)
    else:
        span = f"{looks[0].at_ms / 1000:.1f}-{looks[-1].at_ms / 1000:.1f} s"
        reasons = "; ".join(f"{WORDS[r]['en']} {WORDS[r]['zh']}" for r in verdict.reasons)
        print(f"{path}, {span}, {len(looks)} pictures: {_said(verdict)}: {reasons}", flush=True)
    return [verdict.bona_fide]


def _said(verdict: Verdict) -> str:
    if verdict.bona_fide:
        return "a face, as far as was tested 看来是真人（以测试过的为限）"
    if verdict.attack is not None:
        return "no face, but a picture of one 不是真人，是人脸的画面"
    return "not known 无法判断"
