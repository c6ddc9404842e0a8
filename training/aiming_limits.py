"""Where advice on aiming begins: plates that the reader reads, spoiled step by step. Prints a table.

    python -m training.aiming_limits [--plates 120]

Rendered one-row plates with fonts that training never saw; blur is a Gaussian of the 128 x 32 cut, dark and bright are
factors of the light (dark with noise of 4 of 255).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np

from gateway.aiming.hints import sharpness
from gateway.vision.reader import PlateReader, load_default
from training import fonts, held_out

Spoil = Callable[[np.ndarray], np.ndarray]


def readable(reader: PlateReader, count: int) -> list[held_out.HeldOut]:
    """The first `count` one-row plates that are read rightly."""
    found: list[held_out.HeldOut] = []
    for plate in held_out.plates(count * 20, fonts.unseen()):
        got = None if plate.in_two_rows else reader.read_cut(plate.cut)
        if got is not None and got.refused is None and got.text == plate.text:
            found.append(plate)
        if len(found) == count:
            break
    return found


def faults() -> list[tuple[str, Spoil]]:
    rng = np.random.default_rng(1)

    def blurred(sigma: float) -> Spoil:
        return lambda x: cv2.GaussianBlur(x, (0, 0), sigma)

    def dark(share: float) -> Spoil:
        return lambda x: np.clip(x * share + rng.normal(0, 4, x.shape), 0, 255).astype(np.uint8)

    def bright(gain: float) -> Spoil:
        return lambda x: np.clip(x * gain + (gain - 1) * 30, 0, 255).astype(np.uint8)

    return [
        *((f"blur {s} px", blurred(s)) for s in (0.3, 0.8, 1.2, 1.6, 2.0, 2.5)),
        *((f"light x {k}", dark(k)) for k in (0.5, 0.3, 0.2, 0.12)),
        *((f"light x {k}", bright(k)) for k in (1.5, 2.0, 2.5, 3.0)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plates", type=int, default=120)
    given = parser.parse_args()
    reader = load_default()
    among = readable(reader, given.plates)
    print(f"| {len(among)} plates | read | sharpness, median | light, median | clipped, mean |\n" + "| --- " * 5 + "|")
    for name, spoil in faults():
        right, rows = 0, []
        for plate in among:
            cut = spoil(plate.cut)
            grey = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY)
            got = reader.read_cut(cut)
            right += got.refused is None and got.text == plate.text
            rows.append((sharpness(grey), float(grey.mean()), float((grey >= 250).mean())))
        sharp, light, _ = np.median(rows, axis=0)
        clipped = np.mean(rows, axis=0)[2]
        print(f"| {name} | {right / len(among):.0%} | {sharp:.3f} | {light:.0f} | {clipped:.3f} |")


if __name__ == "__main__":
    main()
