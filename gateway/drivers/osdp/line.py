"""The serial line: opens it, carries one exchange at a time, notices when it is unplugged."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

import serial  # type: ignore[import-untyped]
from serial.rs485 import RS485Settings  # type: ignore[import-untyped]

from firmware.wire.codes import MAX_FRAME_BYTES
from firmware.wire.frame import Frame, FrameParser
from gateway.drivers.osdp.session import Reply

_BITS_PER_BYTE = 10  # start, eight, stop
_READ_BYTES = 4096
_USUAL_REPLY_BYTES = 64  # a reply of this size must fit into the time-out; a longer one extends it as it arrives

Accept = Callable[[Frame], Reply | None]
Tap = Callable[[bool, bytes], None]  # True and what the panel wrote, False and what it read


class LineGoneError(Exception):
    """The line was unplugged or cannot be opened; the text is the operating system's."""


class Line:
    """An open serial line; made by `open_line`. One `exchange` at a time.

    `gone` turns True, and `on_gone` is called, when the line ends; `heard_s` is when bytes came last, in loop time.
    """

    def __init__(self, port: serial.Serial, baud: int, on_gone: Callable[[], None], tap: Tap | None = None) -> None:
        self._port = port
        self._fd: int = port.fileno()
        self._byte_s = _BITS_PER_BYTE / baud
        self._parser = FrameParser()
        self._accept: Accept | None = None
        self._answer: asyncio.Future[Reply | None] | None = None
        self.gone = False
        self._on_gone = on_gone
        self._tap = tap
        self.heard_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    @property
    def damaged(self) -> int:
        """Frames that arrived broken so far."""
        return self._parser.damaged

    def close(self) -> None:
        """Give the port back."""
        self._loop.remove_reader(self._fd)
        with contextlib.suppress(OSError, serial.SerialException):  # it may be unplugged already
            self._port.close()

    async def exchange(self, frame: bytes, accept: Accept, timeout_s: float) -> Reply | None:
        """Send a frame; return the first reply that `accept` takes, None where none came in time.

        `timeout_s` is what the device may take to begin; the time on the wire is added. Raises LineGoneError.
        """
        self._parser.reset()
        self._accept = accept
        answer: asyncio.Future[Reply | None] = self._loop.create_future()
        self._answer = answer
        try:
            self._write(frame)
            wire_s = (len(frame) + _USUAL_REPLY_BYTES) * self._byte_s
            timer = self._loop.call_later(timeout_s + wire_s, self._timed_out, answer)
            try:
                return await answer
            finally:
                timer.cancel()
        finally:
            self._accept = self._answer = None

    def _write(self, frame: bytes) -> None:
        if self.gone:
            raise LineGoneError("the line has ended")
        if self._tap is not None:
            self._tap(True, frame)
        try:
            os.write(self._fd, frame)
        except BlockingIOError:
            pass  # nobody drains the line: the frame is lost, as on a cut wire, and its time-out will say so
        except OSError as e:
            raise LineGoneError(e.strerror or "write failed") from e

    def _timed_out(self, answer: asyncio.Future[Reply | None], last: bool = False) -> None:
        if answer.done():
            return
        if self._parser.partial and not last:  # a long reply is on its way
            self._loop.call_later(MAX_FRAME_BYTES * self._byte_s, self._timed_out, answer, True)
            return
        answer.set_result(None)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._fd)
            self.gone = True
            self._on_gone()
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(LineGoneError("the line has ended"))
            return
        self.heard_s = self._loop.time()
        if self._tap is not None:
            self._tap(False, data)
        for frame in self._parser.feed(data):
            if self._accept is None or self._answer is None or self._answer.done():
                continue  # nobody was asked
            reply = self._accept(frame)
            if reply is not None:
                self._answer.set_result(reply)


def open_line(path: str, baud: int, on_gone: Callable[[], None], tap: Tap | None = None) -> Line:
    """Open a serial port or a pty. Raises LineGoneError."""
    try:
        port = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, ValueError) as e:  # SerialException is an OSError
        raise LineGoneError(str(e)) from e
    # Drivers that switch the transmitter through RTS want to be told; adapters that do it themselves, and ptys,
    # do not know the request.
    with contextlib.suppress(OSError, ValueError):
        port.rs485_mode = RS485Settings()
    return Line(port, baud, on_gone, tap)
