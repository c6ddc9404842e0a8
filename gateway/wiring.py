"""From configuration and device profiles to the settings that drivers and portals take. Reads key files, no more."""

from __future__ import annotations

from pathlib import Path

import device_profiles
from device_profiles import BarrierProfile, OsdpDeviceProfile
from gateway import config as configuration
from gateway.access.policy import Policy
from gateway.config import GatewayConfig, resolve
from gateway.control.barrier import BarrierSettings
from gateway.control.door import DoorSettings
from gateway.drivers.gpio import BarrierWiring, InputWiring
from gateway.drivers.osdp import OsdpDevice
from gateway.portal.barrier import BarrierTimes
from gateway.portal.door import DoorTimes
from gateway.uplink import UplinkSettings
from runtime.errors import ConfigError


def check_portals(file: Path, config: GatewayConfig, policy: Policy) -> None:
    """Every portal here must be described in the policy: better now than at the first card. Raises ConfigError."""
    for portal in (*config.door, *config.barrier):
        if portal.name not in policy.portals:
            raise ConfigError(
                f"{resolve(file, config.policy.file)}: portal {portal.name!r} of {file.name} is missing;"
                " add a [[portal]] table for it"
            )


def door_settings(door: configuration.Door) -> DoorSettings:
    """A door's settings; times in ms."""
    times = DoorTimes(
        unlock_ms=round(door.unlock_s * 1000),
        held_open_ms=round(door.held_open_s * 1000),
        exit_ms=round(door.exit_s * 1000),
    )
    label = {"zh": door.label.zh, "en": door.label.en}
    return DoorSettings(door.name, door.reader, label, times, round(door.pin_wait_s * 1000))


def osdp_device(file: Path, config: GatewayConfig, reader: configuration.Reader) -> OsdpDevice:
    """A reader on a bus, with its key. Raises ConfigError."""
    profile = device_profiles.load(reader.profile)
    if not isinstance(profile, OsdpDeviceProfile):
        raise ConfigError(
            f"{file}: reader {reader.name!r}: profile {reader.profile!r} is no osdp-device; name one of that kind"
        )
    _check_lock(file, config, reader, profile)
    scbk = secret(file, reader.key_file, 16)
    return OsdpDevice(reader.name, reader.address, scbk, profile.input_names(), profile.output_numbers())


def _check_lock(file: Path, config: GatewayConfig, reader: configuration.Reader, profile: OsdpDeviceProfile) -> None:
    for door in config.door:
        if door.reader != reader.name:
            continue
        lock = profile.outputs.get("lock")
        if lock is None:
            raise ConfigError(
                f"{file}: door {door.name!r}: profile {reader.profile!r} has no output 'lock'; choose a device with one"
            )
        if door.unlock_s * 1000 > lock.max_pulse_ms:
            raise ConfigError(
                f"{file}: door {door.name!r}: unlock_s: expected at most {lock.max_pulse_ms / 1000:g}"
                f" (profile {reader.profile!r}), got {door.unlock_s:g}; lower it"
            )


def barrier_settings(barrier: configuration.Barrier) -> BarrierSettings:
    """A barrier's settings; times in ms."""
    times = BarrierTimes(
        travel_ms=round(barrier.travel_s * 1000),
        lower_after_ms=round(barrier.lower_after_s * 1000),
        no_passage_ms=round(barrier.no_passage_s * 1000),
    )
    return BarrierSettings(barrier.name, barrier.camera, {"zh": barrier.label.zh, "en": barrier.label.en}, times)


def barrier_wiring(file: Path, barrier: configuration.Barrier) -> BarrierWiring:
    """Which pin means what, from the barrier's profile. Raises ConfigError."""
    profile = device_profiles.load(barrier.profile)
    if not isinstance(profile, BarrierProfile):
        raise ConfigError(f"{file}: barrier {barrier.name!r}: profile {barrier.profile!r} is no barrier; name one")
    if profile.signals.raise_.mode != "pulse" or profile.signals.raise_.pulse_ms is None:
        raise ConfigError(
            f"{file}: barrier {barrier.name!r}: profile {barrier.profile!r} raises by a held signal, which this version"
            " cannot drive; choose one that raises by a pulse"
        )
    contacts = {
        "raised": (barrier.pins.raised, profile.inputs.raised),
        "lowered": (barrier.pins.lowered, profile.inputs.lowered),
        "loop": (barrier.pins.loop, profile.inputs.loop),
    }
    return BarrierWiring(
        raise_pin=barrier.pins.raise_,
        lower_pin=barrier.pins.lower,
        inputs={
            name: InputWiring(pin, int(told.active == "high"), told.pull == "up", told.debounce_ms / 1000)
            for name, (pin, told) in contacts.items()
            if told is not None
        },
        raise_pulse_s=profile.signals.raise_.pulse_ms / 1000,
    )


def uplink_settings(file: Path, config: GatewayConfig) -> UplinkSettings | None:
    """How to reach the center; None where the site has none. Raises ConfigError."""
    told, site = config.uplink, config.site
    if told.mode == "none" or told.client_id_file is None or told.password_file is None:
        return None
    return UplinkSettings(
        host=told.host,
        port=told.port,
        district=site.district,
        site=site.site,
        gateway=site.gateway,
        client_id=_line(resolve(file, told.client_id_file)),
        username=told.username or site.gateway,
        password=_line(resolve(file, told.password_file)),
        simulated=site.kind == "simulated",
        batch_events=told.batch_events,
    )


def secret(file: Path, name: str, length_bytes: int) -> bytes:
    """A key from a file of hex digits. Raises ConfigError; never shows what the file holds."""
    path = resolve(file, name)
    if path.exists() and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: expected a file that only its owner can read; run chmod 600 on it")
    try:
        key = bytes.fromhex(_line(path))
    except ValueError:
        key = b""
    if len(key) != length_bytes:
        raise ConfigError(f"{path}: expected {2 * length_bytes} hex digits; write a new key there")
    return key


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: this secret cannot be read ({type(e).__name__}); run set-up again") from None
