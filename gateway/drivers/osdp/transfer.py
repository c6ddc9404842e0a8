"""A file on its way to a device: which piece is next, what the device's answers mean. Pure."""

from __future__ import annotations

import asyncio

from firmware.wire import codes
from firmware.wire.commands import FILE_HEADER_BYTES, FileFragment
from firmware.wire.errors import MessageError
from firmware.wire.frame import MAC_BYTES
from firmware.wire.replies import FileStatus
from gateway.drivers.osdp.session import Reply, Request
from gateway.errors import DriverError

MAX_FILE_BYTES = 1 << 20
# Header, security block, code, MAC and CRC; what is left is encrypted in blocks of 16 of which one byte is padding.
_FRAME_OVERHEAD = 5 + 2 + 1 + MAC_BYTES + 2
_LONGEST_PIECE_S = 0.04  # on the wire: a card on the same line waits no longer because of a file
_LEAST_DATA = 16
_STALLED_S = 10.0  # no piece accepted for so long: the transfer has failed
_RESTARTS = 3  # of the device or its session, within one transfer
_FINISHING_S = 0.2  # where a device is still working and names no time of its own
_REFUSALS = {codes.FT_ABORT: "it broke off", codes.FT_UNKNOWN: "it does not know such a file",
             codes.FT_MALFORMED: "the file makes no sense to it"}  # fmt: skip


def piece_bytes(baud: int, max_frame: int = codes.MAX_FRAME_BYTES) -> int:
    """How many bytes of a file go into one frame of at most `max_frame` bytes, and of the time a piece may take."""
    frame = min(max_frame, max(int(_LONGEST_PIECE_S * baud / 10), _FRAME_OVERHEAD + 32))
    blocks = (frame - _FRAME_OVERHEAD) // 16
    return max(blocks * 16 - 1 - FILE_HEADER_BYTES, _LEAST_DATA)


class Transfer:
    """One file for one device; `done` resolves once the device has taken the whole, or with DriverError.

    `due_s`: not before that (loop time); `interleave`: whether the device may be polled between pieces.
    """

    def __init__(self, device: str, kind: int, data: bytes, baud: int, now_s: float) -> None:
        self.device = device
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.due_s = 0.0
        self.interleave = True
        self._kind = kind
        self._data = data
        self._baud = baud
        self._piece = piece_bytes(baud)
        self._offset = 0
        self._sent = 0
        self._progress_s = now_s
        self._restarts = 0

    @property
    def over(self) -> bool:
        """Finished, failed, or nobody waits any more."""
        return self.done.done()

    def request(self) -> Request:
        """The next piece, or (once all have gone) the question whether the device is done with it."""
        piece = self._data[self._offset : self._offset + self._piece]
        self._sent = len(piece)
        return Request(
            codes.FILETRANSFER, FileFragment(self._kind, len(self._data), self._offset, piece).encode()
        )  # fmt: skip

    def answered(self, reply: Reply, now_s: float) -> None:
        """The device's answer to the piece just sent."""
        if reply.code == codes.NAK:
            self.fail("it refused the command")
            return
        try:
            status = FileStatus.decode(reply.payload) if reply.code == codes.FTSTAT else None
        except MessageError:
            status = None
        if status is None:
            self.fail("it answered something else")
            return
        if self._sent:  # a device that is "finishing" for ever has not moved
            self._progress_s = now_s
        self.interleave = bool(status.action & codes.FT_INTERLEAVE)
        self.due_s = now_s + status.delay_ms / 1000
        if status.max_bytes >= _FRAME_OVERHEAD + 32:
            self._piece = min(self._piece, piece_bytes(self._baud, min(status.max_bytes, codes.MAX_FRAME_BYTES)))
        self._offset += self._sent
        if status.status < 0:
            self.fail(_REFUSALS.get(status.status, f"it refused the file ({status.status})"))
        elif status.status in (codes.FT_PROCESSED, codes.FT_RESTARTING):
            self._finish(status.status)
        elif self._offset >= len(self._data):
            # "Proceed" after the last piece: taken, as some devices say it; "finishing": asked again a little later.
            if status.status == codes.FT_PROCEED:
                self._finish(status.status)
            elif status.delay_ms == 0:
                self.due_s = now_s + _FINISHING_S

    def again(self) -> None:
        """The device lost its session: it begins anew."""
        self._offset = 0
        self._restarts += 1
        if self._restarts > _RESTARTS:
            self.fail("it restarted again and again")

    def expire(self, now_s: float) -> None:
        """Fail where nothing has moved for too long."""
        if now_s - self._progress_s >= _STALLED_S:
            self.fail(f"no piece was accepted within {_STALLED_S:g} s")

    def fail(self, why: str) -> None:
        """Nothing more of it will be sent."""
        if not self.over:
            text = f"osdp: device {self.device!r} did not take the file of {len(self._data)} bytes: {why}; send it anew"
            self.done.set_exception(DriverError(text))

    def _finish(self, status: int) -> None:
        if self._offset < len(self._data):
            self.fail(f"it ended after {self._offset} bytes ({status})")
        elif not self.over:
            self.done.set_result(None)
