"""A code scanner on a serial line: every line of text it sends is one TextScanned, bounded; no rules."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable

from gateway.model import DeviceOffline, DeviceOnline, Observation, TextScanned
from runtime.log import get

MAX_TEXT = 1024  # a signed pass is shorter than 400 characters; more is somebody trying out what happens
AGAIN_S = 2.0  # after a line that went away
PAUSE_S = 0.05  # a scanner that ends its text without a line end is done after so long
_ENDS = b"\r\n\x00"

log = get("scanner")


class SerialScanner:
    """`observe` gets DeviceOnline, TextScanned and DeviceOffline, on the loop."""

    def __init__(self, name: str, port: str, baud: int, observe: Callable[[Observation], None]) -> None:
        self._name = name
        self._port = port
        self._baud = baud
        self._observe = observe
        self._held = bytearray()
        self._too_long = False

    async def run(self) -> None:
        """Until cancelled; opens the port again whenever it goes away. No fault of the line escapes."""
        known: bool | None = None
        while True:
            try:
                with self._open() as handle:
                    if known is not True:
                        self._observe(DeviceOnline(self._name, secure=False))
                    known = True
                    await self._follow(handle)
            except OSError as e:
                if known is not False:
                    log.warning("scanner cannot be read", scanner=self._name, port=self._port, error=str(e))
                    self._observe(DeviceOffline(self._name, "unplugged"))
                known = False
            await asyncio.sleep(AGAIN_S)

    @contextlib.contextmanager
    def _open(self):  # type: ignore[no-untyped-def]
        import serial

        try:
            line = serial.Serial(self._port, self._baud, timeout=0, exclusive=True)
        except (serial.SerialException, ValueError) as e:
            raise OSError(f"{self._port}: {e}") from e
        try:
            yield line.fileno()
        finally:
            line.close()

    async def _follow(self, handle: int) -> None:
        """Raises OSError where the line ends."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(handle, readable.set)
        try:
            while True:
                try:
                    async with asyncio.timeout(PAUSE_S if self._held or self._too_long else None):
                        await readable.wait()
                except TimeoutError:
                    self.take(b"\n")
                    continue
                readable.clear()
                if not select.select([handle], [], [], 0)[0]:
                    continue  # woken twice for the same bytes
                try:
                    data = os.read(handle, 4096)
                except BlockingIOError:
                    continue
                if not data:
                    raise OSError("the line has ended")
                self.take(data)
        finally:
            loop.remove_reader(handle)

    def take(self, data: bytes) -> None:
        """Bytes as they came. A text that is too long or not ASCII is dropped as a whole, and logged."""
        for byte in data:
            if byte not in _ENDS:
                if len(self._held) >= MAX_TEXT:
                    self._too_long = True
                else:
                    self._held.append(byte)
                continue
            text, self._held = bytes(self._held), bytearray()
            too_long, self._too_long = self._too_long, False
            if not text:
                continue
            if too_long or not text.isascii():
                log.warning("a scanned text was dropped", scanner=self._name, bytes=len(text), too_long=too_long)
                continue
            self._observe(TextScanned(self._name, text.decode("ascii")))
