"""`rp2` in place of the microcontroller's: the program is assembled and executed by the model beside this file.

Time passes for a state machine only while the reader moves its lines; a whole frame is played in one go.
"""

# ruff: noqa: ARG002 - as the board's own signatures are

from sim.microcontroller import board_link
from sim.microcontroller.pio import StateMachine as _Model
from sim.microcontroller.pio import assemble


class PIO:
    """The constants that programs and state machines are configured with."""

    SHIFT_LEFT = 0
    SHIFT_RIGHT = 1
    JOIN_NONE = 0
    JOIN_TX = 1
    JOIN_RX = 2


def asm_pio(in_shiftdir=0, out_shiftdir=0, autopush=False, push_thresh=32, fifo_join=0):
    """As on the board. Only the configuration that the model has is taken."""
    if (in_shiftdir, out_shiftdir, autopush, fifo_join) != (PIO.SHIFT_LEFT, PIO.SHIFT_RIGHT, True, PIO.JOIN_RX):
        raise ValueError("the PIO model knows ISR left, OSR right, autopush and a joined receive FIFO")
    return lambda function: assemble(function, push_thresh)


class StateMachine:
    """A running state machine at one cycle a microsecond."""

    def __init__(self, number: int, program, freq: int, in_base):
        if freq != 1000000:
            raise ValueError("the PIO model plays microseconds")
        self._levels = 3
        self._model = _Model(program, lambda: self._levels)
        self._running = False
        board_link.on_reader(self.play)

    def active(self, on=None):
        """Start or stop."""
        if on is not None:
            self._running = bool(on)
        return self._running

    def play(self, waveform: list) -> None:
        """The reader moves its lines."""
        for levels, duration_us in waveform:
            self._levels = levels
            if self._running:
                self._model.run(duration_us)

    def rx_fifo(self) -> int:
        board_link.look()
        return len(self._model.fifo)

    def get(self) -> int:
        return self._model.fifo.pop(0)
