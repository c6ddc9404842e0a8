"""The devices on the buses: whose observation goes to which door, who is lost, who is back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from center.contract import catalogue
from gateway.control.door import DoorControl
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.errors import DriverError
from gateway.model import (
    CardRead,
    Command,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    KeysEntered,
    Observation,
)
from gateway.ports import NewEntry


class Bus(Protocol):
    """A line that some of the devices hang on."""

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """As ports.Actuator."""
        ...


class Devices:
    """Implements ports.Actuator over all buses; `observe` takes what they report, on the loop."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._bus_of: dict[str, Bus] = {}
        self._doors: dict[str, DoorControl] = {}
        self._online: dict[str, bool | None] = {}  # None: not heard of since start
        self.loop = JobLoop("devices", judge.clock)

    def attach(self, buses: Mapping[str, Bus], doors: Mapping[str, DoorControl]) -> None:
        """Who hangs where: device name -> its bus, device name -> its door."""
        self._bus_of = dict(buses)
        self._doors = dict(doors)
        self._online = dict.fromkeys(buses)

    @property
    def online(self) -> dict[str, bool]:
        """Every device, and whether it answers."""
        return {name: bool(up) for name, up in self._online.items()}

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """Return once the device acknowledged. Raises DriverError."""
        if device not in self._bus_of:
            raise DriverError(f"device {device!r} hangs on no bus of this gateway")
        await self._bus_of[device].send(device, commands)

    def observe(self, observation: Observation) -> None:
        """A bus reports; never waits."""
        match observation:
            case DeviceOnline(device=device):
                was, self._online[device] = self._online.get(device), True
                if device in self._doors:
                    self._doors[device].device_online()
                if was is False:
                    self._report(catalogue.DeviceReturned(device))
            case DeviceOffline(device=device, cause=cause):
                was, self._online[device] = self._online.get(device), False
                if was is not False:
                    self._report(catalogue.DeviceLost(device, cause))
            case InputChanged(device=device, name="tamper", active=True):
                self._report(catalogue.DeviceTampered(device))
            case CardRead() | KeysEntered() | InputChanged():
                if observation.device in self._doors:
                    self._doors[observation.device].observe(observation)

    def _report(self, data: catalogue.AnyEventData) -> None:
        self.loop.submit(lambda: self._judge.record(NewEntry(data)))


class VisionPresence:
    """Turns the comings and goings of the vision process into one event each way."""

    def __init__(self, devices_loop: JobLoop, judge: Judge) -> None:
        self._loop = devices_loop
        self._judge = judge
        self._online: bool | None = None
        self._connections = 0

    @property
    def online(self) -> bool:
        """Whether a vision process is connected and beating."""
        return bool(self._online)

    def changed(self, came: bool) -> None:
        """A connection of a vision process came (True) or went (False); a new one may overlap the old."""
        self._connections = max(0, self._connections + (1 if came else -1))
        online = self._connections > 0
        was, self._online = self._online, online
        if was is False and online:
            self._loop.submit(lambda: self._judge.record(NewEntry(catalogue.VisionReturned())))
        elif was is True and not online:
            self._loop.submit(lambda: self._judge.record(NewEntry(catalogue.VisionLost("gone"))))
