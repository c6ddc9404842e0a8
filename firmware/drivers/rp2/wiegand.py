"""Wiegand by PIO: the state machine hears the pulses, frames them and keeps two whole cards without the processor.

Neither a garbage collection nor a flash write (interrupts are off while a sector is erased) can cost a bit.
"""

# ruff: noqa: ARG002 - both ports have the same calls

from machine import Pin
from rp2 import PIO, StateMachine, asm_pio

from firmware.drivers.wiegand import WordFrames

HZ = 1000000  # one instruction a microsecond
_FIFO_WORDS = 8  # transmit FIFO joined to the receiving one
TYPE_CHECKING = False  # the checker takes this name for true; on a board nothing below is executed
if TYPE_CHECKING:  # what the assembler offers inside a program, and nowhere else
    from rp2.asm_pio import in_, invert, jmp, label, mov, nop, not_x, null, osr, out, pins, push, reverse, set
    from rp2.asm_pio import noblock, wrap, wrap_target, x, x_dec, y, y_dec


@asm_pio(in_shiftdir=PIO.SHIFT_LEFT, out_shiftdir=PIO.SHIFT_RIGHT, autopush=True, push_thresh=32, fifo_join=PIO.JOIN_RX)
def listen():
    """Two-bit symbols of DATA0 (the base pin) and DATA1 (the next one); see drivers.wiegand.WordFrames."""
    wrap_target()
    label("rest")
    mov(osr, invert(pins))
    out(x, 2)  # bit 0: DATA0 is low, bit 1: DATA1 is low
    jmp(not_x, "rest")
    label("pulse")
    nop()[9]  # a pulse shorter than this is a disturbance
    mov(osr, invert(pins))
    out(x, 2)
    jmp(not_x, "settle")
    in_(x, 2)
    label("low")
    mov(osr, invert(pins))
    out(x, 2)
    jmp(x_dec, "low")
    label("settle")
    set(y, 31)  # 31 << 8 rounds of four instructions: 31.7 ms of silence end a frame
    mov(osr, reverse(y))
    out(null, 19)
    mov(y, osr)
    label("gap")
    mov(osr, invert(pins))
    out(x, 2)
    jmp(x_dec, "pulse")
    jmp(y_dec, "gap")
    in_(null, 2)
    push(noblock)
    wrap()


class WiegandReader:
    """A reader's two lines; DATA1's pin is the one after DATA0's. `refused` counts frames that made no sense."""

    def __init__(self, data0: int, data1: int):
        if data1 != data0 + 1:
            raise ValueError("wiegand: expected DATA1 on the pin after DATA0; change the board's pins")
        base = Pin(data0, Pin.IN, Pin.PULL_UP)
        Pin(data1, Pin.IN, Pin.PULL_UP)
        self._frames = WordFrames()
        self._machine = StateMachine(0, listen, freq=HZ, in_base=base)
        self._machine.active(1)

    @property
    def refused(self) -> int:
        return self._frames.refused

    def receive(self, now_ms: int) -> list:
        """The cards and keys that have come in (see BitFrames.end). Call it every few milliseconds."""
        waiting = self._machine.rx_fifo()
        if waiting >= _FIFO_WORDS:
            self._frames.spoil()  # the state machine may have had to wait, and pulses do not
        found = []
        for _ in range(waiting):
            frame = self._frames.word(self._machine.get())
            if frame is not None:
                found.append(frame)
        return found
