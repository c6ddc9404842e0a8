"""Every accuracy table of docs/models.md: `make accuracy`, or `python -m training.accuracy [--real FOLDER]`.

Three readers on the same pictures: ours, the published one, and the vote of both. Real pictures are measured only:
nothing is trained on them or chosen by them. FOLDER holds the folders plates-ccpd-crops, plates-green-crops and
plates-wholecar, each with labels.csv (file, plate, colour); without it the rendered tables alone are made.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gateway.errors import VisionError
from gateway.vision.picture import Picture, decode
from gateway.vision.quad import MARGIN, rectify
from gateway.vision.reader import PlateFound, PlateReader, load_default, load_vote
from training import approaches, contact_sheet, fonts, held_out
from training.contact_sheet import Miss
from training.measure import interval, labelled

# Read on the same crops by others' readers; measured once for 1000 crops of which these are 300.
PEERS = (("PP-OCRv4 (general)", 94.2), ("plate_rec_color", 91.3), ("LPRNet_Pytorch", 89.4), ("hyperlpr2", 82.7))
REAL = (("plates-ccpd-crops", True), ("plates-green-crops", True), ("plates-wholecar", False))


@dataclass(frozen=True, slots=True)
class Contender:
    """A reader by name."""

    name: str
    reader: PlateReader
    still: bool = False  # rendered plates are read in seven views, as a still picture is, instead of one


def contenders() -> list[Contender]:
    """Ours, and the vote where the published weights are here."""
    found = [Contender("own", load_default())]
    try:
        found.append(Contender("published", load_vote(own_votes=False, must_be_accepted=False)))
        found.append(Contender("vote", load_vote(must_be_accepted=False)))
    except VisionError as e:
        print(f"(without the published reader: {e})")
    return found


def rendered(among: Sequence[Contender], count: int) -> None:
    """Exact readings by kind, province, width, tilt, blur, light and fault, corners known to 1 %."""
    right: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    began, unseen = time.monotonic(), fonts.unseen()
    for number, plate in enumerate(held_out.plates(count, unseen), 1):
        for one in among:
            got = one.reader.read_cut(plate.cut, thorough=one.still, in_two_rows=plate.in_two_rows)
            ok = got.refused is None and got.text == plate.text
            for key in (("all", "all"), *plate.classes()):
                right[key][one.name].append(ok)
                if plate.width_px >= 100 and key[0] != "width":
                    right[key[0] + ", >= 100 px", key[1]][one.name].append(ok)
        if number % 500 == 0:
            print(f"  {number}/{count} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    _tables(right, [one.name for one in among])


def _tables(right: dict[tuple[str, str], dict[str, list[bool]]], names: list[str]) -> None:
    for table in dict.fromkeys(table for table, _ in right):
        print(f"\n| {table} | " + " | ".join(names) + " |\n" + "| --- " * (len(names) + 1) + "|")
        for row in sorted(row for t, row in right if t == table):
            cells = [interval(sum(right[table, row][n]), len(right[table, row][n])) for n in names]
            print(f"| {row} | " + " | ".join(cells) + " |")


def real(among: Sequence[Contender], folder: Path) -> list[Miss]:
    """Exact readings of real pictures, and CPU seconds of each; returns every miss."""
    misses: list[Miss] = []
    print("\n| real pictures | " + " | ".join(one.name for one in among) + " |\n" + "| --- " * (len(among) + 1) + "|")
    for name, cropped in REAL:
        rows, cells = labelled(folder / name), []
        for one in among:
            right, began = 0, time.process_time()
            for path, label, _ in rows:
                picture = decode(path.read_bytes(), str(path))
                best = _best(one.reader, picture, cropped=cropped)
                read = best.reading.text if best is not None and best.reading.refused is None else ""
                right += read == label
                if read != label:
                    misses.append(_miss(one, picture, path.name, label, read, best))
            each_s = (time.process_time() - began) / max(1, len(rows))
            cells.append(f"{interval(right, len(rows))}, {each_s:.2f} s")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("\npeers on 1000 crops of the same set: " + ", ".join(f"{name} {share} %" for name, share in PEERS))
    return misses


def _best(reader: PlateReader, picture: Picture, *, cropped: bool) -> PlateFound | None:
    """The first plate that is a number; the first of all where none is."""
    found = [reader.read_cropped(picture)] if cropped else reader.find(picture, thorough=True)
    return next((one for one in found if one.reading.refused is None), found[0] if found else None)


def _miss(one: Contender, picture: Picture, file: str, label: str, read: str, best: PlateFound | None) -> Miss:
    """What was read instead, and how likely the same reader found the right number in the same place."""
    if best is None:
        return Miss(picture, file, label, read, one.name, None, 0.0, 0.0)
    _, high, wide, _ = one.reader.reader_net.input_shape
    cut = rectify(picture, best.corners, (wide, high), margin=0.0 if best.detected is None else MARGIN)
    evidence, _ = one.reader.evidence(cut, thorough=True)
    likely = np.mean([reader.log_likelihoods([label]) for reader in evidence])
    return Miss(picture, file, label, read, one.name, best.corners, best.reading.score, float(np.exp(likely)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help="folder of the three folders of real pictures")
    parser.add_argument("--plates", type=int, default=10_000, help="rendered plates")
    parser.add_argument("--visits", type=int, default=300, help="rendered visits of 24 frames, by our own models")
    parser.add_argument("--hours", type=float, default=0.5, help="rendered time without plates, likewise")
    parser.add_argument("--sheet", type=Path, default=Path("build/accuracy/misses.png"))
    given, _ = parser.parse_known_args()  # the options of training.face_accuracy come along
    cv2.setNumThreads(1)
    among = contenders()
    for one in among:
        print(f"{one.name}: reader {one.reader.entry.name} {one.reader.entry.sha256[:16]}")
    steps: list[Callable[[], object]] = [
        lambda: rendered(
            [among[0], Contender("own, seven views", among[0].reader, still=True), *among[1:]], given.plates
        )
    ]
    if given.visits:
        steps.append(lambda: approaches.visits(among[0].reader, given.visits))
    if given.hours:
        steps.append(lambda: approaches.empty_hours(among[0].reader, given.hours))
    for step in steps:
        step()
    if given.real is not None:
        misses = real(among, given.real)
        if misses:
            contact_sheet.write(misses, given.sheet)
            print(f"\nevery miss: {given.sheet}")


if __name__ == "__main__":
    main()
