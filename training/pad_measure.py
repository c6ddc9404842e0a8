"""Error rates of presentation-attack detection on rendered sequences: `python -m training.pad_measure [--heads N]`.

Two tables from seeds that the settings were not chosen on. Through the nets: pictures are rendered, faces found and
measured as at a door, and `judge` is asked. With known landmarks: the renderer's own points with the nets' jitter
added, many more sequences, for what needs no pixels (challenge). Rates are those of ISO/IEC 30107-3: APCER, the share
of attacks taken for a face, by kind; BPCER, the share of faces not taken for one. Nothing here trains or chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gateway.vision import models
from gateway.vision.faces import detect, mesh
from gateway.vision.pad import challenge as challenges
from gateway.vision.pad import relief
from gateway.vision.pad.challenge import Challenge, Step
from gateway.vision.pad.evidence import Verdict, judge
from gateway.vision.pad.light_code import LightCode
from gateway.vision.pad.look import Finding, Look, patch_of
from gateway.vision.pad.settings import PadSettings
from gateway.vision.runtime import Net
from sim.render.heads import show
from sim.render.heads.motion import Act
from sim.render.heads.show import Stage
from training.measure import interval

TUNING, REPORTING = 0, 10_000  # first seeds; the settings were chosen on TUNING's
STEP_MS, SPAN_MS = 150, 2400
CHALLENGE_STEPS, BEFORE_MS, WINDOW_MS = 3, 900, 2000
CHALLENGE_EVERY = 3  # heads: these sequences are long
# Of the nets' landmarks on rendered live sequences (docs/pad.md, "Jitter"): white, and along the face's relief.
JITTER, RELIEF_JITTER = 0.0015, 0.015
NAMES = {
    "live": "living head", "live_still": "living head that keeps still", "print_flat": "print, flat",
    "print_bent": "print, bent", "print_flexed": "print, being bent", "mask_eyes": "bent print with eye holes, worn",
    "screen_still": "picture on a screen", "screen_video": "video on a screen",
}  # fmt: skip


@dataclass
class Row:
    """One kind's outcomes."""

    taken: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    accused_by: Counter[str] = field(default_factory=Counter)


@cache
def _nets() -> tuple[Net, Net]:
    detector, mesher = (models.published(name, must_be_accepted=False) for name in ("face-detector", "face-mesh"))
    return Net(detector.content, detector.entry.name), Net(mesher.content, mesher.entry.name)


def _looks(frames: Sequence[show.Frame]) -> list[Look]:
    """What the nets make of frames; a frame without a face is left out."""
    detector, mesher = _nets()
    found = []
    for frame in frames:
        if frame.image is None:
            continue
        faces = detect.find(detector, frame.image)
        if faces:
            face, _ = mesh.landmarks(mesher, frame.image, faces[0])
            found.append(Look(frame.at_ms, face.mesh, face.box, patch_of(frame.image, face.box)))
    return found


def _stage(kind: str, **more: object) -> tuple[str, Stage]:
    turn = 0.01 if kind == "live_still" else None
    return ("live" if kind == "live_still" else kind), Stage(turn=turn, **more)  # type: ignore[arg-type]


def passive(kind: str, seed: int) -> dict[str, Verdict]:
    """One sequence of a person who looks round, or an attack: judged as it is, and knowing the door's light code."""
    slots = SPAN_MS // (2 * STEP_MS)
    rng = np.random.default_rng([seed, 7])
    code = LightCode(0, 2 * STEP_MS, tuple(bool(v) for v in rng.permutation(slots) < slots // 2))
    times = tuple(range(0, SPAN_MS, STEP_MS))
    looks = _looks(show.play(*_order(kind, seed, times_ms=times, lamp=tuple(code.on(t) for t in times))))
    return {"as it is": judge(looks), "with light code": judge(looks, light=code)}


def _order(kind: str, seed: int, **more: object) -> tuple[str, int, Stage]:
    what, stage = _stage(kind, **more)
    return what, seed, stage


def asked(kind: str, seed: int, *, pictures: bool) -> tuple[Challenge, list[show.Frame]]:
    """One sequence during a challenge. A living head does what is asked; a video shows somebody doing another one."""
    rng = np.random.default_rng([seed, 8])
    steps = challenges.choices(CHALLENGE_STEPS)
    wanted = steps[rng.integers(len(steps))]
    done = wanted if kind.startswith("live") else steps[rng.integers(len(steps))]
    acts = tuple(
        Act(step.value, BEFORE_MS + i * WINDOW_MS + int(rng.uniform(300, 700)), int(rng.uniform(900, 1250)))
        for i, step in enumerate(done)
    )
    times = tuple(range(0, BEFORE_MS + CHALLENGE_STEPS * WINDOW_MS, STEP_MS))
    what, stage = _stage(kind, times_ms=times, acts=acts, source_acts=acts, pictures=pictures)
    return Challenge(wanted, BEFORE_MS, WINDOW_MS), show.play(what, seed, stage)


def jittered(frames: Sequence[show.Frame], seed: int) -> list[Look]:
    """The renderer's landmarks with the nets' jitter."""
    rng = np.random.default_rng([seed, 9])
    numbers, depth = relief.face_relief()
    found = []
    for frame in frames:
        spots = frame.mesh.copy()
        eyes = float(np.linalg.norm(spots[33, :2] - spots[263, :2]))
        spots[:, :2] += rng.normal(0, JITTER * eyes, (len(spots), 2))
        spots[numbers, :2] += depth[:, None] * rng.normal(0, RELIEF_JITTER * eyes, 2)
        low, high = spots[:, :2].min(0), spots[:, :2].max(0)
        found.append(Look(frame.at_ms, spots, (low[0], low[1], high[0] - low[0], high[1] - low[1])))
    return found


def through_nets(task: tuple[str, int, bool]) -> dict[str, Any]:
    """A worker's job, one sequence of one kind: what was judged, as plain values."""
    cv2.setNumThreads(1)
    kind, seed, challenged = task
    if challenged:
        challenge, frames = asked(kind, seed, pictures=True)
        verdicts = {"with challenge": judge(_looks(frames), challenge)}
    else:
        verdicts = passive(kind, seed)
    first = next(iter(verdicts.values()))
    return {
        "kind": kind,
        "seed": seed,
        "challenged": challenged,
        "taken": {how: verdict.bona_fide for how, verdict in verdicts.items()},
        "reasons": {how: verdict.reasons for how, verdict in verdicts.items()},
        "accused": [] if challenged else sorted(c.name for c in first.cues if c.finding is Finding.ATTACK),
        "evidence": {c.name: {k: round(v, 4) for k, v in c.evidence.items()} for c in first.cues[:3]},
    }


def _tasks(heads: int, first: int) -> Iterator[tuple[str, int, bool]]:
    """Every kind of every head; for one head in CHALLENGE_EVERY also during a challenge."""
    for number in range(heads):
        for kind in NAMES:
            yield kind, first + number, False
        if number % CHALLENGE_EVERY == CHALLENGE_EVERY - 1:
            for kind in NAMES:
                yield kind, first + number, True


def measured(heads: int, first: int, jobs: int, keep: Path | None, budget_s: float) -> list[dict[str, Any]]:
    """Every outcome; those in `keep` are taken from there, new ones added to it, none begun after the budget."""
    found = [json.loads(line) for line in keep.read_text().splitlines()] if keep is not None and keep.exists() else []
    known = {(one["kind"], one["seed"], one["challenged"]) for one in found}
    waiting = [task for task in _tasks(heads, first) if task not in known]
    began = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        for at in range(0, len(waiting), 2 * jobs):
            if time.monotonic() - began > budget_s:
                print(f"  stopped after {budget_s:.0f} s: {len(waiting) - at} left", file=sys.stderr)
                break
            for outcome in pool.map(through_nets, waiting[at : at + 2 * jobs]):
                found.append(outcome)
                if keep is not None:
                    with keep.open("a") as file:
                        file.write(json.dumps(outcome) + "\n")
    return found


def net_table(outcomes: Sequence[dict[str, Any]]) -> None:
    """Print APCER and BPCER through the nets."""
    rows = {kind: Row() for kind in NAMES}
    for one in outcomes:
        for how, taken in one["taken"].items():
            rows[one["kind"]].asked[how] += 1
            rows[one["kind"]].taken[how] += taken
            if taken != one["kind"].startswith("live"):
                print(
                    f"  wrong: {one['kind']} {one['seed']} {how} {one['reasons'][how]} {one['evidence']}",
                    file=sys.stderr,
                )
        rows[one["kind"]].accused_by.update(one["accused"])
    ways = ("as it is", "with light code", "with challenge")
    print("\nThrough the nets: sequences taken for a face (attacks: APCER; living heads: 1 - BPCER)\n")
    print("| shown | " + " | ".join(ways) + " | accused by (as it is) |\n| --- " + "| --- " * (len(ways) + 1) + "|")
    for kind, row in rows.items():
        cells = [interval(row.taken[how], row.asked[how]) for how in ways]
        accused = ", ".join(f"{name} {count}" for name, count in row.accused_by.most_common()) or "none"
        print(f"| {NAMES[kind]} | " + " | ".join(cells) + f" | {accused} |")


def landmark_table(count: int, first: int) -> None:
    """Print what landmarks alone tell, without pixels: relief, and the challenge."""
    settings = PadSettings()
    print(f"\nLandmarks of the renderer with jitter {JITTER} and {RELIEF_JITTER} along the relief, no pixels\n")
    print(
        "| shown | relief: a solid face | challenge done | challenge: something else done |\n| --- | --- | --- | --- |"
    )
    for kind, name in NAMES.items():
        solid = done = wrong = 0
        for seed in range(first, first + count):
            frames = show.play(*_order(kind, seed, pictures=False, times_ms=tuple(range(0, SPAN_MS, STEP_MS))))
            cue = relief.examine(jittered(frames, seed), settings, asked_to_turn=False)
            solid += cue.finding is Finding.GENUINE
            challenge, frames = asked(kind, seed, pictures=False)
            answer = challenges.examine(jittered(frames, seed), challenge, settings).finding
            done, wrong = done + (answer is Finding.GENUINE), wrong + (answer is Finding.ATTACK)
        print(f"| {name} | {interval(solid, count)} | {interval(done, count)} | {interval(wrong, count)} |")
    by_chance = 1 / len(challenges.choices(CHALLENGE_STEPS))
    print(
        f"\n{CHALLENGE_STEPS} steps of {len(Step)}: {round(1 / by_chance)} challenges, {100 * by_chance:.1f} % guessed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=60, help="heads of each kind through the nets")
    parser.add_argument("--landmarks", type=int, default=300, help="sequences of each kind with known landmarks")
    parser.add_argument("--first", type=int, default=REPORTING, help="first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--keep", type=Path, help="file of outcomes: what is in it is not measured again")
    parser.add_argument("--budget-s", type=float, default=float("inf"), help="begin nothing new after this")
    given = parser.parse_args()
    if given.landmarks:
        landmark_table(given.landmarks, given.first)
    if given.heads:
        net_table(measured(given.heads, given.first, given.jobs, given.keep, given.budget_s))


if __name__ == "__main__":
    main()
