"""`machine` in place of the microcontroller's: pins and ADC over the pins socket, a UART that is a pty, a watchdog."""

# ruff: noqa: ARG002 - as the board's own signatures are

import io
import sys

from firmware.drivers.unix.serial import SerialLine
from sim.microcontroller import board_link

_POLL = 3  # ioctl request of MicroPython's stream protocol
_READABLE = 1


class Pin:
    """A GPIO by its number."""

    IN, OUT = 0, 1
    PULL_UP, PULL_DOWN = 1, 2
    IRQ_FALLING = 4

    def __init__(self, number: int, mode=None, pull=None, value=None):
        self.number = number
        self._floating = 0 if pull == self.PULL_DOWN else 1
        if mode == self.OUT and value is not None:
            board_link.show(number, value)

    def value(self, level=None):
        """Set the level, or read it: what nobody drives is where its pull holds it."""
        if level is not None:
            board_link.show(self.number, level)
            return None
        board_link.look()
        return board_link.levels.get(board_link.name_of(self.number), self._floating)

    def irq(self, handler, trigger) -> None:
        """Call the handler at each falling edge of a reader's line."""
        _lines[1 if board_link.name_of(self.number) == "wiegand_d1" else 0] = (handler, self)
        if len(_lines) == 2:
            board_link.on_reader(_play)


_lines = {}  # 0 and 1: handler and pin of DATA0 and DATA1


def _play(waveform: list) -> None:
    for levels, _ in waveform:
        for line in (0, 1):
            if not levels >> line & 1:
                handler, pin = _lines[line]
                handler(pin)


class ADC:
    """A voltage as a share of the supply."""

    ATTN_11DB = 3

    def __init__(self, pin: Pin, atten=None):
        self._name = board_link.name_of(pin.number)

    def read_u16(self) -> int:
        board_link.look()
        return board_link.permille.get(self._name, 1000) * 65535 // 1000

    def read_uv(self) -> int:
        board_link.look()
        return board_link.permille.get(self._name, 1000) * 3300


class UART(io.IOBase):
    """A serial line of the given number: the pty that the link names."""

    def __init__(self, number: int):
        self._line = SerialLine(board_link.settings["bus"])
        self._line.open()
        self._got = b""

    def init(self, baudrate: int, **rest) -> None:
        """A pty has no speed."""

    def any(self) -> int:
        self._got += self._line.read()
        return len(self._got)

    def read(self, count: int) -> bytes:
        got, self._got = self._got[:count], self._got[count:]
        return got

    def write(self, data: bytes) -> int:
        self._line.write(data)
        return len(data)

    def flush(self) -> None:
        """Written is sent, on a pty."""

    def ioctl(self, request: int, argument: int) -> int:
        if request == _POLL:
            return argument & _READABLE if self.any() else 0
        return 0


class WDT:
    """Counts; a simulated board is reset by whoever plays its power."""

    def __init__(self, timeout: int):
        self.fed = 0

    def feed(self) -> None:
        self.fed += 1


def unique_id() -> bytes:
    return b"simulate"


def reset() -> None:
    """A board would start again; a process ends."""
    sys.exit(3)
