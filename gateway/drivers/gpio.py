"""A vehicle barrier on this Pi's pins, through gpiozero: on a real site its own pin factory, in a simulated one the
simulator's. Callbacks come from foreign threads, so they only hand over to the loop; debounce is ours.

What this library raises is every kind of exception (lgpio's own error is a bare Exception), so at this edge all of them
become a DriverError.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from gateway.errors import DriverError
from runtime.log import get

if TYPE_CHECKING:
    from gpiozero import DigitalInputDevice, DigitalOutputDevice, Factory

log = get("pins")
SIMULATED_FACTORY = "zhian-sim"  # the simulator's name in the entry-point group gpiozero_pin_factories
AGAIN_S = 1.0  # after an output that could not be set


@dataclass(frozen=True, slots=True)
class InputWiring:
    """One contact: BCM pin, the electrical level (0 or 1) that means yes, its pull, and how long it must be quiet."""

    pin: int
    active_level: int
    pull_up: bool
    debounce_s: float


@dataclass(frozen=True, slots=True)
class BarrierWiring:
    """BCM pin numbers of the two outputs, and the inputs by name."""

    raise_pin: int
    lower_pin: int
    inputs: dict[str, InputWiring]
    raise_pulse_s: float


def open_factory(simulated_pins: str | None) -> Factory:
    """gpiozero's factory for this machine, or the simulator's at the socket `simulated_pins`. Raises DriverError."""
    from gpiozero import Device

    try:
        if simulated_pins is not None:
            found = entry_points(group="gpiozero_pin_factories", name=SIMULATED_FACTORY)
            if not found:
                raise DriverError(f"pin factory {SIMULATED_FACTORY!r} is not installed; install zhian[sim]")
            return next(iter(found)).load()(simulated_pins)
        with warnings.catch_warnings():  # each factory that does not work warns; the sentence below says it once
            warnings.simplefilter("ignore")
            return Device._default_pin_factory()
    except DriverError:
        raise
    except Exception as e:  # see above
        raise DriverError(f"pins: no pin factory works on this machine ({e}); on a Pi install zhian[pi]") from e


class BarrierPins:
    """Implements control.barrier.BarrierOutputs, and reports debounced inputs as `changed(name, active)`."""

    def __init__(
        self, name: str, wiring: BarrierWiring, factory: Factory, changed: Callable[[str, bool], None]
    ) -> None:
        self._name = name
        self._wiring = wiring
        self._factory = factory
        self._changed = changed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"pins-{name}")
        self._tasks: set[asyncio.Task[None]] = set()
        self._reported: dict[str, bool] = {}
        self._settling: dict[str, asyncio.TimerHandle] = {}
        self._inputs: dict[str, DigitalInputDevice] = {}
        self._pulse: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._raise: DigitalOutputDevice | None = None
        self._lower: DigitalOutputDevice | None = None

    async def open(self) -> None:
        """Claim the pins, outputs off, and report each input once. Raises DriverError."""
        loop = asyncio.get_running_loop()
        await self._do(self._claim, loop)
        for name in self._inputs:
            await self._report(name)

    async def close(self) -> None:
        """Outputs off, pins released."""
        for timer in (self._pulse, *self._settling.values()):
            if timer is not None:
                timer.cancel()
        if self._ending is not None:
            self._ending.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._do(self._release)
        self._thread.shutdown(wait=False)

    async def pulse_raise(self) -> None:
        """Let go of lower, then pulse the raise output; returns when the pulse has begun."""
        await self._do(self._start_raise)
        if self._pulse is not None:
            self._pulse.cancel()
        if self._ending is not None:
            self._ending.cancel()
        loop = asyncio.get_running_loop()
        self._pulse = loop.call_later(self._wiring.raise_pulse_s, self._pulse_is_over)

    async def hold_lower(self, on: bool) -> None:
        """Hold or let go of the lower output."""
        await self._do(self._set_lower, on)

    def _pulse_is_over(self) -> None:
        self._ending = self._start(self._end_pulse())

    async def _end_pulse(self) -> None:
        while True:
            try:
                await self._do(self._end_raise)
            except DriverError as e:
                log.error("a raise pulse could not be ended; trying again", barrier=self._name, error=str(e))
                await asyncio.sleep(AGAIN_S)
                continue
            return

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # a task nobody holds may be collected while it runs
        task.add_done_callback(self._tasks.discard)
        return task

    async def _do(self, call, *arguments):  # type: ignore[no-untyped-def]
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
        except Exception as e:  # see above
            raise DriverError(f"barrier {self._name!r}: a pin cannot be used ({e}); check the wiring") from e

    async def _report(self, name: str) -> None:
        self._settling.pop(name, None)
        try:
            active = await self._do(self._level, name)
        except DriverError as e:
            log.error("an input cannot be read; trying again", barrier=self._name, input=name, error=str(e))
            self._edge(name)
            return
        if self._reported.get(name) is not active:
            self._reported[name] = active
            self._changed(name, active)

    def _edge(self, name: str) -> None:
        """On the loop: wait until the input has been quiet for its debounce time."""
        if name in self._settling:
            self._settling[name].cancel()
        loop = asyncio.get_running_loop()
        self._settling[name] = loop.call_later(self._wiring.inputs[name].debounce_s, self._settled, name)

    def _settled(self, name: str) -> None:
        self._start(self._report(name))

    # --- in the pin thread ---

    def _claim(self, loop: asyncio.AbstractEventLoop) -> None:
        from gpiozero import DigitalInputDevice, DigitalOutputDevice

        self._raise = DigitalOutputDevice(self._wiring.raise_pin, initial_value=False, pin_factory=self._factory)
        self._lower = DigitalOutputDevice(self._wiring.lower_pin, initial_value=False, pin_factory=self._factory)
        for name, wired in self._wiring.inputs.items():
            device = DigitalInputDevice(wired.pin, pull_up=wired.pull_up, pin_factory=self._factory)
            self._inputs[name] = device

            def tell(name: str = name) -> None:
                loop.call_soon_threadsafe(self._edge, name)

            device.when_activated = tell
            device.when_deactivated = tell

    def _level(self, name: str) -> bool:
        wired = self._wiring.inputs[name]
        value = bool(self._inputs[name].value)  # gpiozero: with pull_up, the low level is its 1
        return (not value if wired.pull_up else value) == bool(wired.active_level)

    def _start_raise(self) -> None:
        if self._lower is not None and self._raise is not None:
            self._lower.off()
            self._raise.on()

    def _end_raise(self) -> None:
        if self._raise is not None:
            self._raise.off()

    def _set_lower(self, on: bool) -> None:
        if self._lower is not None and self._raise is not None:
            if on:
                self._raise.off()
            self._lower.value = on

    def _release(self) -> None:
        for device in (self._lower, self._raise, *self._inputs.values()):
            if device is not None:
                device.close()
        self._lower = self._raise = None
        self._inputs.clear()
