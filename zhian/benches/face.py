"""A frame to an identity among 10 000: the whole pipeline against the bare invokes that it used, in the same run.

A speed figure: the 10 000 are random directions, and nothing is said about error rates among so many.
"""

from __future__ import annotations

import statistics
import time

import cv2
import numpy as np

from gateway.errors import VisionError
from gateway.vision.faces.gallery import Gallery
from gateway.vision.faces.reader import FaceReader, load
from gateway.vision.runtime import Net
from sim.render.heads import show
from zhian.benches import Figure, absolute, against

ENROLLED = 10_000
ROUNDS = 15
WIDTH, HEIGHT = 1280, 720


def run() -> list[Figure]:
    """Median CPU time over frames of a drawn head at a door; decoding the JPEG is not counted. [] without models."""
    cv2.setNumThreads(1)
    try:
        reader = load(must_be_accepted=False)
    except VisionError as e:
        print(f"(face: {e})")
        return []
    frames = [_at_a_door(f.image.astype(np.uint8)) for f in show.play(show.LIVE, 4, show.Stage(times_ms=(0, 150, 300)))]
    directions = np.random.default_rng(1).normal(
        size=(ENROLLED, reader.embed(frames[0], _seen(reader, frames[0]).face).size)
    )
    gallery = Gallery.of(1, ((f"h{n}", row.astype(np.float32)) for n, row in enumerate(directions)))
    nets = (reader.detector, reader.mesher, reader.embedder.net)
    taken_s, ceiling_s, most = [], [], 0
    for image in frames * ROUNDS:
        bare_s = [_bare_s(net) for net in nets]  # beside every frame: the machine is not always as fast
        before = [net.invokes for net in nets]
        began = time.process_time()
        gallery.nearest(reader.embed_seen(image, _seen(reader, image)))
        taken_s.append(time.process_time() - began)
        used = [net.invokes - was for net, was in zip(nets, before, strict=True)]
        most = max(most, sum(used))
        ceiling_s.append(sum(n * bare for n, bare in zip(used, bare_s, strict=True)))
    value, ceiling = statistics.median(taken_s) * 1000, statistics.median(ceiling_s) * 1000
    return [
        against("face: 720p frame to identity among 10 000", value, "ms CPU", ceiling, 1.25, "lower"),
        absolute("face: invokes per frame, most", most, "invokes", reader.most_invokes, "lower"),
    ]


def _seen(reader: FaceReader, image):  # type: ignore[no-untyped-def]
    seen = reader.nearest(image)
    assert seen is not None  # drawn heads are found; the tests hold that
    return seen


def _at_a_door(head):  # type: ignore[no-untyped-def]
    frame = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    frame[180:720, 370:910] = cv2.resize(head, (540, 540), interpolation=cv2.INTER_LINEAR)
    return frame


def _bare_s(net: Net) -> float:
    """Median of five bare runs on noise."""
    noise = np.random.default_rng(1).uniform(-1, 1, net.input_shape[1:]).astype(np.float32)
    taken = []
    for _ in range(5):
        began = time.process_time()
        net.run_ready(noise)
        taken.append(time.process_time() - began)
    return statistics.median(taken)
