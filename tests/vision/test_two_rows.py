"""Two rows become one: what stands above comes first, at the size that the reader takes."""

import cv2
import numpy as np

from gateway.vision.two_rows import SHARE, side_by_side
from sim.render.plate import LAYOUTS, PlateKind, draw_plate

SIZE = (128, 32)


def test_each_character_stays_in_its_place():
    layout = LAYOUTS[PlateKind.YELLOW_TWO_ROW]
    across = round(SIZE[0] * SHARE)
    for place, cell in enumerate(layout.cells):
        plate = np.zeros((220, 440, 3), np.uint8)
        x, y = round(cell.left), round(cell.top)
        plate[y : y + round(cell.height), x : x + round(cell.width)] = 255
        joined = side_by_side(plate, SIZE)
        assert joined.shape == (32, 128, 3)
        columns = np.flatnonzero(joined[..., 0].max(axis=0) > 128)
        middle = columns.mean()
        if place < 2:
            assert across * place / 2 <= middle < across * (place + 1) / 2
        else:
            pitch = (SIZE[0] - across) / 5
            assert across + pitch * (place - 2) <= middle < across + pitch * (place - 1)


def test_nothing_of_the_lettering_is_cut_off():
    plate = draw_plate("鲁B8K921", PlateKind.YELLOW_TWO_ROW, px_per_mm=0.5)
    joined = cv2.cvtColor(side_by_side(plate, SIZE), cv2.COLOR_BGR2GRAY)
    dark = (joined < 90).mean()
    assert dark > 0.12  # five large characters and two of the row above


def test_a_tiny_cut_still_gives_the_readers_size():
    assert side_by_side(np.zeros((3, 4, 3), np.uint8), SIZE).shape == (32, 128, 3)
