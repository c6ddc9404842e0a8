"""The ESP32-S3's ADC: it measures volts, up to about 3.1 V, and says them corrected by its factory calibration."""

from machine import ADC, Pin

_SUPPLY_MV = 3300


class Analog:
    """A voltage as a share of the 3.3 V supply, which is not measured; what is above 3.1 V reads as about 940."""

    def __init__(self, gpio: int):
        self._adc = ADC(Pin(gpio), atten=ADC.ATTN_11DB)

    def permille(self) -> int:
        """0..1000."""
        return min(1000, self._adc.read_uv() // _SUPPLY_MV)
