"""A door node without a process: between the world's board and the gateway's control, in no time at all.

It does what the firmware does for a door that works: debounces, reports, releases by itself for whoever leaves, drives
the lock for as long as it is told. No bus, no OSDP, no firmware: those are for scenarios that run in real time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.errors import DriverError
from gateway.model import (
    CardRead,
    Command,
    InputChanged,
    KeysEntered,
    PulseOutput,
    RestOutput,
    Signal,
)
from sim.pins.board import Board, Message
from sim.timeline import Scheduled, Timeline

DEBOUNCE_MS = 40.0  # as firmware/node
EXIT_MS = 5000.0  # gateway.portal.door.DoorTimes.exit_ms
LIGHT_MS = 2000.0
LIGHTS = {"granted": "green", "denied": "red", "waiting": "amber"}
BEEPS = {"granted": 1, "denied": 3, "waiting": 0}
INPUTS = {"contact": 1, "rex": 0, "tamper": 0}  # name -> the level, with pull-up, at which it is active

Observation = CardRead | KeysEntered | InputChanged


class VirtualNode:
    """One node. `observe` is told what it reports, in order."""

    def __init__(self, name: str, board: Board, timeline: Timeline, observe: Callable[[Observation], None]) -> None:
        self._name = name
        self._board = board
        self._timeline = timeline
        self._observe = observe
        self._told: dict[str, bool] = {}
        self._level: dict[str, int] = {}
        self._settling: dict[str, Scheduled] = {}
        self._release: Scheduled | None = None
        self._light: Scheduled | None = None

    def begin(self) -> None:
        """Plug it in and report the inputs as they are."""
        self._board.plug_in(self._take)
        self._board.setup("relay", "out", "none", 0)
        for name in INPUTS:
            self._board.setup(name, "in", "up", 0)
            self._settling.pop(name).cancel()
            self._report(name, self._level[name] == INPUTS[name])

    def command(self, command: Command) -> None:
        """Obey at once. Raises DriverError for what this node does not have."""
        if isinstance(command, PulseOutput) and command.output == "lock":
            self._pulse(command.duration_ms)
        elif isinstance(command, RestOutput) and command.output == "lock":
            self._rest()
        elif isinstance(command, Signal):
            self._show(command.meaning)
        else:
            raise DriverError(f"the virtual node {self._name!r} cannot do {type(command).__name__}")

    def _take(self, message: Message) -> None:
        if message["op"] == "wiegand":
            self._observe(CardRead(self._name, message["bits"], bytes.fromhex(message["data"])))
        elif message["op"] == "keys":
            self._observe(KeysEntered(self._name, message["keys"]))
        else:
            self._edge(message["pin"], message["value"])

    def _edge(self, pin: str, level: int) -> None:
        """An input counts once it has rested for DEBOUNCE_MS."""
        self._level[pin] = level
        if pin in self._settling:
            self._settling[pin].cancel()
        active = level == INPUTS[pin]
        self._settling[pin] = self._timeline.call_later(DEBOUNCE_MS, lambda: self._report(pin, active))

    def _report(self, pin: str, active: bool) -> None:
        if self._told.get(pin) == active:
            return
        known, self._told[pin] = pin in self._told, active
        if pin == "rex" and active:
            self._pulse(EXIT_MS)  # by itself, whatever the gateway does
        if known or pin == "contact":
            self._observe(InputChanged(self._name, pin, active))

    def _pulse(self, duration_ms: float) -> None:
        until_ms = self._timeline.now_ms + duration_ms
        if self._release is not None and not self._release.cancelled and self._release.due_ms > until_ms:
            return
        if self._release is not None:
            self._release.cancel()
        self._board.write("relay", 1)
        self._release = self._timeline.call_later(duration_ms, self._rest)

    def _rest(self) -> None:
        if self._release is not None:
            self._release.cancel()
            self._release = None
        self._board.write("relay", 0)

    def _show(self, meaning: str) -> None:
        if self._light is not None:
            self._light.cancel()
        self._board.on_indicator("led", LIGHTS[meaning])
        if BEEPS[meaning]:
            self._board.on_indicator("buzzer", BEEPS[meaning])
        self._light = self._timeline.call_later(LIGHT_MS, lambda: self._board.on_indicator("led", "off"))


class VirtualNodes:
    """gateway.ports.Actuator over all nodes of a site."""

    def __init__(self) -> None:
        self.by_name: dict[str, VirtualNode] = {}

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """Acknowledged at once. Raises DriverError."""
        for command in commands:
            self.by_name[device].command(command)
