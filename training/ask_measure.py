"""What a door asks of a face, on drawn heads: `python -m training.ask_measure [--heads N] [--kind live|screen_video]`.

The product's own path on virtual time: the asking is drawn and judged by `FaceWatch` with the fetched nets, shown by
core's plan, and a drawn head does what the display says, with its light on it; or a video of somebody who does
something else, on a screen, does not. Nothing here trains or chooses.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.control.face_asks import plan
from gateway.model import FaceAsk as ShownAsk
from gateway.model import ShowText
from gateway.vision.camera_folder import RawFrame
from gateway.vision.faces import report, threshold
from gateway.vision.faces.asking import Asking, Wanted
from gateway.vision.faces.presentation import judge
from gateway.vision.faces.reader import FaceReader, load
from gateway.vision.faces.report import FaceAsk, FaceAttack, FaceSeen
from gateway.vision.faces.watch import Enrolled, FaceWatch
from sim.face_doorway import Reader, drawn, followed
from training.measure import interval

FIRST = 30_000  # seed of the first visit; no setting was looked at on these
SIZE, FPS, FOR_S = (360, 360), 8, 12
LAG_MS, TOLD_MS, BUS_MS = 60, 100, 50  # picture to us; ask to its first text; a command to the reader
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
Randomness = Callable[[int], bytes]


@dataclass
class Portal:
    """The reader of the door as whoever stands there sees it, and the clock of the visit (sim.door, sim.timeline)."""

    text: str = ""
    led: str = "off"
    now_ms: float = 0.0


class Camera:
    """The name of a camera; frames are handed in."""

    name = "lobby"


@dataclass
class Outcome:
    """What was told of one visit; None where nothing was. asked: the steps."""

    told: FaceSeen | FaceAttack | None
    asked: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """One word for a table: in, the attack's cause, or the first reason."""
        if isinstance(self.told, FaceAttack):
            return self.told.cause
        if self.told is None:
            return "nothing"
        return "in" if self.told.bona_fide and self.told.asked else self.told.pad_reasons[0]


def visit(
    reader: FaceReader, kind: str, face: int, seed: int, asks: frozenset[str], randomness: Randomness = os.urandom
) -> Outcome:
    """One visit, from an empty doorway to what the camera tells of it. `kind` of sim.render.heads.show."""
    portal = Portal()
    table = threshold.read_thresholds(threshold.SHIPPED, reader.embedder.sha256)
    length = next(iter(reader.embedder.net.output_shapes.values()))[-1]
    enrolled = Enrolled(table, 0.02, 0.015, length, reader.embedder.sha256, lambda: round(portal.now_ms))
    enrolled.take(report.GalleryLine(1, _references(reader, face)))
    asking = Asking(Camera.name, Wanted(asks), randomness, alone_here=True)
    frames = followed(kind, face, seed, SIZE, FPS, FOR_S, Reader(portal, portal, seed))  # type: ignore[arg-type]
    due: list[tuple[float, Callable[[], None]]] = []
    steps: tuple[str, ...] = ()
    with ThreadPoolExecutor(1) as inference:
        watch = FaceWatch(Camera, reader, enrolled, judge, _nobody, inference, asking=asking)  # type: ignore[arg-type]
        while (frame := next(frames, None)) is not None:
            data = cv2.imencode(".jpg", frame.image, JPEG)[1].tobytes()
            seen_ms = round(portal.now_ms) + LAG_MS
            told = watch.frame(RawFrame("frame.jpg", data, seen_ms))
            if isinstance(told, FaceAsk):
                steps = told.steps
                due += _shown(portal, told, seen_ms + TOLD_MS)
                watch.heard(report.ShownLine(Camera.name, told.id, True), seen_ms + TOLD_MS)
            elif isinstance(told, FaceSeen | FaceAttack):
                return Outcome(told, steps)
            portal.now_ms += 1000 / FPS
            for _, do in sorted((one for one in due if one[0] <= portal.now_ms), key=lambda one: one[0]):
                do()
            due = [one for one in due if one[0] > portal.now_ms]
    return Outcome(None, steps)


def _nobody(told: object) -> None:
    """What a frame returns is looked at instead."""


def _references(reader: FaceReader, face: int) -> list[report.Reference]:
    """As the desk takes them: other pictures of the same head."""
    found = []
    for frame in drawn("live", face, 7, SIZE, 2, 1.5):
        picture = np.ascontiguousarray(frame.image, np.uint8)
        seen = reader.nearest(picture)
        if seen is not None:
            numbers = reader.embed(picture, seen.face).astype("<f4").tobytes()
            found.append(report.Reference("holder", (Camera.name,), numbers))
    return found


def _shown(portal: Portal, ask: FaceAsk, begins_ms: int) -> list[tuple[float, Callable[[], None]]]:
    """What core's plan does to the reader, and when."""
    light = (ask.slots, ask.slot_ms, ask.observed_ms, ask.lead_ms)
    due: list[tuple[float, Callable[[], None]]] = []
    for moment in plan(ShownAsk(ask.camera, ask.id, ask.steps, ask.step_ms, *light), display=True):
        at_ms, command = begins_ms + moment.after_ms + (BUS_MS if moment.after_ms else 0), moment.command
        if isinstance(command, ShowText):
            due.append((at_ms, lambda text=command.text: setattr(portal, "text", text)))  # type: ignore[misc]
        elif command.for_ms:  # type: ignore[union-attr]
            due.append((at_ms, lambda: setattr(portal, "led", "amber")))
            due.append((at_ms + command.for_ms, lambda: setattr(portal, "led", "off")))  # type: ignore[union-attr]
    return due


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.ask_measure", description=__doc__.partition("\n")[0])
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--kind", action="append", choices=("live", "screen_video"))
    parser.add_argument("--asks", action="append", choices=("challenge", "light", "both"))
    told = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    reader = load(must_be_accepted=False)
    for asks in told.asks or ["challenge", "light", "both"]:
        wanted = frozenset({"challenge", "light"} if asks == "both" else {asks})
        for kind in told.kind or ["live", "screen_video"]:
            words: Counter[str] = Counter()
            for n in range(told.heads):
                one = visit(reader, kind, n, told.first + n, wanted)
                words[one.word] += 1
                print(f"  {asks} {kind} {n}: {one.word} {' '.join(one.asked)}", file=sys.stderr, flush=True)
            print(
                f"{asks}, {kind}: let in {interval(words['in'], told.heads)}; {dict(words.most_common())}", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
