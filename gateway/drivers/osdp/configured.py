"""Devices of a bus as they are configured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware.wire import codes
from gateway.drivers.osdp.key_file import KeyFile
from gateway.errors import DriverError


@dataclass(frozen=True, slots=True)
class OsdpDevice:
    """A device as configured. `inputs`: OSDP number -> name; `outputs`: name -> OSDP number; `scbk`: its own key.

    `scbk_next`: the key it was told to take, and may have taken; `key_file`: where both are kept.
    """

    name: str
    address: int
    scbk: bytes
    inputs: Mapping[int, str]
    outputs: Mapping[str, int]
    scbk_next: bytes | None = None
    key_file: KeyFile | None = None

    def __repr__(self) -> str:
        return f"OsdpDevice({self.name!r}, address={self.address})"  # never the key


def check(devices: list[OsdpDevice], bus: str) -> None:
    """Raises DriverError where two devices share a name or address, or a key has not 16 bytes."""
    for device in devices:
        if len(device.scbk) != 16:
            raise DriverError(f"osdp: device {device.name!r}: expected a key of 16 bytes, got {len(device.scbk)}")
        if not 0 <= device.address < codes.BROADCAST:
            raise DriverError(f"osdp: device {device.name!r}: expected an address of 0..126, got {device.address}")
        if sum(d.name == device.name or d.address == device.address for d in devices) > 1:
            raise DriverError(
                f"osdp: bus {bus!r}: name or address of device {device.name!r} is used twice; give each its own"
            )
