"""Pins over a Unix stream socket: one JSON object a line, as the simulator speaks it."""

import json
import socket

MAX_LINE_BYTES = 4096
_VERSION = 1


class PinsGoneError(Exception):
    """The other end closed, does not listen or sent what is no message; connect again later."""


def _address(path: str) -> bytes:
    """A sockaddr_un: this port of MicroPython takes Unix addresses in no other form."""
    return socket.AF_UNIX.to_bytes(2, "little") + path.encode() + b"\0"


class PinsSocket:
    """`stream` is None while closed, `broken` once a message could not be sent. Messages are dicts with an "op"."""

    def __init__(self, path: str, device: str):
        self._path = path
        self._device = device
        self._rest = b""
        self.stream = None
        self.broken = False

    def connect(self, inputs: list, outputs: list) -> None:
        """Say hello and set up the pins: inputs with pull-up, outputs at 0. Raises PinsGoneError."""
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.connect(_address(self._path))
            stream.setblocking(False)
        except OSError as error:
            stream.close()
            raise PinsGoneError(error.errno)
        self.stream = stream
        self.broken = False
        self._rest = b""
        self.send({"op": "hello", "device": self._device, "version": _VERSION})
        for pin in outputs:
            self.send({"op": "setup", "pin": pin, "mode": "out", "pull": "none", "value": 0})
        for pin in inputs:
            self.send({"op": "setup", "pin": pin, "mode": "in", "pull": "up", "value": 0})

    def close(self) -> None:
        """Closing twice is fine."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def send(self, message: dict) -> None:
        """One line. Raises PinsGoneError, also where the other end does not read."""
        line = json.dumps(message).encode() + b"\n"
        try:
            sent = self.stream.send(line)
        except OSError:
            sent = 0
        if sent != len(line):
            self.broken = True
            raise PinsGoneError(sent)

    def receive(self) -> list:
        """The messages that have arrived. Raises PinsGoneError."""
        try:
            data = self.stream.recv(1024)
        except OSError as error:
            raise PinsGoneError(error.errno)
        if not data:
            raise PinsGoneError(0)
        try:
            lines = (self._rest + data).split(b"\n")
        except MemoryError:  # no room for a line of this length: it is refused like one that is too long
            raise PinsGoneError(len(self._rest))
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise PinsGoneError(len(self._rest))
        messages = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                raise PinsGoneError(len(line))
            if not isinstance(message, dict):
                raise PinsGoneError(len(line))
            messages.append(message)
        return messages
