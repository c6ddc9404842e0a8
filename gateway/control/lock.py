"""A lock at a node: pulses for a grant, pulses renewed for as long as a door is free, rest when that ends.

The node knows only timed pulses, so a door that is free locks again by itself when this gateway goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.errors import DriverError
from gateway.model import PulseOutput, RestOutput
from gateway.ports import Actuator, Clock
from runtime.log import get

RENEW_PULSE_MS = 10_000  # how long a free door stays released without a word from here
RENEW_S = 4.0  # so two words may get lost
AGAIN_S = 1.0  # after a device that did not take it

log = get("door")


class Lock:
    """One output of one device."""

    def __init__(self, device: str, output: str, actuator: Actuator, clock: Clock) -> None:
        self._device = device
        self._output = output
        self._actuator = actuator
        self._clock = clock
        self._free = False
        self._pulsed_until_ms = 0  # of renewing pulses only
        self._changed = asyncio.Event()

    async def release(self, duration_ms: int) -> None:
        """One grant. Raises DriverError."""
        await self._actuator.send(self._device, [PulseOutput(self._output, duration_ms)])

    async def rest(self) -> None:
        """End the pulse of a grant now; a device that is away ends it by itself. Never raises."""
        if self._free:
            return
        try:
            await self._actuator.send(self._device, [RestOutput(self._output)])
        except DriverError as e:
            log.warning("a pulse could not be ended; it runs out", device=self._device, error=str(e))

    def set_free(self, free: bool) -> None:
        """Keep it released from now on, or no longer. Never waits."""
        self._free = free
        self._changed.set()

    def again(self) -> None:
        """The device has come back: it is at rest, whatever it was told."""
        self._changed.set()

    async def run(self, needed_until_ms: Callable[[], int]) -> None:
        """Until cancelled. `needed_until_ms()` (monotonic): whoever leaves or was let in needs the lock till then."""
        while True:
            self._changed.clear()
            wait_s: float | None = None
            if self._free:
                wait_s = RENEW_S if await self._renew() else AGAIN_S
            elif self._pulsed_until_ms > self._clock.monotonic_ms():
                wait_s = await self._rest(needed_until_ms())
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _renew(self) -> bool:
        try:
            await self._actuator.send(self._device, [PulseOutput(self._output, RENEW_PULSE_MS)])
        except DriverError as e:
            log.warning("a free door could not be kept released", device=self._device, error=str(e))
            return False
        self._pulsed_until_ms = self._clock.monotonic_ms() + RENEW_PULSE_MS
        return True

    async def _rest(self, needed_until_ms: int) -> float | None:
        """End the renewing pulse, but never one that somebody still needs. Returns seconds to the next try."""
        now_ms = self._clock.monotonic_ms()
        if needed_until_ms > now_ms:
            return (needed_until_ms - now_ms) / 1000
        try:
            await self._actuator.send(self._device, [RestOutput(self._output)])
        except DriverError as e:
            log.warning("a door could not be locked at once; its pulse runs out", device=self._device, error=str(e))
            return AGAIN_S
        self._pulsed_until_ms = 0
        return None
