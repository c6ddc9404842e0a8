"""RS-485 on a microcontroller's UART, with a pin that turns the transceiver round."""

from machine import UART, Pin

BUFFER_BYTES = 512  # twice the longest frame


class Rs485Line:
    """`stream` can be waited for (drivers.readable). The direction pin is low but for the bytes of a reply."""

    def __init__(self, number: int, transmit: int, receive: int, direction, baud: int):
        """`direction` is None for a transceiver that turns round by itself."""
        self._pins = (transmit, receive)
        self._direction = None if direction is None else Pin(direction, Pin.OUT, value=0)
        self.stream = UART(number)
        self.set_baud(baud)

    def set_baud(self, baud: int) -> None:
        """8 bits, no parity, one stop bit, as OSDP has it."""
        self.stream.init(
            baudrate=baud,
            bits=8,
            parity=None,
            stop=1,
            tx=Pin(self._pins[0]),
            rx=Pin(self._pins[1]),
            txbuf=BUFFER_BYTES,
            rxbuf=BUFFER_BYTES,
        )
        self.baud = baud

    def read(self) -> bytes:
        """What has arrived, b"" for nothing."""
        waiting = self.stream.any()
        return (self.stream.read(waiting) or b"") if waiting else b""

    def write(self, data: bytes) -> None:
        """Send and turn round: returns when the last bit is out, since the panel's next frame may follow at once."""
        if self._direction is not None:
            self._direction.value(1)
        try:
            self.stream.write(data)
            self.stream.flush()  # waits for the shift register, too, from MicroPython 1.25 on
        finally:
            if self._direction is not None:
                self._direction.value(0)
