"""Wiegand: framing, and the PIO program itself in the simulator's model of the PIO."""

from __future__ import annotations

import random
import sys
from types import ModuleType
from typing import Any

import pytest
from interpreters import INTERPRETERS, printed

from firmware.drivers.wiegand import BitFrames, WordFrames
from sim.microcontroller.pio import MAX_INSTRUCTIONS, PioError, Program, StateMachine, assemble
from sim.microcontroller.reader import IDLE, key_waveform, waveform


class _Pio:
    SHIFT_LEFT, SHIFT_RIGHT, JOIN_RX = 0, 1, 2


@pytest.fixture(name="listen", scope="module")
def _listen() -> Program:
    """The program of firmware/drivers/rp2/wiegand.py, assembled."""
    rp2, machine = ModuleType("rp2"), ModuleType("machine")
    rp2.PIO, rp2.StateMachine, machine.Pin = _Pio, object, object  # type: ignore[attr-defined]
    rp2.asm_pio = lambda **how: lambda function: assemble(function, how["push_thresh"])  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("rp2", "machine")}
    sys.modules.update(rp2=rp2, machine=machine)
    try:
        from firmware.drivers.rp2 import wiegand
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    program = wiegand.listen
    assert isinstance(program, Program)
    return program


class Lines:
    """The state machine with a reader at its pins."""

    def __init__(self, program: Program) -> None:
        self.levels = IDLE
        self.machine = StateMachine(program, lambda: self.levels)
        self.frames = WordFrames()

    def play(self, wave: list[tuple[int, int]]) -> None:
        for levels, duration_us in wave:
            self.levels = levels
            self.machine.run(duration_us)

    def heard(self) -> list[tuple[Any, ...]]:
        found = [self.frames.word(word) for word in self.machine.fifo]
        self.machine.fifo.clear()
        return [frame for frame in found if frame is not None]


def test_the_program_is_what_the_data_sheet_encodes(listen: Program) -> None:
    # By hand from the RP2040 datasheet, 3.4 (instruction set); jumps go to rest 0, pulse 3, low 8, settle 11, gap 15.
    assert [hex(word) for word in listen.words] == [
        hex(word)
        for word in (
            0xA0E8, 0x6022, 0x0020,
            0xA942, 0xA0E8, 0x6022, 0x002B, 0x4022,
            0xA0E8, 0x6022, 0x0048,
            0xE05F, 0xA0F2, 0x6073, 0xA047,
            0xA0E8, 0x6022, 0x0043, 0x008F, 0x4062, 0x8000,
        )
    ]  # fmt: skip
    assert len(listen.words) <= MAX_INSTRUCTIONS
    assert (listen.wrap_target, listen.wrap, listen.push_thresh) == (0, 20, 32)


@pytest.mark.parametrize("bits", [26, 30, 32, 34, 36, 37])
def test_a_card_arrives_as_the_reader_sent_it(listen: Program, bits: int) -> None:
    lines = Lines(listen)
    value = random.Random(bits).getrandbits(bits)
    data = (value << (-bits % 8)).to_bytes((bits + 7) // 8, "big")
    lines.play(waveform(bits, data))
    assert lines.heard() == [("card", bits, data)]
    assert lines.frames.refused == 0


@pytest.mark.parametrize(("pulse_us", "period_us"), [(20, 200), (50, 1000), (100, 2000), (40, 20000)])
def test_readers_differ_in_their_timing(listen: Program, pulse_us: int, period_us: int) -> None:
    lines = Lines(listen)
    lines.play(waveform(26, b"\x12\x34\x56\x40", pulse_us, period_us))
    assert lines.heard() == [("card", 26, b"\x12\x34\x56\x40")]


def test_keys_arrive_one_by_one(listen: Program) -> None:
    lines = Lines(listen)
    for key in "19#":
        lines.play(key_waveform(key))
    assert lines.heard() == [("keys", "1"), ("keys", "9"), ("keys", "#")]


def test_two_cards_wait_for_a_processor_that_is_busy(listen: Program) -> None:
    lines = Lines(listen)
    cards = [bytes((n, 2, 3, 0x40)) for n in (1, 2)]
    for card in cards:
        lines.play(waveform(26, card, period_us=400))
    assert lines.heard() == [("card", 26, card) for card in cards]
    assert lines.machine.stalled == 0


def test_a_disturbance_is_no_bit_and_does_not_hide_the_next_card(listen: Program) -> None:
    lines = Lines(listen)
    for low in (1, 2, 0):
        lines.play([(IDLE, 500), (low, 5), (IDLE, 500)])
    lines.play([(IDLE, 40000)])
    assert lines.heard() == []
    lines.play(waveform(26, b"\xaa\x55\xaa\x40", period_us=400))
    assert lines.heard() == [("card", 26, b"\xaa\x55\xaa\x40")]
    assert lines.frames.refused == 0


def test_both_lines_low_at_once_spoil_the_frame(listen: Program) -> None:
    lines = Lines(listen)
    wave = waveform(26, b"\xaa\x55\xaa\x40", period_us=400)
    wave[7] = (0, wave[7][1])
    lines.play(wave)
    assert lines.heard() == []
    assert lines.frames.refused == 1


def test_a_lost_bit_is_a_refused_card_and_no_other_card(listen: Program) -> None:
    lines = Lines(listen)
    lines.play(waveform(25, b"\xaa\x55\xaa\x00", period_us=400))
    lines.play(waveform(38, b"\xaa\x55\xaa\x00\x00", period_us=400))
    assert lines.heard() == []
    assert lines.frames.refused == 2


def test_the_model_refuses_what_it_does_not_know() -> None:
    with pytest.raises(PioError):
        StateMachine(Program([0x2020], 0, 0, 32), lambda: 0).run(1)  # WAIT
    with pytest.raises(PioError):
        Program([0] * 33, 0, 32, 32)


def test_every_length_is_a_card_a_key_or_refused() -> None:
    for bits in range(1, 45):
        frames = BitFrames()
        for at in range(bits):
            frames.add(at & 1)
        found = frames.end()
        assert (found is not None) == (26 <= bits <= 37 or bits == 4), bits
        assert frames.refused == (0 if found else 1)
        assert frames.empty


SCRIPT = """
from firmware.drivers.wiegand import BitFrames, WordFrames
def frame(bits, value):
    frames = BitFrames()
    for at in range(bits):
        frames.add(value >> bits - 1 - at & 1)
    return frames.end(), frames.refused
frames = ((26, 0x2345678), (37, 0x1fffffffff), (37, 1), (4, 0), (4, 11), (4, 12), (8, 225), (8, 17), (25, 1), (38, 1))
for bits, value in frames:
    found, refused = frame(bits, value)
    print(bits, found and (found[0], found[1:] if found[0] == "keys" else (found[1], list(found[2]))), refused)
words = WordFrames()
print(words.word(0x55555555), words.word(0x1556 << 2 | 0), words.refused)
words.spoil()
print(words.word(0x55555555), words.word(0x55555 << 2), words.refused, words.word(0), words.refused)
"""


def test_both_interpreters_frame_alike() -> None:
    said = {name: printed(name, SCRIPT) for name in INTERPRETERS}
    assert said["cpython"] == said["micropython"]
    assert said["cpython"][0] == "26 ('card', (26, [141, 21, 158, 0])) 0"
    assert said["cpython"][3:5] == ["4 ('keys', ('0',)) 0", "4 ('keys', ('#',)) 0"]
    assert said["cpython"][5:10] == ["4 None 1", "8 ('keys', ('1',)) 0", "8 None 1", "25 None 1", "38 None 1"]
    assert said["cpython"][10:12] == ["None None 1", "None None 2 None 2"]
