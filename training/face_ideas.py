"""What was tried beyond the shipped comparison of faces: `python -m training.face_accuracy --real FOLDER --ideas`.

More drawings of one face (turned, moved, other brightness), scores measured against a cohort of strangers (adaptive
symmetric normalisation, Matejka et al. 2017), and asking again for bad pictures. Chosen on one half of the people,
reported on the other, by the same rule as the shipped setting; the cohort is of the tuning half or drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.faces import align
from gateway.vision.faces.embed import Embedder
from gateway.vision.faces.face import Face
from gateway.vision.picture import Picture
from training import face_evidence as evidence
from training.face_evidence import Flags, Pairs, Scores

NEAREST = (10, 30, 100)  # of the cohort, that a score is measured against
TURN_DEG, MOVE_PX = 4.0, 2.0  # of the crop
MIDDLE_GREY = 0.45
All = NDArray[np.float32]  # (N, N): every picture against every other
Count = tuple[int, int]  # hits, of
Idea = Callable[[Flags], All]  # scores, given which pictures may be learned from


def turned(face: Face, degrees: float, down_px: float) -> NDArray[np.float32]:
    """The alignment points as if the face stood a little otherwise."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = face.points.mean(0)
    eyes = float(np.linalg.norm(face.points[1] - face.points[0]))
    return ((face.points - middle) @ turn.T + middle + (0, down_px * eyes / 33)).astype(np.float32)


def evened(crop: Picture) -> Picture:
    """The crop with its face brought to one brightness by a gamma curve."""
    light = float(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[28:104, 24:88].mean()) / 255
    power = float(np.clip(np.log(MIDDLE_GREY) / np.log(np.clip(light, 0.05, 0.95)), 0.55, 1.8))
    return cv2.LUT(crop, (255 * (np.arange(256) / 255) ** power).astype(np.uint8))


def drawings(pictures: Sequence[tuple[Picture, Face]], embedder: Embedder, fill: float) -> dict[str, Scores]:
    """Vectors of each way to draw a face, mirror image included."""
    ways: dict[str, Callable[[Picture, Face], Picture]] = {
        "evened": lambda picture, face: evened(align.crop(picture, face.points, fill)),
    }
    moves = {"left": (TURN_DEG, 0.0), "right": (-TURN_DEG, 0.0), "up": (0.0, -MOVE_PX), "down": (0.0, MOVE_PX)}
    for name, (degrees, down) in moves.items():
        ways[name] = lambda picture, face, a=degrees, d=down: align.crop(picture, turned(face, a, d), fill)
    return {
        name: np.stack([embedder.embed_aligned(way(picture, face)) for picture, face in pictures])
        for name, way in ways.items()
    }


def normalised(vectors: Scores, cohort: Scores, nearest: int, apart: Flags | None) -> All:
    """Similarities in standard deviations above each picture's own nearest strangers. apart: (N, cohort), which of the
    cohort are strangers to which picture; None: all."""
    similar = vectors @ cohort.T
    if apart is not None:
        similar = np.where(apart, similar, -2)
    top = np.sort(similar, 1)[:, -nearest:]
    mean, spread = top.mean(1), top.std(1)
    scores = vectors @ vectors.T
    return ((scores - mean[:, None]) / spread[:, None] + (scores - mean) / spread) / 2


def with_cohort(vectors: Scores, group: NDArray[np.int64], nearest: int) -> Idea:
    """Against the strangers of the half that is learned from."""
    return lambda known: normalised(vectors, vectors[known], nearest, group[:, None] != group[known])


def ideas(
    found: dict[str, Scores], more: dict[str, Scores], group: NDArray[np.int64], drawn: Scores
) -> dict[str, dict[str, Idea]]:
    """Families of ideas; within each, the tuning half chooses."""

    def plain(vectors: Scores) -> Idea:
        return lambda _: vectors @ vectors.T

    def mean(*parts: Scores) -> Scores:
        total = np.sum(parts, axis=0)
        return total / np.linalg.norm(total, axis=1, keepdims=True)

    mirrored = {name: vectors for name, vectors in found.items() if name.endswith("mirror")}
    usual = found["fill 0.94 + mirror"]
    families = {"as shipped": {name: plain(vectors) for name, vectors in found.items()}}
    families["several drawings"] = {
        "evened": plain(more["evened"]),
        "evened and plain": plain(mean(usual, more["evened"])),
        "turned both ways": plain(mean(usual, more["left"], more["right"])),
        "turned and moved": plain(mean(usual, *(more[name] for name in ("left", "right", "up", "down")))),
    } | {name: plain(vectors) for name, vectors in mirrored.items()}
    families["strangers of the other half"] = {
        f"{name}, nearest {n}": with_cohort(mirrored[name], group, n) for name, n in product(mirrored, NEAREST)
    }
    families["drawn strangers"] = {f"nearest {n}": (lambda _, n=n: normalised(usual, drawn, n, None)) for n in NEAREST}
    return families


def tried(families: dict[str, dict[str, Idea]], pairs: Pairs, good: Flags) -> Iterator[tuple[str, str, Count, Count]]:
    """(family, what each half chose, true pairs accepted, impostor pairs accepted) with the threshold carried over."""
    first, second = evidence.halves(pairs)
    for family, members in families.items():
        for asked_again in (False, True) if family == "as shipped" else (False,):
            kept = good if asked_again else np.ones_like(good)
            names, totals = [], np.zeros((2, 2), int)
            for tuning, held in ((first, second), (second, first)):
                name, counts = _carried(members, pairs, tuning & kept, held & kept)
                names.append(name)
                totals += counts
            title = f"{family}, bad pictures asked for again" if asked_again else family
            yield title, "; ".join(names), tuple(totals[0].tolist()), tuple(totals[1].tolist())


def _carried(members: dict[str, Idea], pairs: Pairs, tuning: Flags, held: Flags) -> tuple[str, NDArray[np.int64]]:
    """(the idea of the fewest misses at FMR 1e-3 on `tuning`, [[accepted, of] genuine, impostors] on `held`)."""
    rows, columns = np.triu_indices(len(tuning), 1)
    apart = (pairs.group[rows] != pairs.group[columns]) & tuning[rows] & tuning[columns]
    mine, theirs = pairs.of(tuning), pairs.of(held)
    best: tuple[tuple[float, float], str, All, float] | None = None
    for name, idea in members.items():
        scores = idea(tuning)
        cross, own = np.sort(scores[rows[apart], columns[apart]]), scores[mine.a, mine.b][mine.same]
        missed = float((own < evidence.at_fmr(cross, 1e-3)).mean())
        spread = float((own.mean() - cross.mean()) / np.sqrt(own.var() / 2 + cross.var() / 2))
        if best is None or (-missed, spread) > best[0]:
            best = (-missed, spread), name, scores, evidence.at_fmr(cross, 1 / 300)
    assert best is not None  # no family is empty
    _, name, scores, threshold = best
    taken = scores[theirs.a, theirs.b] >= threshold
    counts = [[(taken & kind).sum(), kind.sum()] for kind in (theirs.same, ~theirs.same)]
    return name, np.array(counts)
