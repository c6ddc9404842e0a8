"""The factory's end of the pins socket: says hello, repeats every set-up after a reconnect, hands edges on."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from runtime import log
from sim.errors import PinsUnavailableError
from sim.pins.server import MAX_LINE, VERSION

CONNECT_S = 5.0  # the world may still be starting
RETRY_S = 0.2
IDLE_S = 0.5  # how long a wait for the socket may last before `deadline` is asked again

_log = log.get("sim.pins.factory")


class PinsConnection:
    """A blocking socket and one reader thread (gpiozero is threaded itself). Thread-safe.

    While nobody serves the socket, writes are lost; the last set-up of every pin is sent again on reconnecting.
    """

    def __init__(
        self,
        path: Path,
        device: str,
        on_edge: Callable[[str, int], None],
        on_idle: Callable[[], float | None],
    ) -> None:
        """Connect, waiting up to CONNECT_S. `on_edge(pin, level)` and `on_idle() -> seconds until it must be called
        again` run in the reader thread. Raises PinsUnavailableError."""
        self._path = path
        self._device = device
        self._on_edge = on_edge
        self._on_idle = on_idle
        self._lock = threading.Lock()
        self._setups: dict[str, dict[str, object]] = {}
        self._socket: socket.socket | None = self._connect(time.monotonic() + CONNECT_S)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name=f"pins-{device}", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the world is there."""
        return self._socket is not None

    def setup(self, pin: str, mode: str, pull: str, value: int) -> None:
        """Configure a pin, now and after every reconnect."""
        message: dict[str, object] = {"op": "setup", "pin": pin, "mode": mode, "pull": pull, "value": value}
        with self._lock:
            self._setups[pin] = message
            self._send(message)

    def write(self, pin: str, value: int) -> None:
        """Drive an output. Lost while nobody serves, but the level returns with the next set-up."""
        with self._lock:
            if pin in self._setups:
                self._setups[pin] = self._setups[pin] | {"value": value}
            self._send({"op": "write", "pin": pin, "value": value})

    def forget(self, pin: str) -> None:
        """The pin is not used any more: an output goes back to 0."""
        with self._lock:
            setup = self._setups.pop(pin, None)
            if setup is not None and setup["mode"] == "out":
                self._send({"op": "write", "pin": pin, "value": 0})

    def close(self) -> None:
        """Hang up and end the reader thread."""
        self._closing.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2)

    def _send(self, message: dict[str, object]) -> None:
        """Under the lock. A broken connection is noticed, and repaired, by the reader thread."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _connect(self, until_s: float) -> socket.socket:
        while True:
            attempt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                attempt.connect(str(self._path))
                hello = {"op": "hello", "device": self._device, "version": VERSION}
                attempt.sendall(json.dumps(hello).encode() + b"\n")
                return attempt
            except OSError as e:
                attempt.close()
                if time.monotonic() >= until_s:
                    raise PinsUnavailableError(
                        f"pins socket {self._path}: nobody answers ({e.strerror or e}); "
                        "start the world first: zhian sim world"
                    ) from e
                time.sleep(RETRY_S)

    def _read_all(self) -> None:
        while not self._closing.is_set():
            if self._socket is None and not self._reconnect():
                continue
            self._read_until_lost()
            with self._lock:
                if self._socket is not None:
                    self._socket.close()
                self._socket = None
            if not self._closing.is_set():
                _log.warning("the simulated pins went away; inputs keep their last level", path=str(self._path))

    def _reconnect(self) -> bool:
        try:
            fresh = self._connect(time.monotonic())
        except PinsUnavailableError:
            self._closing.wait(RETRY_S)
            return False
        with self._lock:
            self._socket = fresh
            for message in self._setups.values():
                self._send(message)
        _log.info("the simulated pins are back", path=str(self._path))
        return True

    def _read_until_lost(self) -> None:
        connection, buffer = self._socket, b""
        while connection is not None:
            wait_s = self._on_idle()
            try:
                readable, _, _ = select.select([connection], [], [], IDLE_S if wait_s is None else min(wait_s, IDLE_S))
                if not readable:
                    if self._closing.is_set():
                        return
                    continue
                chunk = connection.recv(MAX_LINE)
            except OSError:
                return
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(buffer) > MAX_LINE:
                _log.error("the simulated pins sent a line that is too long; connecting again")
                return

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            op = message["op"]
            if op == "edge":
                self._on_edge(str(message["pin"]), 1 if message["value"] else 0)
            elif op == "error":
                _log.error("the simulated pins refused a request", text=log.shown(message["text"]))
        except (ValueError, KeyError, TypeError):
            _log.error("the simulated pins sent something else than a message", line=log.shown(line[:120]))
