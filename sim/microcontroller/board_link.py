"""The board's side of the pins socket: levels by name in, what the outputs show out. One board a process.

BOARD_LINK names a JSON file: {"pins": path of the pins socket, "bus": path of the serial line, "gpio": {"3": "relay"},
"levels": {"contact": 0}: what is there when power comes on}.
Beside the simulator's messages it takes {"op": "analog", "pin", "permille"} for supervised inputs, and {"op":
"interrupt"} for Ctrl-C on the board's console.
"""

# ruff: noqa: PTH123, C416 - MicroPython has no pathlib

import binascii
import json
import os
import select
import time

from firmware.drivers.unix.pins import PinsSocket
from sim.microcontroller.reader import key_waveform, waveform

_PAUSE_MS = 150  # nobody presses keys or shows cards faster
_CONTACT_PERMILLE = (312, 662)  # closed and open, with the resistors of firmware/boards

with open(os.getenv("BOARD_LINK")) as _file:
    settings = json.load(_file)
levels = settings["levels"]
permille = {name: _CONTACT_PERMILLE[level] for name, level in levels.items()}
_players = []
_waves = []  # what the reader still has to send, one frame after the other
_busy_until = time.ticks_ms()
_socket = PinsSocket(settings["pins"], "board")
_poll = select.poll()


def connect() -> None:
    """Once, before boot.py."""
    _socket.connect([name for name in settings["gpio"].values()], [])
    _poll.register(_socket.stream, select.POLLIN)


def name_of(gpio: int) -> str:
    """What hangs on this GPIO; its number where nothing is known of it."""
    return settings["gpio"].get(str(gpio), str(gpio))


def on_reader(play) -> None:
    """`play(waveform)` is called whenever the reader moves its lines."""
    _players.append(play)


def show(gpio: int, value: int) -> None:
    """An output has this level now."""
    levels[name_of(gpio)] = value
    _socket.send({"op": "write", "pin": name_of(gpio), "value": value})


def look() -> None:
    """Take what has happened outside."""
    global _busy_until
    while _poll.poll(0):
        for message in _socket.receive():
            _take(message)
    if _waves and time.ticks_diff(time.ticks_ms(), _busy_until) >= 0:
        wave = _waves.pop(0)
        length_ms = sum([duration_us for _, duration_us in wave]) // 1000
        _busy_until = time.ticks_add(time.ticks_ms(), length_ms + _PAUSE_MS)
        for play in _players:
            play(wave)


def _take(message: dict) -> None:
    op = message["op"]
    if op == "edge":
        levels[message["pin"]] = message["value"]
        permille[message["pin"]] = _CONTACT_PERMILLE[message["value"]]
    elif op == "interrupt":  # where Python runs: this port's own SIGINT may also strike within a collection
        raise KeyboardInterrupt
    elif op == "analog":
        permille[message["pin"]] = message["permille"]
    elif op == "wiegand":
        _waves.append(waveform(message["bits"], binascii.unhexlify(message["data"]), period_us=400, silence_us=34000))
    elif op == "keys":
        for key in message["keys"]:
            _waves.append(key_waveform(key))
