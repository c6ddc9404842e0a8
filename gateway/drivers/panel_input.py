"""One input of this Pi, debounced: the fire panel's contact. A pin that fails is tried again for ever; it is logged
once and, since nobody knows then what the panel says, told as lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gateway.errors import DriverError
from runtime.log import get

if TYPE_CHECKING:
    from gpiozero import DigitalInputDevice, Factory

DEBOUNCE_S = 0.02  # a relay's contact rests within 15 ms; the release has 200 ms in all
LOOK_S = 1.0  # the level is read this often as well: an edge that was missed must not be
AGAIN_S = 5.0  # after a pin that cannot be used
LOST_AFTER = 2  # failures in a row: one may be a hiccup

log = get("pins")


class PanelInput:
    """`changed(active)` is called on the loop, first with the level at start, and again with the level after `lost()`:
    the pin cannot be read, so what it said last is no longer known.

    active_level: the electrical level (0 or 1) that means yes. The pin is pulled up.
    """

    def __init__(
        self,
        pin: int,
        active_level: int,
        factory: Factory,
        changed: Callable[[bool], None],
        lost: Callable[[], None],
    ) -> None:
        self._pin = pin
        self._active_level = active_level
        self._factory = factory
        self._changed = changed
        self._lost = lost
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pins-panel")
        self._device: DigitalInputDevice | None = None
        self._edge = asyncio.Event()
        self._reported: bool | None = None
        self._failures = 0

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except DriverError as e:
                    self._failed(e)
                    await asyncio.sleep(AGAIN_S)
        finally:
            self._thread.submit(self._release)
            self._thread.shutdown(wait=False)

    def _failed(self, error: DriverError) -> None:
        self._failures += 1
        if self._failures == 1:
            log.error("the fire panel's input cannot be used; trying again", pin=self._pin, error=str(error))
        if self._failures == LOST_AFTER:
            self._reported = None
            self._lost()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        await self._do(self._claim, loop)
        while True:
            self._edge.clear()
            active = await self._do(self._active)
            self._failures = 0
            if active is not self._reported:
                await asyncio.sleep(DEBOUNCE_S)
                if await self._do(self._active) is active:
                    self._reported = active
                    self._changed(active)
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._edge.wait()
            except TimeoutError:
                continue

    async def _do(self, call, *arguments):  # type: ignore[no-untyped-def]
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
        except Exception as e:  # the library's edge: lgpio's own error is a bare Exception
            raise DriverError(f"pin {self._pin}: cannot be used ({e}); check [fire] panel_pin and its wiring") from e

    # --- in the pin thread ---

    def _claim(self, loop: asyncio.AbstractEventLoop) -> None:
        from gpiozero import DigitalInputDevice

        self._release()
        device = DigitalInputDevice(self._pin, pull_up=True, pin_factory=self._factory)
        self._device = device

        def tell() -> None:
            loop.call_soon_threadsafe(self._edge.set)

        device.when_activated = tell
        device.when_deactivated = tell

    def _active(self) -> bool:
        if self._device is None:
            raise OSError("the pin is closed")
        level = 0 if self._device.value else 1  # gpiozero: with pull_up, the low level is its 1
        return level == self._active_level

    def _release(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None
