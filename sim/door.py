"""A door as a thing: a lock that its node's relay releases, a leaf with a closer, a contact, a button inside."""

from __future__ import annotations

import random
from collections.abc import Callable

from sim.pins.board import Board
from sim.timeline import Scheduled, Timeline

INPUTS = ("contact", "rex", "tamper", "fire")
OUTPUTS = ("relay",)
REX_PRESS_MS = 300.0
REACTION_MS = (350.0, 800.0)  # from hearing the lock to pulling the door
PATIENCE_MS = 6000.0  # how long somebody waits for the lock before giving up

Record = Callable[..., None]  # record(kind, subject, **details)


class Door:
    """The lock holds unless its relay is energised; a fail-safe one lets go when its supply is cut, too. From inside,
    the button asks for release.

    Who wants to pass waits (`wait_to_pass`): when the lock is released they pull, after a moment; when the reader turns
    red, or nothing happens for PATIENCE_MS, they leave. With nobody waiting a released door stays closed.
    """

    def __init__(
        self, name: str, board: Board, timeline: Timeline, rng: random.Random, record: Record, *, closer_s: float
    ) -> None:
        self.name = name
        self.board = board
        self.released = False
        self.supply_cut = False
        self.open = False
        self.case_open = False
        self.led = "off"
        self.beeps = 0
        self.text = ""  # of the reader's display
        self._timeline = timeline
        self._rng = rng
        self._record = record
        self._closer_ms = closer_s * 1000
        self._patience: Scheduled | None = None
        self._pull: Scheduled | None = None
        self._held_until_ms = 0.0
        self._energised = False
        board.set_contact("fire", closed=True, bounce=False)
        board.set_contact("contact", closed=True, bounce=False)
        board.listen("relay", self._relay)
        board.on_indicator = self._indicate
        board.on_display = self._display
        board.on_unplugged = self._dark

    @property
    def somebody_waits(self) -> bool:
        """Whether somebody stands there and wants to pass."""
        return self._patience is not None

    def wait_to_pass(self) -> None:
        """Somebody wants to pass and will pull the door if it is released within PATIENCE_MS."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._timeline.call_later(PATIENCE_MS, self._give_up)
        if self.released:
            self._pull_soon()

    def press_rex(self) -> None:
        """Somebody inside presses the request-to-exit button and then wants to pass."""
        self._record("rex.pressed", self.name)
        self.board.set_contact("rex", closed=True)
        self._timeline.call_later(REX_PRESS_MS, lambda: self.board.set_contact("rex", closed=False))
        self.wait_to_pass()

    def leave(self) -> None:
        """Somebody inside pulls the door, without the button: it opens unless the lock holds it."""
        self._record("person.leaves", self.name)
        self._pull_soon()

    def cut_supply(self, *, cut: bool) -> None:
        """The current of a fail-safe lock is interrupted, or flows again."""
        self.supply_cut = cut
        self._lock_moves()

    def force(self) -> bool:
        """Somebody breaks the door open. False when it is open already."""
        if self.open:
            return False
        self._opens(forced=not self.released)
        return True

    def hold(self, for_ms: float) -> None:
        """Somebody puts a foot in the door: from now on and for so long it does not close once it is open."""
        self._held_until_ms = self._timeline.now_ms + for_ms
        self._record("door.held", self.name, for_ms=round(for_ms))

    def open_case(self, *, opened: bool) -> bool:
        """Somebody opens (closes) the node's housing: its tamper contact. False when it is so already."""
        if self.case_open == opened:
            return False
        self.case_open = opened
        self._record("case.opened" if opened else "case.closed", self.name)
        self.board.set_contact("tamper", closed=opened)
        return True

    def _relay(self, level: int) -> None:
        self._energised = bool(level)
        self._lock_moves()

    def _lock_moves(self) -> None:
        released = self._energised or self.supply_cut
        if released == self.released:
            return
        self.released = released
        self._record("lock.released" if self.released else "lock.locked", self.name)
        if self.released and self.somebody_waits:
            self._pull_soon()

    def _pull_soon(self) -> None:
        if self._pull is None:
            self._pull = self._timeline.call_later(self._rng.uniform(*REACTION_MS), self._pulled)

    def _pulled(self) -> None:
        self._pull = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self.open:
            return
        if self.released:
            self._opens(forced=False)
        else:
            self._record("door.held-fast", self.name)

    def _opens(self, *, forced: bool) -> None:
        self.open = True
        self._record("door.opened", self.name, forced=forced)
        self.board.set_contact("contact", closed=False)
        self._timeline.call_later(self._closer_ms, self._closes)

    def _closes(self) -> None:
        if (left_ms := self._held_until_ms - self._timeline.now_ms) > 0:
            self._timeline.call_later(left_ms, self._closes)
            return
        self.open = False
        self._record("door.closed", self.name)
        self.board.set_contact("contact", closed=True)

    def _give_up(self) -> None:
        self._patience = None
        self._record("person.gave-up", self.name)

    def _indicate(self, name: str, value: str | int) -> None:
        if name == "led" and isinstance(value, str):
            if value != self.led:
                self.led = value
                self._record("led.changed", self.name, colour=value)
                if value == "red" and self._patience is not None:
                    self._patience.cancel()
                    self._give_up()
        elif name == "buzzer" and isinstance(value, int):
            self.beeps += value
            self._record("buzzer.beeped", self.name, beeps=value)

    def _display(self, text: str) -> None:
        if text.strip() != self.text:
            self.text = text.strip()
            self._record("display.changed", self.name, text=self.text)

    def _dark(self) -> None:
        self.led, self.text = "off", ""
