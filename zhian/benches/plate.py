"""A picture to text: the whole pipeline against the bare invokes that it used, in the same run."""

from __future__ import annotations

import statistics
import time

import cv2
import numpy as np

from gateway.vision.reader import load_default
from gateway.vision.runtime import Net
from sim.render.plate import PlateKind
from sim.render.scene import approach
from zhian.benches import Figure, absolute, against

FRAMES = 12
ROUNDS = 5
WIDTH, HEIGHT = 1920, 1080
MOST_INVOKES = 8  # one look, three closer looks, a reading of each find


def run() -> list[Figure]:
    """Median over rendered 1080p frames with one car; decoding the JPEG is not counted."""
    cv2.setNumThreads(1)
    plates = load_default(threads=1)
    frames = [f.image for f in approach("京A12345", PlateKind.BLUE, seed=1, frames=FRAMES, width=WIDTH, height=HEIGHT)]
    nets = (plates.detector_net, plates.reader_net)
    bare_s = [_bare_s(net) for net in nets]
    taken_s, ceiling_s, most = [], [], 0
    for image in frames * ROUNDS:
        before = [net.invokes for net in nets]
        began = time.perf_counter()
        plates.find(image)
        taken_s.append(time.perf_counter() - began)
        used = [net.invokes - was for net, was in zip(nets, before, strict=True)]
        most = max(most, sum(used))
        ceiling_s.append(sum(n * bare for n, bare in zip(used, bare_s, strict=True)))
    value, ceiling = statistics.median(taken_s) * 1000, statistics.median(ceiling_s) * 1000
    return [
        against("plate: 1080p frame to text", value, "ms", ceiling, 1.25, "lower"),
        absolute("plate: invokes per frame, most", most, "invokes", MOST_INVOKES, "lower"),
    ]


def _bare_s(net: Net) -> float:
    """Median of running the net on noise; conversion of the pixels included, as in use."""
    _, high, wide, _ = net.input_shape
    noise = np.random.default_rng(1).integers(0, 255, (high, wide, 3), dtype=np.uint8)
    taken = []
    for _ in range(40):
        began = time.perf_counter()
        net.run(noise)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[8:])
