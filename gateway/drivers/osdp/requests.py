"""Commands of the gateway as OSDP requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firmware.wire import codes
from firmware.wire.commands import Buzzer, Led, Output, Text
from gateway.drivers.osdp.session import Request
from gateway.errors import DriverError
from gateway.model import Command, FireRelease, PulseOutput, RestOutput, Shine, ShowText, Signal

_NO_LOOK = (0, 0, codes.BLACK, codes.BLACK)
FIRE_RELEASE = "fire"  # the output, by its profile's name, that latches and resets a node's fire release
_BEEP_UNITS = 1  # 100 ms on, 100 ms off
_MAX_TEXT = 32  # two rows of sixteen
# What a person at the reader sees and hears: colour, how long (in 100 ms), beeps. "waiting" lasts as long as the
# default time to enter a PIN; whatever is decided meanwhile replaces it.
_SIGNALS: dict[str, tuple[int, int, int]] = {
    "granted": (codes.GREEN, 30, 1),
    "denied": (codes.RED, 30, 3),
    "waiting": (codes.AMBER, 150, 0),
}


def requests_for(commands: Sequence[Command], device: str, outputs: Mapping[str, int]) -> list[Request]:
    """The requests that carry out `commands`, in order. `outputs`: name -> OSDP number.

    Raises DriverError: an output the device does not have, a duration OSDP cannot express, an unknown signal.
    """
    requests: list[Request] = []
    for command in commands:
        if isinstance(command, PulseOutput):
            requests.append(_pulse(command, device, outputs))
        elif isinstance(command, RestOutput):
            number = _number(command.output, device, outputs)
            requests.append(Request(codes.OUT, Output(number, codes.OUT_OFF).encode()))
        elif isinstance(command, FireRelease):
            number = _number(FIRE_RELEASE, device, outputs)
            control = codes.OUT_ON if command.on else codes.OUT_OFF
            requests.append(Request(codes.OUT, Output(number, control).encode()))
        elif isinstance(command, ShowText):
            requests.extend(_text(command, device))
        elif isinstance(command, Shine):
            requests.append(_shine(command, device))
        else:
            requests.extend(_signal(command, device))
    return requests


def _number(output: str, device: str, outputs: Mapping[str, int]) -> int:
    if output not in outputs:
        raise DriverError(
            f"osdp: device {device!r}: expected an output of {sorted(outputs)}, got {output!r}; "
            "correct the device's profile"
        )
    return outputs[output]


def _pulse(command: PulseOutput, device: str, outputs: Mapping[str, int]) -> Request:
    number = _number(command.output, device, outputs)
    timer = -(-command.duration_ms // codes.TIMER_UNIT_MS)
    if not 1 <= timer <= 0xFFFF:
        raise DriverError(
            f"osdp: device {device!r}: expected a pulse of 1..6553500 ms, got {command.duration_ms}; "
            "correct the duration"
        )
    return Request(codes.OUT, Output(number, codes.OUT_TIMED_ON, timer).encode())


def _text(command: ShowText, device: str) -> list[Request]:
    if not (command.text.isascii() and command.text.isprintable()) or not 1 <= len(command.text) <= _MAX_TEXT:
        raise DriverError(
            f"osdp: device {device!r}: expected a text of 1..{_MAX_TEXT} printable ASCII characters, got"
            f" {len(command.text)}; shorten it"
        )
    text = Text(0, codes.TEXT_TEMPORARY, min(command.for_s, 255), 1, 1, command.text.encode("ascii"))
    requests = [Request(codes.TEXT, text.encode())]
    if command.beeps:
        requests.append(Request(codes.BUZ, _beeps(command.beeps).encode()))
    return requests


def _shine(command: Shine, device: str) -> Request:
    timer = -(-command.for_ms // codes.TIMER_UNIT_MS)
    if not 0 <= timer <= 0xFFFF:
        raise DriverError(
            f"osdp: device {device!r}: expected a light of 0..6553500 ms, got {command.for_ms}; correct it"
        )
    control = codes.LED_SET_TEMPORARY if timer else codes.LED_CANCEL_TEMPORARY
    look = (1, 0, codes.AMBER, codes.AMBER)
    return Request(codes.LED, Led(0, 0, control, look, timer, codes.LED_NOP, _NO_LOOK).encode())


def _beeps(count: int) -> Buzzer:
    return Buzzer(0, codes.TONE_DEFAULT, _BEEP_UNITS, _BEEP_UNITS, count)


def _signal(command: Signal, device: str) -> list[Request]:
    if command.meaning not in _SIGNALS:
        raise DriverError(
            f"osdp: device {device!r}: expected a signal of {sorted(_SIGNALS)}, got {command.meaning!r}; "
            "use one of these"
        )
    colour, timer, beeps = _SIGNALS[command.meaning]
    led = Led(0, 0, codes.LED_SET_TEMPORARY, (1, 0, colour, colour), timer, codes.LED_NOP, _NO_LOOK)
    requests = [Request(codes.LED, led.encode())]
    if beeps:
        requests.append(Request(codes.BUZ, _beeps(beeps).encode()))
    return requests
