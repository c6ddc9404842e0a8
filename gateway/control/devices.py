"""The devices on the buses: whose observation goes to which door, who is lost, who is back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from center.contract import catalogue
from gateway.control.job_loop import QUEUE_LENGTH, JobLoop
from gateway.control.judge import Judge
from gateway.errors import DriverError
from gateway.model import (
    CardRead,
    Command,
    DeviceOffline,
    DeviceOnline,
    DeviceRecord,
    InputChanged,
    KeysEntered,
    Observation,
    PowerChanged,
    Signal,
    TextScanned,
)


class Bus(Protocol):
    """A line that some of the devices hang on."""

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """As ports.Actuator."""
        ...

    async def transfer(self, device: str, file_type: int, data: bytes) -> None:
        """Return once the device has taken the file. Raises DriverError."""
        ...

    async def manufacturer(self, device: str, data: bytes) -> bytes:
        """A command between our own ends; what the device answered. Raises DriverError."""
        ...


class Nodes(Protocol):
    """Who hears of devices that decide alone."""

    def told(self, device: str, data: bytes) -> None:
        """A device told something of its own. Never waits."""
        ...

    def device_offline(self, device: str) -> None:
        """A device went away."""
        ...


class Portal(Protocol):
    """What a device belongs to: a door, a turnstile, a lift."""

    def observe(self, observation: CardRead | KeysEntered | TextScanned | InputChanged) -> None:
        """Something happened at one of its devices. Never waits."""
        ...

    def device_online(self, device: str) -> None:
        """One of its devices came (back)."""
        ...

    def device_offline(self, device: str) -> None:
        """One of its devices went away."""
        ...


class FireInputs(Protocol):
    """Who hears of fire first."""

    def input_changed(self, device: str, name: str, active: bool) -> None:
        """The input `fire` or `fire-latched` of a node. Acts at once."""
        ...

    def device_online(self, device: str) -> None:
        """A device came (back): it may have to be told."""
        ...

    def device_offline(self, device: str) -> None:
        """A device went away: what its input said last no longer counts as active."""
        ...


FIRE_INPUTS = ("fire", "fire-latched")
# Inputs that are no portal's: by the names that the device profiles give them.
SENSORS: Mapping[str, Callable[[str], catalogue.AnyEventData]] = {
    "smoke": catalogue.SmokeSensed,
    "water": catalogue.WaterSensed,
    "panic": catalogue.PanicPressed,
    "pir": catalogue.MotionSensed,
}
# Detectors fire again and again while somebody is there, whom a minute tells well enough; alarms are never thinned out.
MOTION_EVERY_MS = 60_000


class Devices:
    """Implements ports.Actuator over all buses; `observe` takes what they report, on the loop.

    count: of devices; a cut line loses all of them in one moment, and each is an event.
    """

    def __init__(self, judge: Judge, count: int = 0) -> None:
        self._judge = judge
        self._bus_of: dict[str, Bus] = {}
        self._portals: dict[str, Portal] = {}
        self._fire: FireInputs | None = None
        self._nodes: Nodes | None = None
        self._on_battery: dict[str, bool] = {}
        self._sensed: dict[tuple[str, str], bool] = {}
        self._moved_ms: dict[str, int] = {}
        self._online: dict[str, bool | None] = {}  # None: not heard of since start
        self.signalled: Callable[[str], None] = _nobody_shows  # a door answers at this reader; core sets it
        self.loop = JobLoop("devices", judge.clock, length=QUEUE_LENGTH + 4 * count)

    def attach(self, buses: Mapping[str, Bus], portals: Mapping[str, Portal], fire: FireInputs | None = None) -> None:
        """Who hangs where: device name -> its bus, device name -> its portal, and who hears of fire."""
        self._bus_of = dict(buses)
        self._portals = dict(portals)
        self._fire = fire
        self._online = dict.fromkeys(buses)

    def attach_nodes(self, nodes: Nodes) -> None:
        """Who hears of devices that decide alone."""
        self._nodes = nodes

    @property
    def online(self) -> dict[str, bool]:
        """Every device, and whether it answers."""
        return {name: bool(up) for name, up in self._online.items()}

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        """Return once the device acknowledged. Raises DriverError."""
        if any(isinstance(command, Signal) for command in commands):
            self.signalled(device)
        await self._bus(device).send(device, commands)

    async def transfer(self, device: str, file_type: int, data: bytes) -> None:
        """Return once the device has taken the file. Raises DriverError."""
        await self._bus(device).transfer(device, file_type, data)

    async def manufacturer(self, device: str, data: bytes) -> bytes:
        """A command between our own ends; what the device answered. Raises DriverError."""
        return await self._bus(device).manufacturer(device, data)

    def _bus(self, device: str) -> Bus:
        if device not in self._bus_of:
            raise DriverError(f"device {device!r} hangs on no bus of this gateway")
        return self._bus_of[device]

    def observe(self, observation: Observation) -> None:
        """A bus reports; never waits."""
        match observation:
            case DeviceOnline(device=device):
                was, self._online[device] = self._online.get(device), True
                if self._fire is not None:
                    self._fire.device_online(device)
                if device in self._portals:
                    self._portals[device].device_online(device)
                if was is False:
                    self._report(catalogue.DeviceReturned(device))
            case DeviceOffline(device=device, cause=cause):
                was, self._online[device] = self._online.get(device), False
                if self._fire is not None:
                    self._fire.device_offline(device)
                if device in self._portals:
                    self._portals[device].device_offline(device)
                if self._nodes is not None:
                    self._nodes.device_offline(device)
                if was is not False:
                    self._report(catalogue.DeviceLost(device, cause))
            case DeviceRecord(device=device, data=data):
                if self._nodes is not None:
                    self._nodes.told(device, data)
            case InputChanged(device=device, name=name, active=active) if name in FIRE_INPUTS:
                if self._fire is not None:
                    self._fire.input_changed(device, name, active)
            case InputChanged(device=device, name="tamper", active=active):
                if active:
                    self._report(catalogue.DeviceTampered(device))
            case InputChanged(device=device, name=name, active=active) if name in SENSORS:
                self._sense(device, name, active)
            case PowerChanged(device=device, on_battery=on_battery):
                # Mains at first sight is how it should be, and no event.
                if self._on_battery.get(device, False) is not on_battery:
                    self._report(catalogue.DevicePowerChanged(device, "battery" if on_battery else "mains"))
                self._on_battery[device] = on_battery
            case CardRead() | KeysEntered() | TextScanned() | InputChanged():
                if observation.device in self._portals:
                    self._portals[observation.device].observe(observation)

    def _sense(self, device: str, name: str, active: bool) -> None:
        """One event each time that a sensor's contact opens; what a device says again after a loss is no news."""
        was = self._sensed.get((device, name), False)
        self._sensed[device, name] = active
        if was or not active:
            return
        if name == "pir":
            now_ms = self._judge.clock.monotonic_ms()
            if now_ms - self._moved_ms.get(device, now_ms - MOTION_EVERY_MS) < MOTION_EVERY_MS:
                return
            self._moved_ms[device] = now_ms
        self._report(SENSORS[name](device))

    def _report(self, data: catalogue.AnyEventData) -> None:
        self.loop.submit(lambda: self._judge.fact(data))


def _nobody_shows(device: str) -> None:
    """Nothing else is shown at readers."""


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
            self._loop.submit(lambda: self._judge.fact(catalogue.VisionReturned()))
        elif was is True and not online:
            self._loop.submit(lambda: self._judge.fact(catalogue.VisionLost("gone")))
