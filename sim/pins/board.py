"""The terminals of one device (a gateway's header, a node's screw terminals) and what is wired to them.

Inputs are dry contacts. A contact is wired against the pull that the device asks for, as an installer does: with a
pull-up it closes to ground, with a pull-down it closes to the supply. So a closed contact reads 0 with pull-up and 1
with pull-down. "none" is taken as a pull-up outside the device. Contacts bounce when they move.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from sim.errors import PinsError
from sim.timeline import Scheduled, Timeline

BOUNCE_MS = (5.0, 15.0)  # how long a small switch chatters; data sheets of limit switches and relays say 5..20 ms
BOUNCE_PAIRS = (1, 4)  # pairs of false edges within that time

Message = dict[str, Any]


@dataclass(slots=True)
class Contact:
    """One input terminal: whether its contact rests closed, what the device sees now, and edges still to come."""

    closed: bool
    touching: bool  # the contact as it is electrically, i.e. while it chatters
    mode: str | None = None
    pull: str = "none"
    chatter: list[Scheduled] = field(default_factory=list)

    @property
    def level(self) -> int:
        """What the device reads."""
        return int(self.touching) if self.pull == "down" else int(not self.touching)


class Board:
    """One device's pins, between whoever connects as that device and the physics of the world."""

    def __init__(
        self, device: str, timeline: Timeline, rng: random.Random, *, inputs: Collection[str], outputs: Collection[str]
    ) -> None:
        self.device = device
        self._timeline = timeline
        self._rng = rng
        self._contacts = {pin: Contact(closed=False, touching=False) for pin in inputs}
        self._levels = dict.fromkeys(outputs, 0)
        self._ready: set[str] = set()  # outputs that the device has set up
        self._listeners: dict[str, Callable[[int], None]] = {}
        self._sink: Callable[[Message], None] | None = None
        self.on_indicator: Callable[[str, str | int], None] = lambda _name, _value: None
        self.on_display: Callable[[str], None] = lambda _text: None
        self.on_unplugged: Callable[[], None] = lambda: None

    # --- the world's side ---------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the device is there."""
        return self._sink is not None

    def listen(self, pin: str, listener: Callable[[int], None]) -> None:
        """Call `listener(level)` whenever the device changes this output."""
        self._listeners[pin] = listener

    def set_contact(self, pin: str, closed: bool, *, bounce: bool = True) -> None:
        """Move the contact at this input. It chatters for BOUNCE_MS before it rests."""
        contact = self._contacts[pin]
        if contact.closed == closed:
            return
        contact.closed = closed
        for entry in contact.chatter:
            entry.cancel()
        contact.chatter.clear()
        self._touch(pin, closed)
        if bounce:
            self._chatter(pin, closed)

    def send(self, message: Message) -> bool:
        """Hand something to the device at its reader port. False when no device is there: the pulses are lost."""
        if self._sink is None:
            return False
        self._sink(message)
        return True

    def _touch(self, pin: str, touching: bool) -> None:
        contact = self._contacts[pin]
        if contact.touching != touching:
            contact.touching = touching
            if contact.mode == "in" and self._sink is not None:
                self._sink({"op": "edge", "pin": pin, "value": contact.level})

    def _chatter(self, pin: str, closed: bool) -> None:
        total_ms = self._rng.uniform(*BOUNCE_MS)
        count = 2 * self._rng.randint(*BOUNCE_PAIRS)
        times_ms = sorted(self._rng.uniform(0.5, total_ms) for _ in range(count))
        for i, at_ms in enumerate(times_ms):
            touching = closed if i % 2 else not closed  # the last one rests at `closed`
            self._contacts[pin].chatter.append(
                self._timeline.call_later(at_ms, lambda touching=touching: self._touch(pin, touching))
            )

    # --- the device's side --------------------------------------------------------------------------------------

    def plug_in(self, sink: Callable[[Message], None]) -> None:
        """A device connects; `sink` takes messages to it."""
        self._sink = sink

    def unplug(self) -> None:
        """The device is gone: its outputs fall back to 0, as a relay does without its supply."""
        self._sink = None
        for contact in self._contacts.values():
            contact.mode = None
        self._ready.clear()
        for pin in self._levels:
            self._drive(pin, 0)
        self.on_unplugged()

    def setup(self, pin: str, mode: str, pull: str, value: int) -> None:
        """The device configures a pin. Raises PinsError for a pin or mode this board does not have."""
        if mode == "in" and pin in self._contacts:
            contact = self._contacts[pin]
            contact.mode, contact.pull = mode, pull
            if self._sink is not None:
                self._sink({"op": "edge", "pin": pin, "value": contact.level})
        elif mode == "out" and pin in self._levels:
            self._ready.add(pin)
            self._drive(pin, value)
        else:
            kinds = {"in": self._contacts, "out": self._levels}[mode]
            wired = ", ".join(sorted(kinds)) or "none"
            raise PinsError(f"pin {pin!r} of {self.device} is not wired as {mode}; pins wired as {mode}: {wired}")

    def write(self, pin: str, value: int) -> None:
        """The device drives an output. Raises PinsError unless it was set up as one."""
        if pin not in self._ready:
            raise PinsError(f"pin {pin!r} of {self.device} was written before it was set up as an output")
        self._drive(pin, value)

    def _drive(self, pin: str, value: int) -> None:
        if self._levels[pin] != value:
            self._levels[pin] = value
            if listener := self._listeners.get(pin):
                listener(value)
