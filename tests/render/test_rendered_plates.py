"""Plates are drawn the same every time, in the standard's proportions, and refuse what does not fit."""

import itertools

import numpy as np
import pytest

from sim.plates import can_say, kind_of
from sim.render.glyphs import bundled
from sim.render.plate import HANZI, LATIN, LAYOUTS, LETTERS, PROVINCES, PlateKind, draw_plate
from sim.render.sheet import EXAMPLES, contact_sheet

TEXTS = EXAMPLES
ONE_ROW = [kind for kind in PlateKind if LAYOUTS[kind].height == 140]
TWO_ROWS = [kind for kind in PlateKind if LAYOUTS[kind].height == 220]


@pytest.mark.parametrize("kind", PlateKind)
def test_every_kind_is_drawn_in_millimetres_and_repeats(kind):
    layout = LAYOUTS[kind]
    once, again = (draw_plate(TEXTS[kind], kind) for _ in range(2))
    assert once.shape == (layout.height, layout.width, 3)
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert draw_plate(TEXTS[kind], kind, px_per_mm=0.5).shape == (layout.height // 2, layout.width // 2, 3)


@pytest.mark.parametrize("kind", ONE_ROW)
def test_cells_lie_inside_the_plate_and_do_not_overlap(kind):
    layout = LAYOUTS[kind]
    ends = [cell.left + cell.width for cell in layout.cells]
    assert all(end <= cell.left for end, cell in zip(ends, layout.cells[1:], strict=False))
    assert layout.cells[0].left >= 0
    assert layout.width - ends[-1] == pytest.approx(layout.cells[0].left, abs=0.6), "left and right margins are equal"


@pytest.mark.parametrize("kind", TWO_ROWS)
def test_two_rows_are_two_characters_above_five(kind):
    layout = LAYOUTS[kind]
    above, below = layout.cells[:2], layout.cells[2:]
    assert {cell.top + cell.height for cell in above} == {75.0}
    assert {cell.top for cell in below} == {90.0}
    assert [b.left - a.left - a.width for a, b in itertools.pairwise(below)] == [15.0] * 4
    for row in (above, below):
        margins = row[0].left, layout.width - row[-1].left - row[-1].width
        assert margins[0] == pytest.approx(margins[1], abs=0.6)


def test_another_character_changes_only_its_cell():
    left, width, *_ = LAYOUTS[PlateKind.BLUE].cells[4]
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


def test_marks_are_red_where_the_standard_says_so():
    for kind, red in ((PlateKind.POLICE, -1), (PlateKind.EMBASSY, 0), (PlateKind.CONSULATE, -1)):
        picture, cell = draw_plate(TEXTS[kind], kind).astype(int), LAYOUTS[kind].cells[red]
        part = picture[25:115, round(cell.left) : round(cell.left + cell.width)]
        assert (part[..., 2] > part[..., 0] + 100).mean() > 0.15, kind
    for kind in (PlateKind.CROSS_BORDER, PlateKind.BLUE):
        picture = draw_plate(TEXTS[kind], kind).astype(int)
        assert not (picture[..., 2] > picture[..., 0] + 100).any(), kind


def test_the_large_new_energy_plate_is_yellow_then_green():
    picture = draw_plate(TEXTS[PlateKind.GREEN_LARGE], PlateKind.GREEN_LARGE)[8:18].mean(axis=0)
    assert picture[60].argmin() == 0
    assert picture[60][2] > 200
    assert picture[300].argmax() == 1


@pytest.mark.parametrize("kind", PlateKind)
def test_a_kind_says_its_example_and_the_text_tells_the_kind(kind):
    text = EXAMPLES[kind]
    assert can_say(kind, text)
    alike = {PlateKind.YELLOW: PlateKind.BLUE, PlateKind.YELLOW_TWO_ROW: PlateKind.BLUE}
    assert kind_of(text) is alike.get(kind, kind)


@pytest.mark.parametrize(
    "text", ["", "京A1234", "京AI2345", "使12345", "京A1234领x", "沪Z1234港", "粤BZ12345", "京D12345D\n"]
)
def test_what_no_plate_says_has_no_kind(text):
    assert kind_of(text) is None


def test_the_contact_sheet_repeats():
    assert np.array_equal(contact_sheet(), contact_sheet())
