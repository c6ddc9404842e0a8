"""Errors of the wire. They carry a machine word and a number, not prose; single inheritance for MicroPython's sake."""


class WireError(Exception):
    """Bytes from the wire that cannot be used. `reason` is a machine word, `detail` the number that was wrong."""

    def __init__(self, reason: str, detail: int = 0):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class FrameError(WireError):
    """Not a frame: length, mark, checksum or security block do not fit."""


class MessageError(WireError):
    """A frame whose payload is not what its code announces."""


class SecureError(WireError):
    """An authenticated frame that was changed, replayed or made with another key."""
