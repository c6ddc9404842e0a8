"""The pins of a board: inputs as levels, relay, light and buzzer as what they show. Polled; time is an argument.

`board.PINS` has name: (GPIO number, resting level, pull); pull is 1 for up, -1 for down, 0 for none.
"""

from machine import Pin

from firmware.drivers.loops import Bands, SupervisedInput
from firmware.wire import codes

BEEP_MS = 120
_COLOURS = {codes.BLACK: (0, 0), codes.RED: (1, 0), codes.GREEN: (0, 1), codes.AMBER: (1, 1)}


def input_pin(board, name: str) -> Pin:
    """An input with the pull that the board's data asks for."""
    number, _, pull = board.PINS[name]
    if not pull:
        return Pin(number, Pin.IN)
    return Pin(number, Pin.IN, Pin.PULL_UP if pull > 0 else Pin.PULL_DOWN)


def output_pin(board, name: str) -> Pin:
    """An output at its resting level, without a moment at the other one."""
    number, rest, _ = board.PINS[name]
    return Pin(number, Pin.OUT, value=rest)


class Levels:
    """What the door's inputs say now. Of a supervised input the wire's fault is told as tamper."""

    def __init__(self, board, names: tuple, supervised: tuple):
        """`supervised` are those of `names` that are wired with resistors, on a pin of the board's ADC."""
        self._digital = [(name, input_pin(board, name)) for name in names if name not in supervised]
        bands = Bands(*board.LOOP_BANDS)
        self._loops = [(SupervisedInput(name, bands), board.ANALOG(board.PINS[name][0])) for name in supervised]
        for loop, analog in self._loops:
            for _ in range(2):  # with the first `read` three: one disturbed reading says nothing from the start
                loop.sample(analog.permille())
        self.faults = {}  # input: SHORT or CUT

    def read(self) -> list:
        """[(name, electrical level), ...], each input once."""
        levels = []
        faults = {}
        for loop, analog in self._loops:
            loop.sample(analog.permille())
            if loop.fault is not None:
                faults[loop.name] = loop.fault
            levels.append((loop.name, loop.level))
        self.faults = faults
        for name, pin in self._digital:
            level = pin.value()
            if name == "tamper" and faults:
                level = 0  # active: somebody is at a wire
            levels.append((name, level))
        return levels


class Shown:
    """Relay, light and buzzer. `carry_out` takes DoorNode.effects one by one."""

    def __init__(self, board):
        self._relay = output_pin(board, "relay")
        self._relay_rest = board.PINS["relay"][1]
        self._light = (output_pin(board, "led_red"), output_pin(board, "led_green"))
        self._buzzer = output_pin(board, "buzzer")
        self._beeps_end_ms = None
        self._beeps_from_ms = 0

    def carry_out(self, name: str, value: int, now_ms: int) -> None:
        """("relay", 0|1), ("led", colour) or ("buzzer", how many times)."""
        if name == "relay":
            self._relay.value(value ^ self._relay_rest)
        elif name == "led":
            for pin, level in zip(self._light, _COLOURS[value]):
                pin.value(level)
        elif name == "buzzer":
            self._beeps_from_ms = now_ms
            self._beeps_end_ms = now_ms + min(value, 10) * 2 * BEEP_MS
            self.tick(now_ms)

    def tick(self, now_ms: int) -> None:
        """Let time pass for the buzzer."""
        if self._beeps_end_ms is None:
            return
        sounding = now_ms < self._beeps_end_ms and (now_ms - self._beeps_from_ms) // BEEP_MS % 2 == 0
        self._buzzer.value(1 if sounding else 0)
        if now_ms >= self._beeps_end_ms:
            self._beeps_end_ms = None
