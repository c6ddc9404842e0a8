"""Wiegand by interrupts. This port runs handlers between two instructions of the interpreter, at most eight waiting.

While a garbage collection holds them up, pulses beyond the eighth are lost; the frame then has an odd length and is
refused, and the card has to be shown again. On the RP2 nothing of the kind can happen.
"""

# ruff: noqa: ARG002 - both ports have the same calls

import time

from machine import Pin

from firmware.drivers.wiegand import GAP_MS, MAX_CARD_BITS, BitFrames

_ROOM = 64  # pulses between two calls of `receive`; one frame has at most 37


class WiegandReader:
    """A reader's two lines. `refused` counts frames that made no sense."""

    def __init__(self, data0: int, data1: int):
        self._pulses = bytearray(_ROOM)
        self._written = 0
        self._last_ms = time.ticks_ms()
        self._frames = BitFrames()
        self._lines = (Pin(data0, Pin.IN, Pin.PULL_UP), Pin(data1, Pin.IN, Pin.PULL_UP))
        self._lines[0].irq(handler=self._zero, trigger=Pin.IRQ_FALLING)
        self._lines[1].irq(handler=self._one, trigger=Pin.IRQ_FALLING)

    @property
    def refused(self) -> int:
        return self._frames.refused

    def receive(self, now_ms: int) -> list:
        """The card or key that has come in (see BitFrames.end). Call it every few milliseconds."""
        if not self._written or time.ticks_diff(time.ticks_ms(), self._last_ms) <= GAP_MS:
            return []
        written = self._written
        for at in range(min(written, MAX_CARD_BITS + 1)):
            self._frames.add(self._pulses[at])
        self._written = 0
        frame = self._frames.end()
        return [] if frame is None else [frame]

    def _zero(self, pin) -> None:
        self._pulse(0)

    def _one(self, pin) -> None:
        self._pulse(1)

    def _pulse(self, bit: int) -> None:
        # Nothing is allocated here, and what finds no room is beyond every frame anyway.
        if self._written < _ROOM:
            self._pulses[self._written] = bit
            self._written += 1
        self._last_ms = time.ticks_ms()
