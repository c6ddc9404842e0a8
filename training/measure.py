"""Measure the shipped models and print tables. Nothing here trains or chooses anything.

python -m training.measure rendered [--plates 2000]   # fonts and degradations training never saw
python -m training.measure crops FOLDER    # labelled crops, one plate each: FOLDER/labels.csv has file,plate
python -m training.measure cars FOLDER     # whole pictures: best legible text must equal the label
python -m training.measure speed
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from gateway.vision.grammar import refusal
from gateway.vision.picture import decode
from gateway.vision.quad import rectify
from gateway.vision.reader import PlateReader, load_default
from sim.render.plate import PlateKind, draw_plate
from sim.render.scene import approach
from training import fonts
from training.face_evidence import wilson
from training.plate_samples import KINDS, random_look, random_text
from training.plate_samples import sample as plate_sample

SETTINGS = (0.6, 2)  # gateway.config.Vision's defaults: min_score, agreeing_frames


def interval(right: int, of: int) -> str:
    """n/N = % with Wilson's 95 % interval."""
    if not of:
        return "0/0"
    low, high = wilson(right, of)
    return f"{right}/{of} = {100 * right / of:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def labelled(folder: Path) -> list[tuple[Path, str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        return [(folder / r["file"], r["plate"], r.get("colour", "")) for r in csv.DictReader(file)]


def real(reader: PlateReader, folder: Path, *, cropped: bool, verbose: bool) -> None:
    exact: dict[str, list[bool]] = defaultdict(list)
    no_province, accepted = 0, []
    for path, plate, colour in labelled(folder):
        picture = decode(path.read_bytes(), str(path))
        found = [reader.read_cropped(picture)] if cropped else reader.find(picture, thorough=True)
        legible = [f for f in found if f.reading.refused is None]
        text = legible[0].reading.text if legible else ""
        exact["all"].append(text == plate)
        exact[colour or "?"].append(text == plate)
        no_province += text[1:] == plate[1:]
        if legible and legible[0].reading.score >= SETTINGS[0]:
            accepted.append(text == plate)
        if verbose and text != plate:
            print(f"  {path.name}: {plate} read {text or '-'}")
    for colour, results in exact.items():
        print(f"{folder.name} {colour}: exact {interval(sum(results), len(results))}")
    print(f"{folder.name}: without province {interval(no_province, len(exact['all']))}")
    print(f"{folder.name}: at score >= {SETTINGS[0]}: right {interval(sum(accepted), len(accepted))}")


def held_out_plates(reader: PlateReader, count: int) -> None:
    """Plates in fonts that training never drew, with training's degradations, read by the reader alone."""
    rng, unseen = np.random.default_rng([99, 1]), fonts.unseen()
    results: dict[str, list[bool]] = defaultdict(list)
    while len(results["all"]) < count:
        picture, text, kind = plate_sample(rng, unseen, recompose=0)
        if not text or refusal(text, KINDS[kind]) or KINDS[kind] not in reader.entry.kinds:
            continue
        right = reader.read_cut(picture).text == text
        results["all"].append(right)
        results[KINDS[kind]].append(right)
    for name, right in results.items():
        print(f"held-out fonts, training's degradations, {name}: exact {interval(sum(right), len(right))}")


def held_out_degradations(reader: PlateReader, count: int) -> None:
    """Unseen fonts under faults that training does not have: rain streaks, rolling stripes, gamma, chroma loss."""
    rng, unseen = np.random.default_rng([99, 2]), fonts.unseen()
    by_width: dict[str, list[bool]] = defaultdict(list)
    for _ in range(count):
        kind = (PlateKind.BLUE, PlateKind.GREEN)[int(rng.integers(2))]
        text = _allowed(kind, rng)
        plate = draw_plate(text, kind, px_per_mm=0.6, look=random_look(kind, unseen, rng), rng=rng)
        wide = float(np.exp(rng.uniform(np.log(60), np.log(200))))
        canvas = np.full((160, 320, 3), int(rng.integers(30, 200)), np.uint8)
        quad = np.float32([[-0.5, -0.15], [0.5, -0.15], [0.5, 0.15], [-0.5, 0.15]]) * wide
        angle = rng.uniform(-0.2, 0.2)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        quad = np.float32(quad @ turn + (160, 80) + rng.normal(0, 0.01, (4, 2)) * wide)
        high, broad = plate.shape[:2]
        matrix = cv2.getPerspectiveTransform(np.float32([[0, 0], [broad, 0], [broad, high], [0, high]]), quad)
        soft = cv2.GaussianBlur(plate, (0, 0), max(0.3, 0.45 * broad / wide))
        cv2.warpPerspective(soft, matrix, (320, 160), dst=canvas, borderMode=cv2.BORDER_TRANSPARENT)
        seen = _unseen_fault(canvas, rng)
        corners = np.float32(quad + rng.normal(0, 0.01, (4, 2)) * wide)
        right = reader.read_cut(rectify(seen, corners, (128, 32), margin=0.02)).text == text
        by_width["60-100 px" if wide < 100 else "100-200 px"].append(right)
        by_width[kind].append(right)
        by_width["all"].append(right)
    for name, right in by_width.items():
        print(f"held-out fonts and degradations, {name}: exact {interval(sum(right), len(right))}")


def _allowed(kind: PlateKind, rng: np.random.Generator) -> str:
    """A random number that the grammar allows (training also draws serials without a digit)."""
    while refusal(text := random_text(kind, rng), kind):
        pass
    return text


def _unseen_fault(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    f = 255 * (picture / 255.0) ** rng.uniform(0.6, 1.8)
    which = rng.integers(4)
    if which == 0:  # rain
        for _ in range(int(rng.integers(20, 80))):
            x, y = int(rng.integers(320)), int(rng.integers(160))
            cv2.line(f, (x, y), (x + 2, y + int(rng.integers(6, 16))), (205.0, 205.0, 205.0), 1, cv2.LINE_AA)
    elif which == 1:  # a lamp's flicker in a rolling shutter
        f *= 1 + 0.25 * np.sin(np.arange(160) / rng.uniform(4, 20) + rng.uniform(0, 6))[:, None, None]
    elif which == 2:  # night: noise that grows with light
        f = f * 0.35
        f += rng.standard_normal(f.shape) * np.sqrt(np.maximum(f, 1)) * 1.0
    out = np.clip(f, 0, 255).astype(np.uint8)
    if which == 3:  # a poor recorder: colour at a quarter of the resolution
        ycc = cv2.cvtColor(out, cv2.COLOR_BGR2YCrCb)
        small = cv2.resize(ycc[..., 1:], (80, 40), interpolation=cv2.INTER_AREA)
        ycc[..., 1:] = cv2.resize(small, (320, 160), interpolation=cv2.INTER_LINEAR)
        out = cv2.cvtColor(ycc, cv2.COLOR_YCrCb2BGR)
    return out


def speed(reader: PlateReader) -> None:
    """Milliseconds on this machine, one thread, median of 60 after 8."""
    plate = cv2.resize(draw_plate("京A12345", PlateKind.BLUE), (128, 32))
    frame = list(approach("京A12345", PlateKind.BLUE, seed=1))[12].image
    scene = cv2.resize(frame, (320, 192))
    for name, call in (
        ("detector invoke", lambda: reader.detector_net.run(scene)),
        ("reader invoke", lambda: reader.reader_net.run(plate)),
        ("reader with grammar", lambda: reader.read_cut(plate)),
        ("frame 960x540 to text", lambda: reader.find(frame)),
    ):
        times = []
        for i in range(68):
            began = time.perf_counter()
            call()
            if i >= 8:
                times.append(1e3 * (time.perf_counter() - began))
        print(f"{name}: {statistics.median(times):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("rendered", "crops", "cars", "speed"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--plates", type=int, default=2000)
    parser.add_argument("--misses", action="store_true", help="print every miss")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    reader = load_default()
    print(f"reader {reader.entry.sha256[:16]}")
    if given.what == "speed":
        speed(reader)
    elif given.what == "rendered":
        held_out_plates(reader, given.plates)
        held_out_degradations(reader, given.plates)
    else:
        real(reader, given.folder, cropped=given.what == "crops", verbose=given.misses)


if __name__ == "__main__":
    main()
