"""A gpiozero pin factory whose pins are the simulated world's, registered with gpiozero as `zhian-sim`.

It behaves as a Pi 4 with nothing but digital pins. The honest contract: while nobody serves the socket, what is written
to outputs is lost and inputs keep their last level; when the world is back, every pin is set up again as it was.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from gpiozero.exc import (
    GPIOZeroError,
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPull,
    PinInvalidState,
    PinSetInput,
)
from gpiozero.pins.local import LocalPiFactory, LocalPiPin

from sim.pins.connection import PinsConnection

DEVICE = "gateway"  # who the pins belong to, in the world
PINS_VARIABLE = "ZHIAN_SIM_PINS"  # the socket's path, where gpiozero constructs the factory by itself
PI_4B = 0xC03112  # a revision code of raspberrypi.com/documentation: Pi 4B, 4 GB
FIRST_LEVEL_S = 1.0  # how long to wait for an input's first level after it is set up

_PULLS = {"up": "up", "down": "down", "floating": "none"}


class SocketPin(LocalPiPin):
    """One GPIO pin of the simulated gateway."""

    def __init__(self, factory: SocketFactory, info: Any) -> None:
        super().__init__(factory, info)
        self.name = str(self._number)
        self._function = "input"
        self._pull = info.pull or "floating"
        self._level = 1 if self._pull == "up" else 0
        self._bounce_s: float | None = None
        self._edges = "both"
        self._detect = False
        self._settled = self._level  # the level that was reported last, after bounce elimination
        self._due_s: float | None = None
        self._first = threading.Event()

    def close(self) -> None:
        """Give the pin back; an output falls to 0."""
        self.when_changed = None
        self._function = "input"
        self._factory.connection.forget(self.name)

    def output_with_state(self, state: float) -> None:
        """Become an output at `state` in one step."""
        self._function = "output"
        self._level = self._digital(state)
        self._set_up()

    def input_with_pull(self, pull: str) -> None:
        """Become an input with `pull` in one step, and know its level."""
        self._function = "input"
        self._set_pull(pull)

    # --- called by the reader thread ----------------------------------------------------------------------------

    def edge(self, level: int) -> None:
        """The world moved this input."""
        if self._function != "input":
            return
        self._level = level
        if not self._first.is_set():
            self._settled = level
            self._first.set()
        elif self._bounce_s is None:
            self._report()
        else:
            self._due_s = time.monotonic() + self._bounce_s

    def wait_s(self) -> float | None:
        """Report an input that has been quiet for its bounce time; seconds until that is due, or None."""
        if self._due_s is None:
            return None
        left_s = self._due_s - time.monotonic()
        if left_s > 0:
            return left_s
        self._due_s = None
        self._report()
        return None

    def _report(self) -> None:
        level, before = self._level, self._settled
        self._settled = level
        if level == before or not self._detect:
            return
        if self._edges in ("both", "rising" if level else "falling"):
            with self._when_changed_lock:
                if self._when_changed is not None:
                    self._call_when_changed(state=level)

    # --- gpiozero's properties ----------------------------------------------------------------------------------

    def _set_up(self) -> None:
        mode = "in" if self._function == "input" else "out"
        connection = self._factory.connection
        self._first.clear()
        connection.setup(self.name, mode, _PULLS[self._pull], self._level if mode == "out" else 0)
        if mode == "in" and connection.connected:
            self._first.wait(FIRST_LEVEL_S)

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value not in ("input", "output"):
            raise PinInvalidFunction(f"pin {self!r}: expected input or output, got {value!r}")
        self._function = value
        self._set_up()

    def _get_state(self) -> int:
        return self._level

    def _set_state(self, value: float) -> None:
        if self._function == "input":
            raise PinSetInput(f"cannot set state of pin {self!r}, which is an input")
        self._level = self._digital(value)
        self._factory.connection.write(self.name, self._level)

    def _digital(self, value: float) -> int:
        if value not in (0, 1):
            raise PinInvalidState(f"pin {self!r}: simulated pins are digital; expected 0 or 1, got {value!r}")
        return int(value)

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"cannot set pull on pin {self!r}, which is an output")
        if self.info.pull and value != self.info.pull:
            raise PinFixedPull(f"pin {self!r} has a fixed pull-{self.info.pull}")
        if value not in _PULLS:
            raise PinInvalidPull(f"pin {self!r}: expected up, down or floating, got {value!r}")
        self._pull = value
        self._set_up()

    def _get_bounce(self) -> float | None:
        return self._bounce_s

    def _set_bounce(self, value: float | None) -> None:
        if value is not None and value < 0:
            raise PinInvalidBounce(f"pin {self!r}: bounce must be 0 or more seconds")
        self._bounce_s = value or None

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in ("none", "falling", "rising", "both"):
            raise PinInvalidEdges(f"pin {self!r}: expected none, falling, rising or both, got {value!r}")
        self._edges = value

    def _enable_event_detect(self) -> None:
        self._detect = True

    def _disable_event_detect(self) -> None:
        self._detect = False


class SocketFactory(LocalPiFactory):
    """Pins of the device `gateway` in the simulated world behind `socket_path`."""

    def __init__(self, socket_path: str | Path | None = None) -> None:
        """Connect. Without a path, the one in $ZHIAN_SIM_PINS. Raises PinsUnavailableError, GPIOZeroError."""
        super().__init__()
        path = socket_path or os.environ.get(PINS_VARIABLE)
        if not path:
            raise GPIOZeroError(f"no pins socket: give its path, or set {PINS_VARIABLE}")
        # Never shared with another back end or another world (LocalPiFactory shares them within a process).
        self.pins = {}
        self._reservations = defaultdict(list)
        self.pin_class = SocketPin
        self.connection = PinsConnection(Path(path), DEVICE, self._edge, self._idle)

    def _get_revision(self) -> int:
        return PI_4B

    def close(self) -> None:
        """Release every pin and hang up."""
        for pin in list(self.pins.values()):
            pin.close()
        self.pins.clear()
        self.connection.close()

    def _edge(self, name: str, level: int) -> None:
        for pin in list(self.pins.values()):
            if pin.name == name:
                pin.edge(level)

    def _idle(self) -> float | None:
        waits = [wait_s for pin in list(self.pins.values()) if (wait_s := pin.wait_s()) is not None]
        return min(waits, default=None)
