"""Supervised inputs: every reading has one meaning, in both interpreters, with every part at its worst."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from interpreters import INTERPRETERS, ROOT, printed

from firmware.drivers.heartbeats import Heartbeats
from firmware.drivers.loops import CLOSED, CUT, OPEN, SHORT, SUPERVISED, Bands, SupervisedInput

sys.path.insert(0, str(ROOT / "setup"))
from firmware_board import Board, BoardError, load, readings

BANDS = Bands(160, 490, 830)
BOARDS = sorted(p for p in (ROOT / "firmware" / "boards").glob("*.toml") if p.stem != "unix")


@pytest.mark.parametrize(
    ("permille", "state"),
    [(0, SHORT), (159, SHORT), (160, CLOSED), (312, CLOSED), (489, CLOSED), (490, OPEN), (662, OPEN), (829, OPEN),
     (830, CUT), (1000, CUT)],
)  # fmt: skip
def test_a_reading_is_one_of_four(permille: int, state: str) -> None:
    assert BANDS.state(permille) == state


@pytest.mark.parametrize("borders", [(0, 1, 2), (2, 1, 3), (1, 2, 1001), (1, 1, 2)])
def test_bands_that_do_not_rise_are_refused(borders: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="rising"):
        Bands(*borders)


@pytest.mark.parametrize(
    ("name", "permille", "level", "fault"),
    [
        ("contact", 312, 0, None), ("contact", 662, 1, None), ("contact", 0, 1, SHORT), ("contact", 1000, 1, CUT),
        ("rex", 312, 0, None), ("rex", 662, 1, None), ("rex", 0, 1, SHORT), ("rex", 1000, 1, CUT),
        ("fire", 312, 0, None), ("fire", 662, 1, None), ("fire", 0, 0, SHORT), ("fire", 1000, 1, CUT),
    ],
)  # fmt: skip
def test_what_a_damaged_wire_counts_as(name: str, permille: int, level: int, fault: str | None) -> None:
    """Level 1 is open: a door that is open, nobody at the button, fire."""
    source = SupervisedInput(name, BANDS)
    source.sample(permille)
    assert (source.level, source.fault) == (level, fault)


def test_one_disturbed_reading_changes_nothing() -> None:
    source = SupervisedInput("contact", BANDS)
    for permille in (312, 312, 1000, 312, 0, 312, 312):
        source.sample(permille)
        assert (source.level, source.fault) == (0, None)
    source.sample(662)
    source.sample(662)
    assert source.level == 1


def test_only_inputs_with_a_rule_for_damage_are_supervised() -> None:
    assert set(SUPERVISED) == {"contact", "rex", "fire"}
    with pytest.raises(KeyError):
        SupervisedInput("tamper", BANDS)


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.stem)
def test_the_bands_hold_with_every_part_at_its_worst(path: Path) -> None:
    board = load(path)
    bands = Bands(*board.bands)
    for state, (low, high) in readings(board.loop).items():
        for permille in (max(0, round(low)), min(1000, round(high))):
            assert bands.state(permille) == state, (state, permille)


SCRIPT = """
from firmware.drivers.loops import Bands, SUPERVISED, SupervisedInput
bands = Bands(160, 490, 830)
for name in sorted(SUPERVISED):
    source = SupervisedInput(name, bands)
    for at in range(0, 5000):
        source.sample(at * 7919 % 1001)
        if at % 250 == 0:
            print(name, source.level, source.fault)
print("".join([bands.state(at)[0] for at in range(0, 1001, 10)]))
"""


def test_both_interpreters_classify_alike() -> None:
    said = {name: printed(name, SCRIPT) for name in INTERPRETERS}
    assert said["cpython"] == said["micropython"]
    assert len(said["cpython"]) == 61


def test_the_watchdog_is_fed_only_while_every_task_goes_round() -> None:
    beats = Heartbeats(("bus", "pins"), 4000, 0)
    assert beats.late(4000) is None
    assert beats.late(4001) in ("bus", "pins")
    beats.beat("bus", 4000)
    assert beats.late(4001) == "pins"
    beats.beat("pins", 4001)
    assert beats.late(8000) is None
    with pytest.raises(KeyError):
        beats.beat("clock", 0)


def board_with(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "firmware" / "boards" / "pico.toml").read_text()
    assert text.count(old) == 1, old
    path = tmp_path / "pico.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gpio = 3, rest = 0", "gpio = 4, rest = 0", "already"),
        ("gpio = 9, pull", "gpio = 22, pull", "the GPIO after wiegand_d0"),
        ("bands = [160, 490, 830]", "bands = [320, 490, 830]", "closed reads"),
        ("wire_ohm = 100 ", "wire_ohm = 1000 ", "outside its band"),
        ("active = 0, adc = true", "active = 1, adc = true", "pins.rex"),
        ('name = "pico"', 'name = "other"', "as the file is called"),
        ("gpio = 3, rest = 0", "gpio = 3", "pins.relay"),
        ('port = "rp2"', 'port = "stm32"', "board.port"),
        ("heap_bytes = 196608", "heap_bytes = 999999", "RAM"),
        ("tamper = {", "tampre = {", "tampre"),
        ("[uart]", "[art]", "uart"),
    ],
)
def test_a_wrong_board_is_refused_in_one_sentence(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(BoardError, match=said) as caught:
        load(board_with(tmp_path, old, new))
    assert "\n" not in str(caught.value)


def test_the_shipped_boards_are_right() -> None:
    boards: list[Board] = [load(path) for path in BOARDS]
    assert [board.name for board in boards] == ["esp32s3", "pico", "pico2"]
    for board in boards:
        assert all(board.pins[name]["rest"] == 0 for name in ("relay", "buzzer"))
