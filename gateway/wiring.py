"""From configuration and device profiles to the settings that drivers and portals take. Reads key files, no more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

import device_profiles
from device_profiles import BarrierProfile, OsdpDeviceProfile
from firmware.wire.offline import CacheKeys
from gateway import config as configuration
from gateway.config import GatewayConfig, resolve
from gateway.control.barrier import BarrierSettings
from gateway.control.door import DoorSettings
from gateway.control.lift import LiftSettings
from gateway.control.node_cache import NodeSettings
from gateway.control.turnstile import ENABLE_IN, ENABLE_OUT, TURNED_IN, TURNED_OUT, TurnstileSettings
from gateway.drivers.gpio import BarrierWiring, InputWiring
from gateway.drivers.osdp import KeyFile, OsdpDevice
from gateway.errors import DriverError
from gateway.portal.barrier import BarrierTimes
from gateway.portal.door import DoorTimes
from gateway.uplink import UplinkSettings
from runtime.errors import ConfigError
from runtime.mqtt import Tls


def portal_names(config: GatewayConfig) -> tuple[str, ...]:
    """Every portal that the policy must describe: doors, barriers, turnstiles, lifts and their floors."""
    portals = [*(door.name for door in config.door), *(barrier.name for barrier in config.barrier)]
    portals += [*(turnstile.name for turnstile in config.turnstile), *(lift.name for lift in config.lift)]
    return (*portals, *(floor.name for lift in config.lift for floor in lift.floors))


def exit_readers(config: GatewayConfig) -> dict[str, str]:
    """The reader on the inner side of each portal that has one: the policy must say that who asks there leaves."""
    with_two_sides: list[configuration.Door | configuration.Turnstile] = [*config.door, *config.turnstile]
    return {portal.name: portal.exit_reader for portal in with_two_sides if portal.exit_reader is not None}


def door_settings(config: GatewayConfig, door: configuration.Door) -> DoorSettings:
    """A door's settings; times in ms."""
    times = DoorTimes(
        unlock_ms=round(door.unlock_s * 1000),
        held_open_ms=round(door.held_open_s * 1000),
        exit_ms=round(door.exit_s * 1000),
    )
    scanners = [scanner.name for scanner in config.scanner if scanner.door == door.name]
    return DoorSettings(
        door.name,
        door.reader,
        {"zh": door.label.zh, "en": door.label.en},
        times,
        round(door.pin_wait_s * 1000),
        tuple([door.exit_reader, *scanners] if door.exit_reader else scanners),
        door.fire != "none",
    )


def node_settings(config: GatewayConfig, door: configuration.Door) -> NodeSettings:
    """What a door's node is told for the time without this gateway; times in ms."""
    told = config.offline
    return NodeSettings(
        door.reader,
        door.name,
        round(door.unlock_s * 1000),
        round(door.pin_wait_s * 1000),
        round(told.after_s * 1000),
        told.life_days * 86_400_000,
    )


def node_keys(file: Path, config: GatewayConfig, reader_name: str) -> Callable[[], CacheKeys]:
    """The keys of a device's cache, from its base key as it is when asked; that may change."""
    reader = next(one for one in config.reader if one.name == reader_name)
    key_file = KeyFile(resolve(file, reader.key_file))

    def keys() -> CacheKeys:
        scbk = key_file.key()
        if scbk is None:
            raise DriverError(f"{key_file.path}: there is no key for {reader_name!r}; give the device one")
        return CacheKeys(scbk)

    return keys


def turnstile_settings(turnstile: configuration.Turnstile) -> TurnstileSettings:
    """A turnstile's settings; times in ms."""
    return TurnstileSettings(
        turnstile.name,
        turnstile.reader,
        {"zh": turnstile.label.zh, "en": turnstile.label.en},
        round(turnstile.passage_s * 1000),
        round(turnstile.pin_wait_s * 1000),
        turnstile.exit_reader,
        turnstile.fire != "none",
    )


def lift_settings(lift: configuration.Lift) -> LiftSettings:
    """A lift's settings; times in ms."""
    return LiftSettings(
        lift.name,
        lift.reader,
        {"zh": lift.label.zh, "en": lift.label.en},
        {floor.name: floor.output for floor in lift.floors},
        round(lift.select_s * 1000),
        round(lift.pin_wait_s * 1000),
    )


def osdp_device(file: Path, config: GatewayConfig, reader: configuration.Reader) -> OsdpDevice:
    """A reader on a bus, with its key. Raises ConfigError."""
    profile = device_profiles.load(reader.profile)
    if not isinstance(profile, OsdpDeviceProfile):
        raise ConfigError(
            f"{file}: reader {reader.name!r}: profile {reader.profile!r} is no osdp-device; name one of that kind"
        )
    _check_lock(file, config, reader, profile)
    _check_outputs(file, config, reader, profile)
    scbk = secret(file, reader.key_file, 16)
    key_file = KeyFile(resolve(file, reader.key_file))
    names = profile.input_names(), profile.output_numbers()
    return OsdpDevice(reader.name, reader.address, scbk, *names, key_file.staged(), key_file)


def has_display(reader: configuration.Reader) -> bool:
    """Whether a text can be shown at this reader."""
    profile = device_profiles.load(reader.profile)
    return isinstance(profile, OsdpDeviceProfile) and profile.text_display


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
        path = {"node-input": "device-input", "supply": "lock-supply"}.get(door.fire)
        if path is not None and lock.fire_release != path:
            raise ConfigError(
                f"{file}: door {door.name!r}: fire: expected a lock with fire_release = {path!r}, got profile"
                f" {reader.profile!r} with {lock.fire_release!r}; choose the device that is wired so"
            )


def _check_outputs(file: Path, config: GatewayConfig, reader: configuration.Reader, profile: OsdpDeviceProfile) -> None:
    """A turnstile's node needs its outputs and inputs, a lift's one output a floor."""
    needed: dict[str, list[str]] = {}
    for turnstile in config.turnstile:
        if turnstile.reader == reader.name:
            needed[turnstile.name] = [ENABLE_IN, ENABLE_OUT]
            for name in (TURNED_IN, TURNED_OUT):
                if name not in profile.inputs:
                    raise ConfigError(
                        f"{file}: turnstile {turnstile.name!r}: profile {reader.profile!r} has no input {name!r};"
                        " choose a device with one"
                    )
    for lift in config.lift:
        if lift.reader == reader.name:
            needed[lift.name] = [floor.output for floor in lift.floors]
    for portal, outputs in needed.items():
        for output in outputs:
            if output not in profile.outputs:
                raise ConfigError(
                    f"{file}: portal {portal!r}: profile {reader.profile!r} has no output {output!r}; choose a device"
                    " with one"
                )


def barrier_settings(barrier: configuration.Barrier) -> BarrierSettings:
    """A barrier's settings; times in ms."""
    times = BarrierTimes(
        travel_ms=round(barrier.travel_s * 1000),
        lower_after_ms=round(barrier.lower_after_s * 1000),
        no_passage_ms=round(barrier.no_passage_s * 1000),
    )
    label = {"zh": barrier.label.zh, "en": barrier.label.en}
    return BarrierSettings(
        barrier.name, barrier.camera, label, times, barrier.reader, round(barrier.second_factor_s * 1000)
    )


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
    if told.mode == "none":
        return None
    tls = _tls(file, told)
    return UplinkSettings(
        host=told.host,
        port=told.port,
        district=site.district,
        site=site.site,
        gateway=site.gateway,
        client_id=_client_id(file, told, tls),
        username=None if tls else told.username or site.gateway,  # the certificate says who we are
        password=_line(resolve(file, told.password_file)) if told.password_file and not tls else None,
        simulated=site.kind == "simulated",
        batch_events=told.batch_events,
        tls=tls,
    )


def _tls(file: Path, told: configuration.Uplink) -> Tls | None:
    if told.tls_ca_file is None or told.tls_certificate_file is None or told.tls_key_file is None:
        return None
    key_file = resolve(file, told.tls_key_file)
    _refuse_readable_by_others(key_file)
    return Tls(resolve(file, told.tls_ca_file), resolve(file, told.tls_certificate_file), key_file)


def _client_id(file: Path, told: configuration.Uplink, tls: Tls | None) -> str:
    """A secret, since who knows it may displace its owner at some brokers: from its file, else from the private key.

    With a certificate it begins with that certificate's name, which keeps it ours at the district's broker."""
    secret = _secret_client_id(file, told, tls)
    name = _certified_name(tls.certificate_file) if tls is not None else None
    return secret if name is None else f"{name}/{secret}"


def _certified_name(certificate_file: Path) -> str | None:
    """The user whom a certificate names; None where it cannot be told: connecting will say why, and doors need none."""
    try:
        subject = x509.load_pem_x509_certificate(certificate_file.read_bytes()).subject
    except (OSError, ValueError):
        return None
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else None


def _secret_client_id(file: Path, told: configuration.Uplink, tls: Tls | None) -> str:
    if told.client_id_file is not None or tls is None:
        return _line(resolve(file, told.client_id_file or ""))
    try:
        key = tls.key_file.read_bytes()
    except OSError as e:
        raise ConfigError(f"{tls.key_file}: this key cannot be read ({e.strerror}); run set-up again") from None
    return hashlib.sha256(b"zhian MQTT client id" + key).hexdigest()[:32]


def secret(file: Path, name: str, length_bytes: int) -> bytes:
    """A key from a file of hex digits. Raises ConfigError; never shows what the file holds."""
    path = resolve(file, name)
    _refuse_readable_by_others(path)
    try:
        key = bytes.fromhex(_line(path))
    except ValueError:
        key = b""
    if len(key) != length_bytes:
        raise ConfigError(f"{path}: expected {2 * length_bytes} hex digits; write a new key there")
    return key


def _refuse_readable_by_others(path: Path) -> None:
    if path.exists() and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: expected a file that only its owner can read; run chmod 600 on it")


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: this secret cannot be read ({type(e).__name__}); run set-up again") from None
