"""Every table of docs/faces.md: `make accuracy ARGS="--real FOLDER"` or `python -m training.face_accuracy`.

FOLDER holds faces-lfw-pairs: pictures fNNNN.jpg, numbered by person, and pairs.csv (fold, file_a, file_b, same). They
are measured only: nothing is trained on them; what is chosen is chosen on one half and reported on the other.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.errors import VisionError
from gateway.vision.faces import align, detect, mesh, quality
from gateway.vision.faces.embed import Embedder, Preparation
from gateway.vision.faces.face import Face, five_points
from gateway.vision.faces.reader import FILL, FaceReader, load
from gateway.vision.picture import Picture, decode
from gateway.vision.runtime import Net, numbers_of
from sim.render.heads import show
from training import face_evidence as evidence
from training import face_ideas
from training.face_evidence import Pairs, Scores, wilson

SET = "faces-lfw-pairs"
FILLS = (1.0, 0.98, 0.94, 0.90)
SIZES = (1, 5, 10, 20, 50, 100, 150, 200, 250)
RATES = (0.01, 0.015, 0.02, 0.05, 0.1)
CALIBRATION, CALIBRATION_HEADS = 40_000, 40  # drawn heads' first seed, how many
COHORT, COHORT_HEADS = 30_000, 150
NUMBER = re.compile(r"^f(\d{4})\.jpg$")


@dataclass(frozen=True, slots=True)
class Portrait:
    """One picture and the face nearest its middle."""

    picture: Picture
    face: Face
    problems: tuple[quality.Problem, ...]


def read_pairs(folder: Path) -> tuple[list[str], Pairs]:
    """(files, pairs). Pictures are numbered by person, so that a gap in the numbers is a change of person; the labels
    are checked against that, and a set where it does not hold is refused."""
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files = sorted({row[side] for row in rows for side in ("file_a", "file_b")})
    index = {name: i for i, name in enumerate(files)}
    numbers = [int(match[1]) for match in map(NUMBER.match, files) if match]
    if len(numbers) != len(files):
        raise VisionError(f"{folder}: expected files named fNNNN.jpg, got {files[0]}; number them by person")
    group = np.cumsum([0, *(b != a + 1 for a, b in pairwise(numbers))])
    a, b = (np.array([index[row[side]] for row in rows]) for side in ("file_a", "file_b"))
    same = np.array([row["same"] == "1" for row in rows])
    if (same != (group[a] == group[b])).any():
        raise VisionError(f"{folder}: the numbers of the files do not follow the people; number them by person")
    return files, Pairs(a, b, same, group)


def portraits(folder: Path, files: Sequence[str], reader: FaceReader) -> Iterator[Portrait]:
    """LFW centres the person who is meant; bystanders are beside."""
    for name in files:
        picture = decode((folder / name).read_bytes(), name)
        found = detect.find(reader.detector, picture)
        if not found:
            raise VisionError(f"{folder / name}: no face found; leave it out of pairs.csv")
        middle = np.array(picture.shape[1::-1]) / 2
        nearest = min(found, key=lambda one: np.linalg.norm(np.array(one.box[:2]) + np.array(one.box[2:]) / 2 - middle))
        face, apart = mesh.landmarks(reader.mesher, picture, nearest)
        yield Portrait(
            picture, face, quality.measure(picture, face, apart, align.crop(picture, face.points, FILL)).problems
        )


def embedded(people: Sequence[Portrait], embedder: Embedder) -> Scores:
    return np.stack([embedder.embed(one.picture, one.face.points) for one in people])


def joined(parts: Sequence[Scores]) -> Scores:
    """Vectors added, length one again."""
    total = np.sum(parts, axis=0)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def variants(people: Sequence[Portrait], embedder: Embedder) -> dict[str, Scores]:
    """What may be chosen among: the crop's size, and whether the mirror image is added."""
    found: dict[str, Scores] = {}
    for fill in FILLS:
        told = replace(embedder.preparation, fill=fill, mirrored=False)
        bare = Embedder(embedder.net, told, embedder.name, embedder.sha256)
        crops = [align.crop(one.picture, one.face.points, fill, told.side) for one in people]
        direct, mirrored = (np.stack([bare.embed_aligned(c[:, ::flip]) for c in crops]) for flip in (1, -1))
        # Lengths before the sum are lost here: the shipped sum adds raw vectors, which differ by a hair.
        found[f"fill {fill:.2f}"], found[f"fill {fill:.2f} + mirror"] = direct, joined([direct, mirrored])
    found["three fills"] = joined([found[f"fill {f:.2f}"] for f in FILLS[1:]])
    found["three fills + mirror"] = joined([found[f"fill {f:.2f} + mirror"] for f in FILLS[1:]])
    return found


def share(hits: int, of: int) -> str:
    low, high = wilson(hits, of)
    return f"{hits}/{of} = {100 * hits / max(1, of):.2f} % ({100 * low:.2f}-{100 * high:.2f})"


def heading(*names: str) -> None:
    print("\n| " + " | ".join(names) + " |\n" + "| --- " * len(names) + "|")


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def two_halves(found: dict[str, Scores], pairs: Pairs) -> None:
    """Chosen on one half (variant and thresholds), reported on the other; both ways, then together."""
    first, second = evidence.halves(pairs)
    titles = ("tuned on", "reported on", "chosen", "accuracy", "TAR, no impostor accepted")
    heading(*titles, "TAR at FMR 1/300 of the tuning half", "false accepts there")
    totals = np.zeros((4, 2), int)
    for tuning, held in ((first, second), (second, first)):
        name, right, tar, strict, accepted = _tuned(found, pairs.of(tuning), pairs.of(held), tuning)
        totals += np.array([right, tar, strict, accepted])
        sizes = f"{len(pairs.of(tuning).a)} pairs | {len(pairs.of(held).a)} pairs"
        print(
            f"| {sizes} | {name} | {share(*right)} | {share(*tar)} | {share(*strict)} | {accepted[0]}/{accepted[1]} |"
        )
    right, tar, strict, accepted = (tuple(int(v) for v in row) for row in totals)
    print(f"| both | | | {share(*right)} | {share(*tar)} | {share(*strict)} | {accepted[0]}/{accepted[1]} |")


Count = tuple[int, int]  # hits, of


def _tuned(
    found: dict[str, Scores], mine: Pairs, theirs: Pairs, tuning: evidence.Flags
) -> tuple[str, Count, Count, Count, Count]:
    def worth(name: str) -> tuple[float, float]:
        cross = evidence.cross_scores(found[name], mine.group, tuning)
        scores = evidence.pair_scores(found[name], mine)
        missed = (scores[mine.same] < evidence.at_fmr(cross, 1e-3)).mean()
        apart = (scores[mine.same].mean() - cross.mean()) / np.sqrt(scores[mine.same].var() / 2 + cross.var() / 2)
        return -float(missed), float(apart)

    name = max(found, key=worth)
    vectors = found[name]
    cross = evidence.cross_scores(vectors, mine.group, tuning)
    threshold = evidence.best_threshold(evidence.pair_scores(vectors, mine)[mine.same], cross)
    sure = evidence.at_fmr(cross, 1 / 300)
    scores, same = evidence.pair_scores(vectors, theirs), theirs.same
    right = (int(((scores >= threshold) == same).sum()), len(same))
    tar = (int((scores[same] > scores[~same].max()).sum()), int(same.sum()))
    strict = (int((scores[same] >= sure).sum()), int(same.sum()))
    return name, right, tar, strict, (int((scores[~same] >= sure).sum()), int((~same).sum()))


def all_variants(found: dict[str, Scores], pairs: Pairs) -> None:
    """Every variant on all pairs, thresholds chosen on the same pairs: what the choice is among, no forecast."""
    heading("threshold on the same pairs", "accuracy", "TAR, no impostor accepted", "FNMR at FMR 1e-3", "at 1e-4")
    for name, vectors in found.items():
        scores, cross = evidence.pair_scores(vectors, pairs), evidence.cross_scores(vectors, pairs.group)
        threshold = evidence.best_threshold(scores[pairs.same], cross)
        right = int(((scores >= threshold) == pairs.same).sum())
        genuine, of = scores[pairs.same], int(pairs.same.sum())
        tar = int((genuine > scores[~pairs.same].max()).sum())
        missed = [100 * float((genuine < evidence.at_fmr(cross, rate)).mean()) for rate in (1e-3, 1e-4)]
        print(f"| {name} | {share(right, len(scores))} | {share(tar, of)} | {missed[0]:.1f} % | {missed[1]:.1f} % |")


def comparisons(vectors: Scores, pairs: Pairs) -> None:
    """FMR over every comparison of different people, FNMR over the genuine pairs."""
    cross, genuine = evidence.cross_scores(vectors, pairs.group), evidence.pair_scores(vectors, pairs)[pairs.same]
    people = len(np.unique(pairs.group))
    print(f"\n{len(cross)} comparisons of {people} groups of people, the nearest {cross[-1]:.3f}")
    heading("similarity", "FMR", "its bound were comparisons independent", "people with a false match", "FNMR")
    similar = vectors @ vectors.T
    similar[pairs.group[:, None] == pairs.group[None]] = -1
    for threshold in (0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65):
        hits = int((cross >= threshold).sum())
        struck = len(np.unique(pairs.group[(similar >= threshold).any(1)]))
        bound = wilson(hits, len(cross))[1] if hits else 3 / len(cross)
        missed = int((genuine < threshold).sum())
        rate = f"{hits / len(cross):.2e}"
        row(f"{threshold:.2f}", rate, f"{bound:.1e}", f"{struck}/{people}", share(missed, len(genuine)))


def identification(vectors: Scores, pairs: Pairs, draws: int) -> list[evidence.Operating]:
    mated = [(int(a), int(b)) for a, b, same in zip(pairs.a, pairs.b, pairs.same, strict=True) if same]
    points = evidence.operating_points(vectors, pairs.group, mated, SIZES, RATES, draws)
    heading("gallery", "FPIR at most (95 %)", "bound", "similarity", "strangers taken", "FNIR")
    for p in points:
        taken = f"{p.taken}/{p.strangers}"
        row(p.gallery_size, f"{p.fpir:g}", f"{p.upper:.4f}", f"{p.similarity:.3f}", taken, f"{100 * p.fnir:.1f} %")
    return points


def several_references(vectors: Scores, pairs: Pairs) -> None:
    """FNMR where a holder enrolled with several pictures: the mean of one, two, three against another picture."""
    linked: dict[int, set[int]] = {}
    for a, b in zip(pairs.a[pairs.same], pairs.b[pairs.same], strict=True):
        together = linked.get(int(a), {int(a)}) | linked.get(int(b), {int(b)})
        for one in together:
            linked[one] = together
    rich = [sorted(p) for p in {tuple(sorted(p)) for p in linked.values()} if len(p) >= 4]
    cross = evidence.cross_scores(vectors, pairs.group)
    threshold = evidence.at_fmr(cross, 1e-4)
    print(f"\n{len(rich)} people with four pictures or more, similarity {threshold:.3f} (FMR 1e-4 of single pictures)")
    heading("pictures enrolled", "FNMR")
    for count in (1, 2, 3):
        missed = of = 0
        for person in rich:
            for probe in person:
                rest = [p for p in person if p != probe]
                for start in range(len(rest)):
                    chosen = [rest[(start + k) % len(rest)] for k in range(count)]
                    missed += float(joined([vectors[c][None] for c in chosen])[0] @ vectors[probe]) < threshold
                    of += 1
        row(count, share(missed, of))


def gated(vectors: Scores, pairs: Pairs, people: Sequence[Portrait]) -> None:
    """What is left where a picture with a quality problem is asked for again."""
    good = np.array([not one.problems for one in people])
    kept = pairs.of(good)
    scores = evidence.pair_scores(vectors, kept)
    threshold = evidence.best_threshold(scores[kept.same], evidence.cross_scores(vectors, pairs.group, good))
    right = int(((scores >= threshold) == kept.same).sum())
    tar = int((scores[kept.same] > scores[~kept.same].max()).sum())
    print(f"\nquality: {int((~good).sum())} of {len(good)} pictures would be asked for again: ", end="")
    named = [p for one in people for p in one.problems]
    print(", ".join(f"{name} {named.count(name)}" for name in dict.fromkeys(named)))
    print(f"of the other pairs: accuracy {share(right, len(scores))}, ", end="")
    print(f"TAR without a false accept {share(tar, int(kept.same.sum()))}")


def precisions(people: Sequence[Portrait], pairs: Pairs, content: bytes, embedder: Embedder) -> None:
    """float32, float16 and int8 of the same model."""
    from model_conversion.full_integer import full_integer
    from model_conversion.tflite_edit import eight_bit, half_precision

    makers: dict[str, Callable[[bytes], bytes]] = {
        "float32": bytes,
        "float16": half_precision,
        "int8 weights": eight_bit,
        "int8 throughout": lambda one: full_integer(one, calibration(embedder.preparation)),
    }
    titles = ("weights", "bytes", "accuracy, threshold on the same pairs", "TAR, no impostor accepted")
    heading(*titles, "FNMR at FMR 1e-3", "least cosine with float32", "CPU ms a face (two invokes)")
    reference: Scores | None = None
    for name, make in makers.items():
        changed = make(content)
        told = Embedder(Net(changed, name), embedder.preparation, name, "")
        vectors = embedded(people, told)
        reference = vectors if reference is None else reference
        scores, cross = evidence.pair_scores(vectors, pairs), evidence.cross_scores(vectors, pairs.group)
        right = int(((scores >= evidence.best_threshold(scores[pairs.same], cross)) == pairs.same).sum())
        tar = int((scores[pairs.same] > scores[~pairs.same].max()).sum())
        missed = 100 * float((scores[pairs.same] < evidence.at_fmr(cross, 1e-3)).mean())
        least = float((vectors * reference).sum(1).min())
        cells = f"{share(right, len(scores))} | {share(tar, int(pairs.same.sum()))} | {missed:.1f} %"
        print(f"| {name} | {len(changed)} | {cells} | {least:.4f} | {_cpu_ms(told, people[0]):.1f} |")


def ideas(people: Sequence[Portrait], pairs: Pairs, embedder: Embedder) -> None:
    """What was tried and is not shipped."""
    more = face_ideas.drawings([(one.picture, one.face) for one in people], embedder, embedder.preparation.fill)
    crops = drawn_crops(embedder.preparation, COHORT, COHORT_HEADS)
    cohort = np.stack([embedder.embed_aligned(crop) for crop in crops])
    families = face_ideas.ideas(variants(people, embedder), more, pairs.group, cohort)
    good = np.array([not one.problems for one in people])
    heading("tried", "the halves chose", "TAR at the other half's FMR 1/300", "impostors accepted there")
    for title, names, accepted, impostors in face_ideas.tried(families, pairs, good):
        row(title, names, share(*accepted), f"{impostors[0]}/{impostors[1]}")


def drawn_crops(told: Preparation, first: int, heads: int) -> Iterator[Picture]:
    """Aligned drawn heads, by the renderer's own landmarks."""
    for seed in range(first, first + heads):
        (frame,) = show.play(show.LIVE, seed, show.Stage(times_ms=(0,)))
        assert frame.image is not None  # pictures were asked for
        yield align.crop(frame.image.astype(np.uint8), five_points(frame.mesh), told.fill, told.side)


def calibration(told: Preparation) -> list[NDArray[np.float32]]:
    """Drawn heads as the model wants them, and their mirror images: ranges must not come from what is measured on."""
    numbers, found = numbers_of(told.mean, told.scale), []
    for aligned in drawn_crops(told, CALIBRATION, CALIBRATION_HEADS):
        found += [numbers[side] for side in (aligned[..., ::-1], aligned[:, ::-1, ::-1])]
    return found


def _cpu_ms(embedder: Embedder, one: Portrait) -> float:
    taken = []
    for _ in range(40):
        began = time.process_time()
        embedder.embed(one.picture, one.face.points)
        taken.append(time.process_time() - began)
    return statistics.median(taken[8:]) * 1000


def write_thresholds(path: Path, sha256: str, points: Sequence[evidence.Operating], told: str) -> None:
    """The table that a door uses, for this model file."""
    lines = [
        "# Written by training/face_accuracy.py; docs/faces.md has the method. Do not edit.",
        f'model_sha256 = "{sha256}"',
    ]
    lines += [f'evidence = "{told}"', "confidence = 0.95", ""]
    for p in points:
        lines += ["[[row]]", f"gallery_size = {p.gallery_size}", f"fpir = {p.fpir}", f"similarity = {p.similarity:.3f}"]
        lines += [
            f"strangers = {p.strangers}",
            f"taken = {p.taken}",
            f"upper = {p.upper:.5f}",
            f"fnir = {p.fnir:.4f}",
            "",
        ]
    path.write_text("\n".join(lines), "utf-8", newline="\n")
    print(f"\nthresholds: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help=f"folder that holds {SET}")
    parser.add_argument("--model", type=Path, help="TOML of an own embedding model instead of the published one")
    parser.add_argument("--thresholds", type=Path, help="write the table of thresholds there")
    parser.add_argument("--weights", action="store_true", help="only float32, float16 and int8 weights")
    parser.add_argument("--ideas", action="store_true", help="only what was tried beyond the shipped comparison")
    parser.add_argument("--draws", type=int, default=200, help="galleries by chance per size")
    given, _ = parser.parse_known_args()
    if given.real is None:
        print('(faces are measured on labelled pictures only: ARGS="--real FOLDER")')
        return
    cv2.setNumThreads(1)
    try:
        reader = load(own=given.model, must_be_accepted=False)
    except VisionError as e:
        print(f"(without faces: {e})")
        return
    measure_all(given.real / SET, reader, given)


def measure_all(folder: Path, reader: FaceReader, given: argparse.Namespace) -> None:
    files, pairs = read_pairs(folder)
    people = list(portraits(folder, files, reader))
    embedder = reader.embedder
    print(f"model {embedder.name} {embedder.sha256[:16]}, {len(files)} pictures, {len(pairs.a)} pairs")
    if not given.weights and not given.ideas:
        points = rates(people, pairs, embedder, given.draws)
        if given.thresholds is not None:
            told = (
                f"LFW, fold 4: {len(files)} pictures, {len(np.unique(pairs.group))} groups of people; press portraits"
            )
            write_thresholds(given.thresholds, embedder.sha256, points, told)
    if given.ideas:
        ideas(people, pairs, embedder)
    elif given.model is None:
        from gateway.vision import models

        precisions(people, pairs, models.published(embedder.name, must_be_accepted=False).content, embedder)


def rates(people: Sequence[Portrait], pairs: Pairs, embedder: Embedder, draws: int) -> list[evidence.Operating]:
    """Every table about error rates; returns the threshold table's rows."""
    found = variants(people, embedder)
    two_halves(found, pairs)
    all_variants(found, pairs)
    chosen = embedded(people, embedder)
    comparisons(chosen, pairs)
    points = identification(chosen, pairs, draws)
    several_references(chosen, pairs)
    gated(chosen, pairs, people)
    return points


if __name__ == "__main__":
    main()
