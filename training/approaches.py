"""Whole visits through the whole path, and empty hours: what a gate would see. Part of `make accuracy`.

    python -m training.approaches [--visits 300] [--hours 0.5] [--reader own|published]

Each visit is drawn from seeds of its own (place, car, number, light, way); two of three drive up, one drives away.
A visit is right where exactly one observation came with the right number; its direction is counted apart. An empty hour
is many places of a minute each, with noise, wandering light, somebody who walks through, and a board with lettering,
five pictures a second: what is stated is false observations per hour, with a bound of 95 %.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

import cv2
import numpy as np

from gateway.vision.grammar import refusal
from gateway.vision.lane import Lane
from gateway.vision.picture import Picture
from gateway.vision.reader import PlateReader, load_default, load_vote
from gateway.vision.visit import Visits
from sim.render.plate import PlateKind
from sim.render.scene import Sensor, approach, empty_scene, place_background
from training.measure import SETTINGS, interval
from training.plate_samples import random_text

FRAME_MS = 100
EMPTY_FRAME_MS = 200
FRAMES = 24
SEED, EMPTY_SEED = 99_000, 98_000
KINDS = (PlateKind.BLUE, PlateKind.GREEN)  # the kinds that the scene can draw and every reader knows
CHARACTERS = "出入口停车场京A0123456789BCDEFGHJKL"
SECONDS_A_PLACE = 60


def visit(reader: PlateReader, number: int, kind: PlateKind) -> tuple[bool, bool, int]:
    """Whether one right observation came, whether its direction was right, and how many came."""
    rng = np.random.default_rng([SEED, number])
    while refusal(text := random_text(kind, rng), kind):
        pass
    leaving = number % 3 == 2
    lane = Lane(reader, Visits(*SETTINGS))
    place = int(rng.integers(1 << 30))
    for n in range(3):
        lane.frame(empty_scene(seed=number, background_seed=place), n * FRAME_MS)
    seen, now_ms = [], 3 * FRAME_MS
    for frame in approach(text, kind, seed=SEED + number, frames=FRAMES, background_seed=place, leaving=leaving):
        seen += lane.frame(frame.image, now_ms)
        now_ms += FRAME_MS
    for _ in range(12):
        now_ms += 250
        seen += lane.quiet(now_ms)
    right = [one.text for one in seen] == [text]
    direction = right and seen[0].direction == ("leaving" if leaving else "approaching")
    return right, direction, len(seen)


def visits(reader: PlateReader, count: int) -> None:
    """The table of visits."""
    rows: dict[str, list[bool]] = defaultdict(list)
    many: list[int] = []
    began = time.monotonic()
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        right, direction, seen = visit(reader, number, kind)
        for row in ("all", kind.value, "leaving" if number % 3 == 2 else "approaching"):
            rows[f"one right observation, {row}"].append(right)
        if right:
            rows["and its direction is right (the rest: unknown or wrong)"].append(direction)
        if not right:
            many.append(seen)
        if (number + 1) % 50 == 0:
            print(f"  {number + 1}/{count} visits in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"\n| visits of {FRAMES} frames, 960x540 | |\n| --- | --- |")
    for name, results in rows.items():
        print(f"| {name} | {interval(sum(results), len(results))} |")
    print(f"| of the others: none, one wrong, several | {many.count(0)}, {many.count(1)}, {sum(n > 1 for n in many)} |")


def empty_minute(number: int) -> Iterator[Picture]:
    """A minute of a place without plates: light that wanders, people, shadows, a board with lettering."""
    rng = np.random.default_rng([EMPTY_SEED, number])
    scene = place_background(EMPTY_SEED + number, 960, 540).copy()
    _board(scene, rng)
    sensor = Sensor(scene.shape[:2], rng.uniform(2, 7), rng)
    gain, speed = rng.uniform(0.7, 1.2), rng.uniform(2, 12)
    at, top, wide = rng.uniform(-200, 960), rng.uniform(150, 300), rng.uniform(30, 110)
    colour = rng.uniform(20, 230, 3)
    for n in range(SECONDS_A_PLACE * 1000 // EMPTY_FRAME_MS):
        picture = scene.copy()
        x = int((at + speed * n) % 1400 - 200)
        cv2.rectangle(picture, (x, int(top)), (x + int(wide), int(top + 2.6 * wide)), colour.tolist(), -1)
        cv2.circle(picture, (x + int(wide / 2), int(top)), int(wide / 2.5), (colour * 0.7).tolist(), -1, cv2.LINE_AA)
        yield sensor.expose(picture, gain * (1 + 0.1 * math.sin(n / 40)) + rng.normal(0, 0.01))


def _board(scene: Picture, rng: np.random.Generator) -> None:
    """Something with characters on it that is no plate, as parking signs and advertisements have them."""
    from PIL import Image, ImageDraw, ImageFont

    from sim.render.glyphs import FONTS

    size = int(rng.integers(16, 60))
    hanzi, latin = (ImageFont.truetype(str(FONTS / name), size) for name in ("plate-hanzi.ttf", "plate-latin.ttf"))
    back, ink = rng.integers(0, 255, 3), rng.integers(0, 255, 3)
    text = [CHARACTERS[c] for c in rng.integers(0, len(CHARACTERS), int(rng.integers(3, 7)))]
    wide, high = int(size * 0.7 * (len(text) + 1)), int(size * rng.uniform(1.2, 2))
    board = Image.new("RGB", (wide, high), tuple(int(v) for v in back))
    pen, x = ImageDraw.Draw(board), size // 3
    for character in text:
        font = latin if character.isascii() else hanzi
        pen.text((x, 1), character, font=font, fill=tuple(int(v) for v in ink))
        x += int(font.getlength(character)) + 2
    left, top = int(rng.integers(0, max(1, 960 - wide))), int(rng.integers(0, max(1, 540 - high)))
    part = np.asarray(board)[: 540 - top, : 960 - left]
    scene[top : top + part.shape[0], left : left + part.shape[1]] = part


def empty_hours(reader: PlateReader, hours: float) -> None:
    """False observations per hour, with the bound that Poisson gives."""
    minutes, wrong, looked, frames = max(1, round(hours * 3600 / SECONDS_A_PLACE)), 0, 0, 0
    for number in range(minutes):
        lane = Lane(reader, Visits(*SETTINGS))
        now_ms = 0
        for picture in empty_minute(number):
            wrong += len(lane.frame(picture, now_ms))
            now_ms += EMPTY_FRAME_MS
        wrong += len(lane.quiet(now_ms + 1000))
        looked, frames = looked + lane.looked, frames + lane.looked + lane.skipped
    shown = minutes * SECONDS_A_PLACE / 3600
    print(f"\n| {minutes} places without plates, {SECONDS_A_PLACE} s each | |\n| --- | --- |")
    print(f"| false observations | {wrong} in {shown:.2f} h |")
    print(f"| per hour, at most (95 %) | {poisson_bound(wrong) / shown:.2f} |")
    print(f"| frames that were looked at | {looked}/{frames} |")


def poisson_bound(events: int) -> float:
    """The mean below which so few events would come with 5 % only: the one-sided bound of 95 %."""
    low, high = float(events), 3.0 * events + 10
    for _ in range(60):
        middle = (low + high) / 2
        terms = [math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(events + 1)]
        low, high = (middle, high) if sum(terms) > 0.05 else (low, middle)
    return high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=300)
    parser.add_argument("--hours", type=float, default=0.5)
    parser.add_argument("--reader", choices=("own", "published", "vote"), default="own")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    own = given.reader == "own"
    reader = load_default() if own else load_vote(own_votes=given.reader == "vote", must_be_accepted=False)
    print(f"{given.reader}: reader {reader.entry.name} {reader.entry.sha256[:16]}")
    if given.visits:
        visits(reader, given.visits)
    if given.hours:
        empty_hours(reader, given.hours)


if __name__ == "__main__":
    main()
