"""What gateway.toml must not say although every value is well-formed: names that lead nowhere, things wired twice,
escape routes without a hard path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config import Door, GatewayConfig, Uplink

Problem = tuple[str, str]  # key, sentence


def check(config: GatewayConfig, source: str) -> None:
    """Raises ConfigError for the first problem: one sentence with file, key, expected, got and what to do."""
    for problems in (_site, _names, _buses, _readers, _scanners, _pins, _faces, _escape_routes):
        for key, text in problems(config):
            raise ConfigError(f"{source}: {key}: {text}")


def _site(config: GatewayConfig) -> Iterator[Problem]:
    if config.simulation is not None and config.site.kind != "simulated":
        yield "simulation", 'this table is allowed only with site.kind = "simulated"; remove it on a real site'
    if config.simulation is None and config.site.kind == "simulated":
        yield "simulation", 'site.kind = "simulated" needs this table; add it or set site.kind = "real"'
    try:
        ZoneInfo(config.site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        yield "site.timezone", f"expected an IANA name such as Asia/Shanghai, got {config.site.timezone!r}"
    yield from _uplink(config.uplink)


def _uplink(uplink: Uplink) -> Iterator[Problem]:
    tls = (uplink.tls_ca_file, uplink.tls_certificate_file, uplink.tls_key_file)
    if any(tls) and None in tls:
        yield "uplink", "tls_ca_file, tls_certificate_file and tls_key_file go together; give all three"
    if uplink.mode == "none" or all(tls):
        return
    if uplink.host not in ("127.0.0.1", "::1", "localhost"):
        yield (
            "uplink.host",
            f"expected this machine (127.0.0.1), got {uplink.host!r}: without TLS the password goes in clear;"
            " give tls_ca_file, tls_certificate_file and tls_key_file (docs/broker.md)",
        )
    if None in (uplink.client_id_file, uplink.username, uplink.password_file):
        yield (
            "uplink",
            'mode = "mqtt" needs client_id_file, username and password_file, or the three tls_ keys; set-up writes all',
        )


def _names(config: GatewayConfig) -> Iterator[Problem]:
    portals = [portal.name for portal in (*config.door, *config.barrier, *config.turnstile, *config.lift)]
    named = {
        "bus": [bus.name for bus in config.bus],
        "reader": [reader.name for reader in config.reader] + [scanner.name for scanner in config.scanner],
        "camera": [camera.name for camera in config.camera],
        "portal": portals + [floor.name for lift in config.lift for floor in lift.floors],
    }
    for kind, names in named.items():
        for name in names:
            if names.count(name) > 1:
                yield kind, f"the name {name!r} is used twice; give each {kind} its own"


def _buses(config: GatewayConfig) -> Iterator[Problem]:
    buses = [bus.name for bus in config.bus]
    wired: list[tuple[str, int]] = []
    for i, reader in enumerate(config.reader):
        if reader.bus not in buses:
            yield f"reader[{i}].bus", f"expected one of {buses}, got {reader.bus!r}"
        if (reader.bus, reader.address) in wired:
            yield (
                f"reader[{i}].address",
                f"{reader.address} is taken on bus {reader.bus!r}; each device needs its own",
            )
        wired.append((reader.bus, reader.address))


def _readers(config: GatewayConfig) -> Iterator[Problem]:
    readers = [reader.name for reader in config.reader]
    taken: dict[str, str] = {}  # reader -> where it is
    used = [(f"door[{i}]", "reader", door.reader) for i, door in enumerate(config.door)]
    used += [(f"door[{i}]", "exit_reader", door.exit_reader or "") for i, door in enumerate(config.door)]
    used += [(f"turnstile[{i}]", "reader", one.reader) for i, one in enumerate(config.turnstile)]
    used += [(f"turnstile[{i}]", "exit_reader", one.exit_reader or "") for i, one in enumerate(config.turnstile)]
    used += [(f"lift[{i}]", "reader", lift.reader) for i, lift in enumerate(config.lift)]
    used += [(f"barrier[{i}]", "reader", barrier.reader or "") for i, barrier in enumerate(config.barrier)]
    for where, role, reader in used:
        if not reader:
            continue
        if reader not in readers:
            yield f"{where}.{role}", f"expected one of {readers}, got {reader!r}"
        if reader in taken:
            yield (
                f"{where}.{role}",
                f"{reader!r} is at another {taken[reader]} already; each door needs its own",
            )
        taken[reader] = where.partition("[")[0]


def _scanners(config: GatewayConfig) -> Iterator[Problem]:
    doors = [door.name for door in config.door]
    for i, scanner in enumerate(config.scanner):
        if scanner.door not in doors:
            yield f"scanner[{i}].door", f"expected one of {doors}, got {scanner.door!r}"


def _faces(config: GatewayConfig) -> Iterator[Problem]:
    for_faces = [camera.name for camera in config.camera if camera.purpose == "face"]
    taken: list[str] = []
    for i, door in enumerate(config.door):
        yield from _face_asks(f"door[{i}]", door)
        if door.face_camera is None:
            continue
        if door.face_camera not in for_faces:
            yield (
                f"door[{i}].face_camera",
                f'expected a camera with purpose = "face" ({for_faces}), got {door.face_camera!r}',
            )
        if door.face_camera in taken:
            yield f"door[{i}].face_camera", f"{door.face_camera!r} is before another door already; each needs its own"
        taken.append(door.face_camera)
        if not door.alternative_ways_in:
            yield (
                f"door[{i}].alternative_ways_in",
                "a door with a camera for faces needs another way in for everybody, got none; name at least one",
            )
    for name in for_faces:
        if name not in taken:
            yield "camera", f"camera {name!r} is for faces and before no door; give a door face_camera = {name!r}"


def _face_asks(key: str, door: Door) -> Iterator[Problem]:
    for name, asks in (("face_asks", door.face_asks), ("face_asks_beside", door.face_asks_beside)):
        if len(set(asks)) != len(asks):
            yield f"{key}.{name}", f"expected each of challenge and light at most once, got {list(asks)}"
    if not door.face_asks:
        yield (
            f"{key}.face_asks",
            'a face alone must be asked for something that no video can know, got nothing; name "challenge", "light" or'
            " both, or leave the key out",
        )
    if door.face_camera is None and (door.face_asks_beside or door.face_asks != ("challenge",)):
        yield f"{key}.face_asks", "expected a face_camera beside it, got none; name the camera or remove the key"


def _pins(config: GatewayConfig) -> Iterator[Problem]:
    cameras = [camera.name for camera in config.camera]
    used: dict[int, str] = {}
    for i, barrier in enumerate(config.barrier):
        if barrier.camera not in cameras:
            yield f"barrier[{i}].camera", f"expected one of {cameras}, got {barrier.camera!r}"
        for role in ("raise_", "lower", "raised", "lowered", "loop"):
            pin = getattr(barrier.pins, role)
            if pin in used:
                yield f"barrier[{i}].pins.{role}", f"pin {pin} is already {used[pin]}; wire one thing to a pin"
            used[pin] = f"barrier[{i}].pins.{role}"
    if config.fire.panel_pin in used:
        yield "fire.panel_pin", f"pin {config.fire.panel_pin} is already {used[config.fire.panel_pin]}; use another"


def _escape_routes(config: GatewayConfig) -> Iterator[Problem]:
    for kind, portals in (("door", config.door), ("turnstile", config.turnstile)):
        for i, portal in enumerate(portals):
            if portal.escape_route and portal.fire == "none":
                yield (
                    f"{kind}[{i}].escape_route",
                    f"{portal.name!r} is on an escape route, and nothing but this gateway would release it; wire the"
                    ' fire panel to its node (fire = "node-input") or let it cut the lock\'s supply (fire = "supply")',
                )
