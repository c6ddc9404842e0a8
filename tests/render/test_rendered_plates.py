"""Plates are drawn the same every time, in the standard's proportions, and refuse what does not fit."""

import numpy as np
import pytest

from sim.render.glyphs import bundled
from sim.render.plate import HANZI, LATIN, LAYOUTS, LETTERS, PROVINCES, PlateKind, draw_plate

TEXTS = {PlateKind.BLUE: "京A12345", PlateKind.GREEN: "粤BD12345", PlateKind.YELLOW: "皖Q6890Z"}


@pytest.mark.parametrize("kind", PlateKind)
def test_every_kind_is_drawn_in_millimetres_and_repeats(kind):
    layout = LAYOUTS[kind]
    once, again = (draw_plate(TEXTS[kind], kind) for _ in range(2))
    assert once.shape == (layout.height, layout.width, 3)
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert draw_plate(TEXTS[kind], kind, px_per_mm=0.5).shape == (layout.height // 2, layout.width // 2, 3)


@pytest.mark.parametrize("kind", PlateKind)
def test_cells_lie_inside_the_plate_and_do_not_overlap(kind):
    layout = LAYOUTS[kind]
    ends = [left + width for left, width in layout.cells]
    assert all(end <= left for end, (left, _) in zip(ends, layout.cells[1:], strict=False))
    assert layout.cells[0][0] >= 0
    assert layout.width - ends[-1] == pytest.approx(layout.cells[0][0], abs=0.6), "left and right margins are equal"


def test_another_character_changes_only_its_cell():
    left, width = LAYOUTS[PlateKind.BLUE].cells[4]
    one, other = draw_plate("京A12345", PlateKind.BLUE), draw_plate("京A12845", PlateKind.BLUE)
    columns = np.where((one != other).any(axis=(0, 2)))[0]
    assert len(columns)
    assert left - 1 <= columns.min()
    assert columns.max() <= left + width + 1


def test_colours_are_those_of_the_kinds():
    means = {kind: draw_plate(TEXTS[kind], kind)[:8].mean(axis=(0, 1)) for kind in PlateKind}
    assert means[PlateKind.BLUE].argmax() == 0
    assert means[PlateKind.YELLOW].argmin() == 0
    low = draw_plate(TEXTS[PlateKind.GREEN], PlateKind.GREEN)[-12:-8].mean(axis=(0, 1))
    assert low.argmax() == 1


def test_the_bundled_fonts_have_every_character_and_all_differ():
    shapes = {c: bundled()(c) for c in HANZI + LATIN}
    assert len(shapes) == len(HANZI) + 34
    assert len({(s.shape, s.tobytes()) for s in shapes.values()}) == len(shapes)
    assert len(PROVINCES) == 31
    assert len(LETTERS) == 24


@pytest.mark.parametrize("text", ["", "京A1234", "京A123456", "京AI2345", "京a12345", "AA12345\n", "京A1234○"])
def test_a_text_that_does_not_fit_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match=r"a blue plate has 7 characters that plates use, got '") as e:
        draw_plate(text, PlateKind.BLUE)
    assert "\n" not in str(e.value)
