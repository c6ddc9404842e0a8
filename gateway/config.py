"""gateway.toml as frozen typed tables: every key, default and unit of a gateway is here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, field

from runtime.errors import ConfigError
from runtime.toml_file import Table, load

Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Pin = Annotated[int, Meta(ge=0, le=63)]  # BCM number
Port = Annotated[int, Meta(ge=1, le=65535)]


class Label(Table):
    """What people call it."""

    zh: Annotated[str, Meta(min_length=1, max_length=40)]
    en: Annotated[str, Meta(min_length=1, max_length=40)]


class Site(Table):
    """Who this gateway is. `kind = "simulated"` is the only kind that may have a [simulation] table."""

    district: Name
    site: Name
    gateway: Name
    label: Label
    site_key_file: str  # 32 random bytes; makes tokens and PIN digests
    kind: Literal["real", "simulated"] = "real"
    timezone: str = "Asia/Shanghai"


class Paths(Table):
    """Relative paths are relative to the configuration file."""

    data: str  # the database
    run: str  # sockets


class Uplink(Table):
    """The way to the district center. `mode = "none"`: journal only."""

    mode: Literal["mqtt", "none"] = "none"
    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"  # passwords go in clear until there is TLS
    port: Port = 1883
    client_id_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    batch_events: Annotated[int, Meta(ge=1, le=1000)] = 100


class Bus(Table):
    """One RS-485 line with OSDP devices."""

    name: Name
    port: str
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 38400


class Reader(Table):
    """One OSDP device on a bus: a reader, or a node of ours that also drives the lock."""

    name: Name
    bus: Name
    address: Annotated[int, Meta(ge=0, le=126)]
    profile: Name
    key_file: str  # SCBK, 16 bytes as 32 hex digits


class Door(Table):
    """A door: a reader in front, a lock driven by `actuator` (a reader's node), a contact and a request-to-exit."""

    name: Name
    label: Label
    reader: Name
    unlock_s: Seconds = 5.0
    held_open_s: Seconds = 30.0
    exit_s: Seconds = 5.0  # how long the node itself releases on request-to-exit (firmware/node/door.py)
    pin_wait_s: Seconds = 15.0
    alternative_ways_in: tuple[str, ...] = ()


class BarrierPins(Table):
    """Where the barrier controller is wired to this Pi (BCM numbers)."""

    lower: Pin
    raised: Pin
    lowered: Pin
    loop: Pin
    raise_: Pin = field(name="raise")


class Barrier(Table):
    """A vehicle barrier on this Pi's pins, opened by plates that `camera` reads."""

    name: Name
    label: Label
    profile: Name
    camera: Name
    pins: BarrierPins
    travel_s: Seconds = 6.0  # longest time the arm may take before it has failed
    lower_after_s: Seconds = 2.0  # after the loop is free again
    no_passage_s: Seconds = 20.0  # lower again where nobody drove through


class Camera(Table):
    """Where pictures come from. `folder:PATH` = JPEG files that appear there in name order."""

    name: Name
    profile: Name
    source: Annotated[str, Meta(pattern=r"^folder:.+(?!\n)$")]
    purpose: Literal["plates"] = "plates"


class Vision(Table):
    """The worker process that reads pictures."""

    threads: Annotated[int, Meta(ge=1, le=4)] = 1
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.6
    agreeing_frames: Annotated[int, Meta(ge=1, le=10)] = 2


class Web(Table):
    """The property manager's pages. Only loopback until accounts and TLS are set up."""

    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    port: Port = 8080


class Simulation(Table):
    """Sockets of the simulator, where wires would be. Refused unless site.kind = "simulated"."""

    pins: str
    clock: str | None = None  # who connects there is told how far the site's clock is off


class Policy(Table):
    """The document of holders, credentials and rules."""

    file: str


class GatewayConfig(Table):
    """The whole file."""

    site: Site
    paths: Paths
    policy: Policy
    uplink: Uplink = Uplink()
    bus: tuple[Bus, ...] = ()
    reader: tuple[Reader, ...] = ()
    door: tuple[Door, ...] = ()
    barrier: tuple[Barrier, ...] = ()
    camera: tuple[Camera, ...] = ()
    vision: Vision = Vision()
    web: Web = Web()
    simulation: Simulation | None = None


def read(path: Path) -> GatewayConfig:
    """Parse and cross-check gateway.toml. Relative paths in the result are made absolute by `resolve`.

    Raises ConfigError: one sentence with file, key, expected, got and what to do.
    """
    config = load(path, GatewayConfig)
    _cross_check(config, str(path))
    return config


def resolve(config_file: Path, path: str) -> Path:
    """An absolute path; relative ones start at the configuration file's folder.

    Symbolic links stay: an adapter that is plugged in again may be another device behind the same link.
    """
    return Path(os.path.abspath(config_file.parent / path))  # noqa: PTH100  # Path.resolve would follow links


def database_file(config_file: Path, config: GatewayConfig) -> Path:
    """The one SQLite file: policy, journal, outbox."""
    return resolve(config_file, config.paths.data) / "gateway.sqlite"


def operations_socket(config_file: Path, config: GatewayConfig) -> Path:
    """Where core answers operations."""
    return resolve(config_file, config.paths.run) / "operations.sock"


def vision_socket(config_file: Path, config: GatewayConfig) -> Path:
    """Where core takes observations from the vision process."""
    return resolve(config_file, config.paths.run) / "vision.sock"


def _cross_check(config: GatewayConfig, source: str) -> None:
    def fail(key: str, text: str) -> None:
        raise ConfigError(f"{source}: {key}: {text}")

    if config.simulation is not None and config.site.kind != "simulated":
        fail("simulation", 'this table is allowed only with site.kind = "simulated"; remove it on a real site')
    if config.simulation is None and config.site.kind == "simulated":
        fail("simulation", 'site.kind = "simulated" needs this table; add it or set site.kind = "real"')
    try:
        ZoneInfo(config.site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        fail("site.timezone", f"expected an IANA name such as Asia/Shanghai, got {config.site.timezone!r}")
    if config.uplink.mode == "mqtt" and None in (
        config.uplink.client_id_file,
        config.uplink.username,
        config.uplink.password_file,
    ):
        fail("uplink", 'mode = "mqtt" needs client_id_file, username and password_file; set-up writes all three')
    tables: dict[str, tuple[Bus | Reader | Door | Barrier | Camera, ...]] = {
        "bus": config.bus,
        "reader": config.reader,
        "camera": config.camera,
        "portal": (*config.door, *config.barrier),
    }
    names = {kind: [item.name for item in items] for kind, items in tables.items()}
    for kind, listed in names.items():
        for name in listed:
            if listed.count(name) > 1:
                fail(kind, f"the name {name!r} is used twice; give each {kind} its own")
    wired: list[tuple[str, int]] = []
    for i, reader in enumerate(config.reader):
        if reader.bus not in names["bus"]:
            fail(f"reader[{i}].bus", f"expected one of {names['bus']}, got {reader.bus!r}")
        if (reader.bus, reader.address) in wired:
            fail(f"reader[{i}].address", f"{reader.address} is taken on bus {reader.bus!r}; each device needs its own")
        wired.append((reader.bus, reader.address))
    for i, door in enumerate(config.door):
        if door.reader not in names["reader"]:
            fail(f"door[{i}].reader", f"expected one of {names['reader']}, got {door.reader!r}")
        if door.reader in [other.reader for other in config.door[:i]]:
            fail(f"door[{i}].reader", f"{door.reader!r} is at another door already; each door needs its own")
    used: dict[int, str] = {}
    for i, barrier in enumerate(config.barrier):
        if barrier.camera not in names["camera"]:
            fail(f"barrier[{i}].camera", f"expected one of {names['camera']}, got {barrier.camera!r}")
        for role in ("raise_", "lower", "raised", "lowered", "loop"):
            pin = getattr(barrier.pins, role)
            if pin in used:
                fail(f"barrier[{i}].pins.{role}", f"pin {pin} is already {used[pin]}; wire one thing to a pin")
            used[pin] = f"barrier[{i}].pins.{role}"
