"""gateway.toml as frozen typed tables: every key, default and unit of a gateway is here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from gateway import config_checks
from runtime.toml_file import Table, load

Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Pin = Annotated[int, Meta(ge=0, le=63)]  # BCM number
Port = Annotated[int, Meta(ge=1, le=65535)]
FaceAsked = Literal["challenge", "light"]


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
    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]{1,253}(?!\n)$")] = "127.0.0.1"
    port: Port = 1883
    client_id_file: str | None = None
    username: str | None = None  # without TLS; only to a broker on this machine, for the password goes in clear
    password_file: str | None = None
    tls_ca_file: str | None = None  # whose broker certificate is believed
    tls_certificate_file: str | None = None  # says who this gateway is
    tls_key_file: str | None = None
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
    """A door: a reader in front, whose node drives the lock and reads contact and request-to-exit.

    fire: the door's hard path, which needs neither bus nor gateway: "node-input" = the fire panel's loop ends at the
    node, "supply" = the panel's relay cuts the supply of a fail-safe lock. escape_route: on the way out of the house.
    """

    name: Name
    label: Label
    reader: Name
    unlock_s: Seconds = 5.0
    held_open_s: Seconds = 30.0
    exit_s: Seconds = 5.0  # how long the node itself releases on request-to-exit (firmware/node/door.py)
    pin_wait_s: Seconds = 15.0
    exit_reader: Name | None = None  # a second reader, on the inner side: who shows something there leaves
    fire: Literal["none", "node-input", "supply"] = "none"
    escape_route: bool = False
    alternative_ways_in: tuple[str, ...] = ()
    face_camera: Name | None = None  # a [[camera]] with purpose = "face", in front of this door
    face_asks: tuple[FaceAsked, ...] = ("challenge",)  # what a face that opens alone has to do or be lit by
    face_asks_beside: tuple[FaceAsked, ...] = ()  # likewise of a face beside a card or a PIN


class Journal(Table):
    """How much the journal keeps; what the center has not acknowledged counts as well."""

    rows_max: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 200_000
    retain_days: Annotated[int, Meta(ge=1, le=3_650)] = 30


class Scanner(Table):
    """A code scanner on a serial line that sends what it reads as a line of text; it belongs to one door."""

    name: Name
    port: str
    door: Name
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600


class Turnstile(Table):
    """A turnstile: readers on both sides, arms enabled by two outputs of the entry reader's node.

    Its node's inputs `turned-in`, `turned-out` and, where there is one, `jumped` tell what happened.
    """

    name: Name
    label: Label
    reader: Name
    exit_reader: Name | None = None
    passage_s: Seconds = 6.0  # how long one direction stays enabled for one passage
    pin_wait_s: Seconds = 15.0
    fire: Literal["none", "node-input", "supply"] = "none"
    escape_route: bool = False


class LiftFloor(Table):
    """One floor: a portal of the policy by its `name`, and the output of the car reader's node that enables it."""

    name: Name
    output: Name


class Lift(Table):
    """A lift's car panel: one reader in the car, one output a floor."""

    name: Name
    label: Label
    reader: Name
    floors: Annotated[tuple[LiftFloor, ...], Meta(min_length=1, max_length=64)]
    select_s: Seconds = 8.0  # how long the granted floors can be selected
    pin_wait_s: Seconds = 15.0


class Fire(Table):
    """An input of this Pi from the fire panel, pulled up. active = "high": the panel's contact opens in a fire, and a
    cut wire counts as fire; active = "low": it closes in a fire, and a cut wire is not noticed."""

    panel_pin: Pin | None = None
    active: Literal["high", "low"] = "high"


class Time(Table):
    """When the machine's clock is believed: "synchronised" = a time server has set it in this boot, "hardware" = also a
    clock with a battery that nobody has set. docs/time.md."""

    trust: Literal["synchronised", "hardware"] = "synchronised"


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
    reader: Name | None = None  # beside the arm, for a second factor where the policy's `accepts` asks for one
    second_factor_s: Seconds = 30.0  # how long the plate waits for it, or it for the plate
    travel_s: Seconds = 6.0  # longest time the arm may take before it has failed
    lower_after_s: Seconds = 2.0  # after the loop is free again
    no_passage_s: Seconds = 20.0  # lower again where nobody drove through


class Camera(Table):
    """Where pictures come from. `folder:PATH` = JPEG files that appear there in name order."""

    name: Name
    profile: Name
    source: Annotated[str, Meta(pattern=r"^folder:.+(?!\n)$")]
    purpose: Literal["plates", "face"] = "plates"


class Offline(Table):
    """What our own nodes do while this gateway is away: decide by a cache that holds for `life_days`, once it has been
    silent for `after_s` (longer than any session survives). docs/offline.md."""

    enabled: bool = True
    after_s: Annotated[float, Meta(ge=9, le=600)] = 10.0
    life_days: Annotated[int, Meta(ge=1, le=30)] = 7


class Faces(Table):
    """Face recognition at doors. `accepted_statement`: which statement of what was never tested an operator has
    accepted (`zhian face statement`); before that a face opens nothing by itself. docs/faces.md."""

    accepted_statement: Annotated[str, Meta(pattern=r"^([0-9a-f]{16})?(?!\n)$")] = ""
    model: str | None = None  # TOML of the operator's own embedding model; None: the published one
    fpir: Annotated[float, Meta(gt=0, lt=1)] = 0.02  # strangers taken for somebody, at most; a face alone
    fmr: Annotated[float, Meta(gt=0, lt=1)] = 0.015  # likewise of one comparison; a face and a card
    agreeing_frames: Annotated[int, Meta(ge=1, le=10)] = 3


class Vision(Table):
    """The worker process that reads pictures. `reader = "published"` and `"vote"` need `zhian models fetch` and, on a
    real site, `zhian models accept` of both published models."""

    reader: Literal["own", "published", "vote"] = "own"
    threads: Annotated[int, Meta(ge=1, le=4)] = 1
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.6
    agreeing_frames: Annotated[int, Meta(ge=1, le=10)] = 2
    refused_rows: Annotated[int, Meta(ge=0, le=5000)] = 500  # visits that came to nothing, kept on the site
    refused_days: Annotated[int, Meta(ge=1, le=90)] = 7


class Web(Table):
    """The property manager's pages. Only loopback until accounts and TLS are set up."""

    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    port: Port = 8080


class Simulation(Table):
    """Sockets of the simulator, where wires would be. Refused unless site.kind = "simulated"."""

    pins: str
    clock: str | None = None  # who connects there is told how far the site's clock is off


class Policy(Table):
    """The document of holders, credentials and rules, and the key that signs its versions and visitor passes."""

    file: str  # read at the very first start, and by `zhian access import`
    key_file: str | None = None  # 32 random bytes; None: policy.key in paths.data, made at the very first start


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
    turnstile: tuple[Turnstile, ...] = ()
    lift: tuple[Lift, ...] = ()
    scanner: tuple[Scanner, ...] = ()
    journal: Journal = Journal()
    fire: Fire = Fire()
    time: Time = Time()
    camera: tuple[Camera, ...] = ()
    faces: Faces = Faces()
    offline: Offline = Offline()
    vision: Vision = Vision()
    web: Web = Web()
    simulation: Simulation | None = None


def read(path: Path) -> GatewayConfig:
    """Parse and cross-check gateway.toml. Relative paths in the result are made absolute by `resolve`.

    Raises ConfigError: one sentence with file, key, expected, got and what to do.
    """
    config = load(path, GatewayConfig)
    config_checks.check(config, str(path))
    return config


def resolve(config_file: Path, path: str) -> Path:
    """An absolute path; relative ones start at the configuration file's folder.

    Symbolic links stay: an adapter that is plugged in again may be another device behind the same link.
    """
    return Path(os.path.abspath(config_file.parent / path))  # noqa: PTH100  # Path.resolve would follow links


def database_file(config_file: Path, config: GatewayConfig) -> Path:
    """The SQLite file of journal and outbox."""
    return resolve(config_file, config.paths.data) / "gateway.sqlite"


def policy_database(config_file: Path, config: GatewayConfig) -> Path:
    """The versions of the policy."""
    return resolve(config_file, config.paths.data) / "policy.sqlite"


def policy_key_file(config_file: Path, config: GatewayConfig) -> Path:
    """The key that signs them."""
    if config.policy.key_file is not None:
        return resolve(config_file, config.policy.key_file)
    return resolve(config_file, config.paths.data) / "policy.key"


def faces_folder(config_file: Path, config: GatewayConfig) -> Path:
    """Sealed references, their keys, and the list of erasures."""
    return resolve(config_file, config.paths.data) / "faces"


def operations_socket(config_file: Path, config: GatewayConfig) -> Path:
    """Where core answers operations."""
    return resolve(config_file, config.paths.run) / "operations.sock"


def refused_plates_file(config_file: Path, config: GatewayConfig) -> Path:
    """The visits of vehicles that came to nothing; never leaves the site."""
    return resolve(config_file, config.paths.data) / "refused-plates.jsonl"


def vision_socket(config_file: Path, config: GatewayConfig) -> Path:
    """Where core takes observations from the vision process."""
    return resolve(config_file, config.paths.run) / "vision.sock"
