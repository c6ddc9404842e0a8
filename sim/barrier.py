"""A vehicle barrier as a thing: an arm that a controller moves, its limit switches, a loop under the lane.

Wired as the device profile generic-barrier-dry-contact says: a pulse on `raise` sends the arm all the way up, `lower`
moves it down only for as long as it is held; limit switches close where the arm has arrived; the loop detector's relay
is closed while the loop is free. The controller has no protection of its own: it will strike a car.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.door import Record
from sim.pins.board import Board
from sim.timeline import Scheduled, Timeline

LIMIT = 0.02  # share of the travel within which a limit switch is closed
STRIKES = 0.6  # an arm lower than this share of its travel touches a car below it


class Barrier:
    """`pins` maps raise, lower, raised, lowered and loop to names of the board's pins."""

    def __init__(
        self, name: str, board: Board, pins: dict[str, str], timeline: Timeline, record: Record, *, travel_s: float
    ) -> None:
        self.name = name
        self.occupied = False
        self.under_arm = False  # a car drives through right now
        self._board = board
        self._pins = pins
        self._timeline = timeline
        self._record = record
        self._travel_ms = travel_s * 1000
        self._position = 0.0  # 0 down .. 1 up, at _since_ms
        self._since_ms = timeline.now_ms
        self._direction = 0
        self._heading = "lowering"
        self._events: list[Scheduled] = []
        self._reported = "lowered"
        board.set_contact(pins["lowered"], closed=True, bounce=False)
        board.set_contact(pins["loop"], closed=True, bounce=False)
        board.listen(pins["raise"], self._raise)
        board.listen(pins["lower"], self._lower)

    @property
    def position(self) -> float:
        """Where the arm is now: 0 down, 1 up."""
        moved = self._direction * (self._timeline.now_ms - self._since_ms) / self._travel_ms
        return min(1.0, max(0.0, self._position + moved))

    @property
    def arm(self) -> str:
        """lowered, raising, raised or lowering; an arm that stopped half way keeps the word of its last movement."""
        if self._direction == 0 and self.position in (0.0, 1.0):
            return "raised" if self.position == 1.0 else "lowered"
        return self._heading

    @property
    def is_up(self) -> bool:
        """Whether a car may drive through."""
        return self._direction == 0 and self.position > 1 - LIMIT

    def set_loop(self, occupied: bool) -> None:
        """A car drives onto the loop, or off it."""
        if occupied != self.occupied:
            self.occupied = occupied
            self._record("loop.occupied" if occupied else "loop.free", self.name)
            self._board.set_contact(self._pins["loop"], closed=not occupied)

    def _raise(self, level: int) -> None:
        if level:
            self._move(1)

    def _lower(self, level: int) -> None:
        if level:
            self._move(-1)
        elif self._direction < 0:
            self._move(0)

    def _move(self, direction: int) -> None:
        """Change what the motor does, from where the arm is now."""
        self._position = self.position
        self._since_ms = self._timeline.now_ms
        self._direction = direction
        if direction:
            self._heading = "raising" if direction > 0 else "lowering"
        for entry in self._events:
            entry.cancel()
        self._events.clear()
        if direction == 0:
            self._report_stop()
        elif direction > 0:
            self._schedule(LIMIT, lambda: self._leaves("lowered", "raising"))
            self._schedule(1.0, lambda: self._arrives("raised"))
        else:
            self._schedule(1 - LIMIT, lambda: self._leaves("raised", "lowering"))
            self._schedule(STRIKES, self._passes_roof)
            self._schedule(0.0, lambda: self._arrives("lowered"))

    def _schedule(self, position: float, action: Callable[[], None]) -> None:
        """Do `action` when the arm, moving as it does, comes to `position`; not if it is past it."""
        way = (position - self._position) * self._direction
        if way > 0 or (way == 0 and position in (0.0, 1.0)):
            self._events.append(self._timeline.call_later(way * self._travel_ms, action))

    def _leaves(self, end: str, moving: str) -> None:
        self._board.set_contact(self._pins[end], closed=False)
        if self._reported != moving:
            self._reported = moving
            self._record("arm.left-down" if end == "lowered" else "arm.left-up", self.name)

    def _arrives(self, end: str) -> None:
        self._position = 1.0 if end == "raised" else 0.0
        self._direction = 0
        self._board.set_contact(self._pins[end], closed=True)
        if self._reported != end:
            self._reported = end
            self._record(f"arm.{end}", self.name)

    def _passes_roof(self) -> None:
        if self.under_arm:
            self._record("arm.struck", self.name)

    def _report_stop(self) -> None:
        if 0.0 < self._position < 1.0:
            self._record("arm.stopped", self.name, position=round(self._position, 2))
