"""A serial line that may go away: a pty or a serial port by its path, raw, polled."""

import select
import termios

CHUNK_BYTES = 512  # read at most so much at a time; the rest stays with the kernel


class LineGoneError(Exception):
    """The line ended or could not be opened; open it again later."""


class SerialLine:
    """`stream` is None while closed. Baud rates are left as the system has them: a pty has none."""

    def __init__(self, path: str):
        self._path = path
        self._one = bytearray(1)
        self._poll = None
        self.stream = None

    def open(self) -> None:
        """Raises LineGoneError where there is nothing at the path yet."""
        try:
            stream = open(self._path, "r+b")
            termios.setraw(stream.fileno())
        except OSError as error:
            raise LineGoneError(error.errno)
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN)
        self.stream = stream

    def close(self) -> None:
        """Give the descriptor back. Closing twice is fine."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
            self._poll = None

    def read(self) -> bytes:
        """What has arrived, b"" for nothing. Raises LineGoneError at the end of the line."""
        # read(n) of this port would wait for all n bytes, so it is asked for one at a time.
        out = bytearray()
        try:
            while len(out) < CHUNK_BYTES and self._poll.poll(0):
                if self.stream.readinto(self._one) != 1:
                    raise LineGoneError(0)
                out += self._one
        except OSError as error:
            raise LineGoneError(error.errno)
        return bytes(out)

    def write(self, data: bytes) -> None:
        """Raises LineGoneError."""
        try:
            self.stream.write(data)
        except OSError as error:
            raise LineGoneError(error.errno)
