"""The fire panel: one alarm relay per door that it has to release, and one for the gateway, each with its wire.

At rest every relay is energised and its contact closed, so that an alarm, a cut wire and a panel without power all look
the same at the other end. A door of the kind "node-input" has its node's fire loop on that contact; at a door of the
kind "supply" the contact carries the current of a fail-safe lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.action import Action
from sim.door import Door, Record
from sim.errors import ActionError
from sim.pins.board import Board

PANEL = "fire-panel"  # the subject of the facts about it
WHOLE, CUT, BRIDGED = "whole", "cut", "bridged"
WIRES = {"cut_fire_wire": CUT, "bridge_fire_wire": BRIDGED, "mend_fire_wire": WHOLE}
STEPS = ("light_fire", "clear_fire", *WIRES)
FACTS = {WHOLE: "fire-wire.mended", CUT: "fire-wire.cut", BRIDGED: "fire-wire.bridged"}


@dataclass(slots=True)
class _Line:
    """The wire from the panel to one door."""

    door: Door
    kind: str  # node-input or supply
    wire: str = WHOLE

    def settle(self, *, lit: bool) -> None:
        closed = self.wire == BRIDGED or (self.wire == WHOLE and not lit)
        if self.kind == "supply":
            self.door.cut_supply(cut=not closed)
        else:
            self.door.board.set_contact("fire", closed=closed)


class FirePanel:
    """`lit` is the alarm. It ends by `clear`; what it released may stay so (docs/fire.md)."""

    def __init__(
        self, doors: Mapping[str, tuple[Door, str]], gateway: tuple[Board, str] | None, record: Record
    ) -> None:
        """`doors`: name -> (door, kind). `gateway`: its board and the pin that the panel's last relay is wired to."""
        self.lit = False
        self._lines = {name: _Line(door, kind) for name, (door, kind) in doors.items()}
        self._gateway = gateway
        self._record = record
        self._settle(bounce=False)

    @property
    def doors(self) -> list[str]:
        """The doors that it releases."""
        return list(self._lines)

    def begin(self, action: Action) -> None:
        """Do what a step or the page asks for. Raises ActionError."""
        if action.do == "light_fire":
            self.light()
        elif action.do == "clear_fire":
            self.clear()
        else:
            self.rewire(action.door or "", WIRES[action.do])

    def snapshot(self) -> dict[str, Any]:
        """For the page."""
        return {"lit": self.lit, "doors": [{"name": name, "wire": line.wire} for name, line in self._lines.items()]}

    def light(self) -> None:
        """The alarm begins. Raises ActionError."""
        if self.lit:
            raise ActionError("the fire panel is in alarm already")
        self.lit = True
        self._record("fire.lit", PANEL, doors=self.doors)
        self._settle()

    def clear(self) -> None:
        """The alarm is over at the panel. Raises ActionError."""
        if not self.lit:
            raise ActionError("the fire panel is at rest already")
        self.lit = False
        self._record("fire.cleared", PANEL)
        self._settle()

    def rewire(self, door: str, wire: str) -> None:
        """Cut the wire to a door, bridge its terminals there, or mend it. Raises ActionError."""
        line = self._lines.get(door)
        if line is None:
            raise ActionError(f"no wire goes from the fire panel to {door}; its doors are {', '.join(self._lines)}")
        if line.wire == wire:
            raise ActionError(f"the wire from the fire panel to {door} is {wire} already")
        line.wire = wire
        self._record(FACTS[wire], door)
        line.settle(lit=self.lit)

    def _settle(self, *, bounce: bool = True) -> None:
        if self._gateway is not None:
            board, pin = self._gateway
            board.set_contact(pin, closed=not self.lit, bounce=bounce)
        for line in self._lines.values():
            line.settle(lit=self.lit)
