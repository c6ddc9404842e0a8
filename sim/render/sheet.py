"""One picture of everything that can be drawn, to look at: `python -m sim.render.sheet sheet.png`."""

from __future__ import annotations

import sys

import cv2
import numpy as np

from sim.render.person import walk_up
from sim.render.plate import PlateKind, draw_plate
from sim.render.scene import Picture, approach

EXAMPLES: dict[PlateKind, str] = {
    PlateKind.BLUE: "京A12345",
    PlateKind.YELLOW: "皖Q6890Z",
    PlateKind.YELLOW_TWO_ROW: "鲁B8K921",
    PlateKind.GREEN: "粤BD12345",
    PlateKind.GREEN_LARGE: "苏A31415F",
    PlateKind.POLICE: "川A0128警",
    PlateKind.EMBASSY: "使123456",
    PlateKind.CONSULATE: "沪22478领",
    PlateKind.CROSS_BORDER: "粤Z7D20港",
    PlateKind.LEARNER: "浙A3621学",
    PlateKind.TRAILER: "冀R0531挂",
}  # invented numbers
TILE = (240, 500)  # height, width
COLUMNS = 3


def contact_sheet(seed: int = 1) -> Picture:
    """Every kind of plate, a car with two of them, and somebody at a door, in tiles."""
    tiles = [_tile(draw_plate(text, kind)) for kind, text in EXAMPLES.items()]
    size = {"width": TILE[1] - 20, "height": TILE[0] - 20}
    for kind in (PlateKind.GREEN_LARGE, PlateKind.TRAILER):
        *_, last = approach(EXAMPLES[kind], kind, seed=seed, frames=3, **size)
        tiles.append(_tile(last.image))
    tiles += [_tile(seen.image) for seen in walk_up(seed=seed, frames=5, **size)]
    tiles += [np.full((*TILE, 3), 120, np.uint8)] * (-len(tiles) % COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])


def _tile(picture: Picture) -> Picture:
    tile = np.full((*TILE, 3), 120, np.uint8)
    tile[10 : 10 + picture.shape[0], 10 : 10 + picture.shape[1]] = picture
    return tile


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], contact_sheet())
