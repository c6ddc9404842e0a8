"""The sheet of misses: what it says follows from what was measured."""

import cv2
import numpy as np
import pytest

from sim.render.plate import PlateKind, draw_plate
from training import contact_sheet
from training.contact_sheet import Miss, causes, faults, slant_degrees

PLATE = cv2.resize(draw_plate("京A12345", PlateKind.BLUE), (128, 32), interpolation=cv2.INTER_AREA)
CORNERS = np.float32([[0, 0], [128, 0], [128, 32], [0, 32]])


def miss(label, read, *, score=0.9, label_score=0.01, by="own", corners=CORNERS, file="1.jpg"):
    return Miss(PLATE, file, label, read, by, corners, score, label_score)


def slanted(degrees):
    drop = np.tan(np.radians(degrees)) * 128
    matrix = np.float32([[1, 0, 0], [0, 0.7, 4.8 - drop / 2]]) + np.float32([[0, 0, 0], [drop / 128, 0, 0]])
    return cv2.warpAffine(PLATE, matrix, (128, 32), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("degrees", [-5, 0, 4])
def test_the_slant_of_a_row_of_characters(degrees):
    assert slant_degrees(slanted(degrees)) == pytest.approx(degrees, abs=1.5)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (miss("京A12340", "京A1234D"), "characters that look alike"),
        (miss("豫A12345", "陕A12345"), "the province"),
        (miss("皖AD14488", "皖AD1488"), "7 characters for 8: equal neighbours run together"),
        (miss("皖AS371Z", "皖A83712"), "characters that look alike"),
        (miss("皖AS3712", "皖A37125"), "a part of the row shifted by one place"),
        (miss("京A12345", "京A12845", label_score=0.5), "the right number was a near second"),
        (miss("京A12345", "", corners=None), "no plate found"),
        (miss("京A12345", ""), "found, but no number there was likely enough"),
    ],
)
def test_what_the_numbers_point_to(made, said):
    assert said in causes(made)


def test_a_province_alone_is_nothing_else():
    assert causes(miss("豫A12345", "陕A12345")) == ["the province"]


def test_what_is_wrong_with_the_picture_is_said_and_only_then():
    assert faults(128, 0.5, 2) == []
    assert faults(40, 0.1, -9) == ["soft", "slanted", "narrow"]


def test_each_file_has_one_tile_with_margins(tmp_path):
    misses = [miss("京A12345", "京A1234S", by=by) for by in ("own", "vote")]
    misses += [miss("豫A12345", "", corners=None, file=f"{n}.jpg") for n in range(2, 5)]
    contact_sheet.write(misses, tmp_path / "build" / "misses.png")
    sheet = cv2.imread(str(tmp_path / "build" / "misses.png"))
    wide, high = contact_sheet.TILE
    assert sheet.shape == (2 * high, contact_sheet.COLUMNS * wide, 3)
    tile = sheet[:high, :wide]
    assert (tile[: contact_sheet.EDGE - 1, 4:-4][3:] == 255).all(), "the margin"
    assert (tile < 128).any(), "something is written"
    assert (sheet[high:, 2 * wide :] == 255).all(), "no sixth file, no tile"
