"""The RP2's ADC: its reference is the supply of the pins, so a reading is already a share of it."""

from machine import ADC, Pin

_FULL_SCALE = 65535


class Analog:
    """A voltage as a share of the 3.3 V supply. The pin's pull-up must be off: the loop has a resistor of its own."""

    def __init__(self, gpio: int):
        self._adc = ADC(Pin(gpio))

    def permille(self) -> int:
        """0..1000."""
        return self._adc.read_u16() * 1000 // _FULL_SCALE
