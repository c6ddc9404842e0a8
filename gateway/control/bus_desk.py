"""What a technician asks of the buses of a running core: a new key for a device, and what was said on a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from center.contract import catalogue
from gateway.control.judge import Judge
from gateway.errors import OperationRefusedError


class Heard(Protocol):
    """Bytes of a line: Unix nanoseconds, whether the panel sent them, the bytes."""

    @property
    def time_ns(self) -> int: ...

    @property
    def from_panel(self) -> bool: ...

    @property
    def data(self) -> bytes: ...


class Ring(Protocol):
    """The newest bytes of a line."""

    def newest(self, count: int) -> Sequence[Heard]: ...


class Bus(Protocol):
    """One line."""

    @property
    def trace(self) -> Ring: ...

    async def rotate_key(self, device: str) -> None:
        """Return once the device has proved that it has its new key. Raises DriverError."""
        ...


class BusDesk:
    """`buses`: every line by name; `bus_of`: the line of each device."""

    def __init__(self, judge: Judge, buses: Mapping[str, Bus], bus_of: Mapping[str, Bus]) -> None:
        self._judge = judge
        self._buses = dict(buses)
        self._bus_of = dict(bus_of)

    async def rotate_key(self, device: str, operator: str) -> None:
        """Give a device a fresh key, and record who had it done. Raises OperationRefusedError, DriverError."""
        if (bus := self._bus_of.get(device)) is None:
            known = sorted(self._bus_of)
            raise OperationRefusedError(f"there is no device {device!r} on a bus; this gateway has {known}")
        await bus.rotate_key(device)
        await self._judge.fact(catalogue.DeviceRekeyed(device, self._judge.token("operator", operator)))

    def heard(self, bus: str, count: int) -> Sequence[Heard]:
        """The newest records of a line, oldest first. Raises OperationRefusedError."""
        if bus not in self._buses:
            raise OperationRefusedError(f"there is no bus {bus!r}; this gateway has {sorted(self._buses)}")
        return self._buses[bus].trace.newest(count)
