"""From a scenario to everything a simulated site needs on disk: configurations, policy, keys, the nodes' files.

This is what provisioning does for a real site, for a virtual one: each run makes its own keys and passwords.
"""

from __future__ import annotations

import json
import secrets
import socket
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w

from gateway.access.tokens import offline_pin_digest, pin_digest
from gateway.vision.pad.statement import statement
from sim import clock_socket, network
from sim.scenario import Card, Door, Group, Holder, Scenario

DISTRICT, SITE, GATEWAY = "demo-district", "demo-site", "gw-1"
NODE_PROFILE, BARRIER_PROFILE, CAMERA_PROFILE = "zhian-door-node", "generic-barrier-dry-contact", "folder-camera"
DISPLAY_PROFILE = "zhian-door-node-display"
FAILSAFE_PROFILE = "zhian-door-node-failsafe"  # the fire panel cuts the lock's supply


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of one simulated site."""

    mqtt: int
    gateway_page: int
    center_page: int
    world_page: int
    network: int | None = None  # the relay between gateway and broker; None: one that is free


@dataclass(frozen=True, slots=True)
class SiteFiles:
    """Where the files of a simulated site are."""

    folder: Path
    gateway_toml: Path
    center_toml: Path
    scenario: Path
    log: Path
    ports: Ports
    has_cameras: bool = True
    has_gateway: bool = True

    @property
    def gateway_database(self) -> Path:
        """The gateway's journal."""
        return self.folder / "data" / "gateway.sqlite"

    @property
    def center_database(self) -> Path:
        """The center's store."""
        return self.folder / "center" / "center.sqlite"


def write(scenario: Scenario, scenario_file: Path, folder: Path, ports: Ports, seed: int | None = None) -> SiteFiles:
    """Lay out a fresh site in the empty `folder` (mode 0700: it holds keys). `seed` replaces the scenario's own."""
    folder.chmod(0o700)
    for name in ("run", "data", "keys", "nodes", "cameras", "center", "broker", "log"):
        (folder / name).mkdir(mode=0o700)
    site_key = secrets.token_bytes(32)
    _secret(folder / "keys/site.key", site_key.hex())
    _secret(folder / "keys/policy.key", secrets.token_hex(32))
    passwords = {name: secrets.token_urlsafe(24) for name in ("gateway", "center")}
    for name, password in passwords.items():
        _secret(folder / f"keys/{name}.password", password)
        _secret(folder / f"keys/{name}.client-id", f"{name}-{secrets.token_hex(8)}")
    for door in scenario.door:
        _secret(folder / f"keys/{door.reader}.scbk", secrets.token_hex(16))
        _node(folder, door)
    for camera in scenario.camera:
        (folder / "cameras" / camera.name).mkdir()
    _secret(folder / "broker/users.json", json.dumps(_users(passwords)))
    relay = ports.network or free_port()
    network.write(folder / "run" / network.FILE, network.Ends(relay, ports.mqtt))
    _toml(folder / "gateway.toml", _gateway(scenario, ports, relay))
    _toml(folder / "policy.toml", policy(scenario, site_key))
    _toml(folder / "center.toml", _center(ports))
    played = folder / "scenario.toml"
    _toml(played, tomllib.loads(scenario_file.read_text("utf-8")) | ({} if seed is None else {"seed": seed}))
    gateway, center, log = folder / "gateway.toml", folder / "center.toml", folder / "log"
    return SiteFiles(folder, gateway, center, played, log, ports, bool(scenario.camera), scenario.gateway)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", "ascii")


def _toml(path: Path, document: dict[str, Any]) -> None:
    path.write_text(tomli_w.dumps(document), "utf-8")


def _node(folder: Path, door: Door) -> None:
    reader, address = door.reader, door.address
    settings = {
        "name": reader,
        "bus": str(folder / "run" / f"node-{reader}"),
        "pins": str(folder / "run" / "pins.sock"),
        "address": address,
        "scbk_file": str(folder / "keys" / f"{reader}.scbk"),
        "serial": 1000 + address,
        "fire_loop": door.fire == "node-input",
        "display": door.display,
    }
    (folder / "nodes" / f"{reader}.json").write_text(json.dumps(settings, indent=1), "utf-8")


def _users(passwords: dict[str, str]) -> list[dict[str, str]]:
    place = {"district": DISTRICT, "site": SITE, "gateway": GATEWAY}
    return [
        {"username": "center", "password": passwords["center"], "role": "center"},
        {"username": GATEWAY, "password": passwords["gateway"], "role": "gateway", **place},
    ]


def _label(zh: str, en: str) -> dict[str, str]:
    return {"zh": zh, "en": en}


def _gateway(scenario: Scenario, ports: Ports, relay: int) -> dict[str, Any]:
    pin = scenario.fire_panel.gateway_pin
    return {
        **({"fire": {"panel_pin": pin, "active": "high"}} if pin is not None else {}),
        **_faces(scenario),
        "site": {
            "district": DISTRICT,
            "site": SITE,
            "gateway": GATEWAY,
            "label": _label(scenario.title.zh, scenario.title.en),
            "kind": "simulated",
            "timezone": scenario.timezone,
            "site_key_file": "keys/site.key",
        },
        "paths": {"data": "data", "run": "run"},
        "policy": {"file": "policy.toml", "key_file": "keys/policy.key"},
        "simulation": {"pins": "run/pins.sock", "clock": f"run/{clock_socket.SOCKET}"},
        "uplink": {
            "mode": "mqtt",
            "port": relay,
            "client_id_file": "keys/gateway.client-id",
            "username": GATEWAY,
            "password_file": "keys/gateway.password",
        },
        "web": {"port": ports.gateway_page},
        "bus": [{"name": bus.name, "port": f"run/bus-{bus.name}", "baud": bus.baud} for bus in scenario.bus],
        "reader": [
            {
                "name": door.reader,
                "bus": door.bus,
                "address": door.address,
                "profile": _profile(door),
                "key_file": f"keys/{door.reader}.scbk",
            }
            for door in scenario.door
        ],
        "door": [
            {
                "name": door.name,
                "label": _label(door.label.zh, door.label.en),
                "reader": door.reader,
                "unlock_s": door.unlock_s,
                "held_open_s": door.held_open_s,
                **({"fire": door.fire} if door.fire != "none" else {}),
                **({"escape_route": True} if door.escape_route else {}),
                **_face_camera(door),
            }
            for door in scenario.door
        ],
        "camera": [
            {
                "name": camera.name,
                "profile": CAMERA_PROFILE,
                "source": f"folder:cameras/{camera.name}",
                **({"purpose": "face"} if camera.name in [d.face_camera for d in scenario.door] else {}),
            }
            for camera in scenario.camera
        ],
        "barrier": [
            {
                "name": barrier.name,
                "label": _label(barrier.label.zh, barrier.label.en),
                "profile": BARRIER_PROFILE,
                "camera": barrier.camera,
                "travel_s": barrier.travel_s * 3,
                "pins": {
                    "raise": barrier.pins.raise_,
                    "lower": barrier.pins.lower,
                    "raised": barrier.pins.raised,
                    "lowered": barrier.pins.lowered,
                    "loop": barrier.pins.loop,
                },
            }
            for barrier in scenario.barrier
        ],
    }


def policy(scenario: Scenario, site_key: bytes) -> dict[str, Any]:
    """The policy document of the cast, completed by what the scenario's [policy] says."""
    portals = [{"name": door.name, "accepts": _accepts(door)} for door in scenario.door]
    portals += [{"name": barrier.name, "accepts": [["plate"]]} for barrier in scenario.barrier]
    credentials: list[dict[str, Any]] = []
    for holder in scenario.holder:
        credentials += [_card(holder, card) for card in holder.cards]
        credentials += [{"holder": holder.id, "kind": "plate", "key": plate} for plate in holder.plates]
        credentials += _typed(holder, site_key)
    return _merged(
        scenario.policy,
        {
            "version": 1,
            "portal": portals,
            "schedule": [schedule for group in scenario.group if (schedule := _schedule(group))],
            "holder": [
                {"id": h.id, "name": _label(h.name.zh, h.name.en), "groups": [h.group]} for h in scenario.holder
            ],
            "credential": credentials,
            "rule": [
                {
                    "group": group.name,
                    "portals": list(group.portals),
                    "schedule": "always" if group.schedule == "always" else group.name,
                }
                for group in scenario.group
            ],
        },
    )


def _profile(door: Door) -> str:
    if door.fire == "supply":
        return FAILSAFE_PROFILE
    return DISPLAY_PROFILE if door.display else NODE_PROFILE


def _faces(scenario: Scenario) -> dict[str, Any]:
    """Where a face opens alone, the statement of what was never tested counts as accepted: nobody is at risk here."""
    if not any(door.face_alone for door in scenario.door):
        return {}
    return {"faces": {"accepted_statement": statement().version}}


def _face_camera(door: Door) -> dict[str, Any]:
    """A door with a camera for faces says which other way in there is."""
    if door.face_camera is None:
        return {}
    other = "card" if door.face_alone else "card and PIN"
    told: dict[str, Any] = {"face_camera": door.face_camera, "alternative_ways_in": [other]}
    return told | ({"face_asks": list(door.face_asks)} if door.face_alone else {})


def _accepts(door: Door) -> list[list[str]]:
    """Where faces are looked at: face and card, or, for whoever has no face enrolled, card and PIN."""
    if door.face_camera is not None:
        return [["face"], ["card"]] if door.face_alone else [["card", "face"], ["card", "pin"]]
    return [["card", "pin"]] if door.pin else [["card"]]


def _merged(extra: dict[str, Any], generated: dict[str, Any]) -> dict[str, Any]:
    """What the scenario's [policy] adds: portals are completed by name, other lists grow, the rest is replaced."""
    out = dict(generated)
    for key, value in extra.items():
        if key == "portal":
            told = {portal["name"]: portal for portal in value}
            out[key] = [portal | told.pop(portal["name"], {}) for portal in out[key]] + list(told.values())
        elif isinstance(value, list):
            out[key] = [*out.get(key, []), *value]
        else:
            out[key] = value
    return out


def _typed(holder: Holder, site_key: bytes) -> list[dict[str, Any]]:
    """PINs and one-time codes; only their digests are in the policy."""
    pins = [({"kind": "pin"}, holder.pin), ({"kind": "pin", "duress": True}, holder.duress_pin)]
    found = [
        {"holder": holder.id, "key": offline_pin_digest(site_key, pin, holder.id), **told} for told, pin in pins if pin
    ]
    for code in holder.codes:
        key = pin_digest(site_key, code.digits)
        found.append({"holder": holder.id, "kind": "code", "key": key, "uses": code.uses, **_state(code.state)})
    return found


def _schedule(group: Group) -> dict[str, Any] | None:
    if group.schedule == "always":
        return None
    spans = [{"days": list(p.days), "from": p.from_, "to": p.to} for p in group.schedule if not isinstance(p, str)]
    return {"id": group.name, "span": spans}


def _card(holder: Holder, card: Card) -> dict[str, Any]:
    key = f"{card.bits}:{card.number}"
    return {"holder": holder.id, "kind": "card", "key": key, **_state(card.state)}


def _state(state: str) -> dict[str, Any]:
    if state == "revoked":
        return {"revoked": True}
    return {"valid_until": datetime(2026, 1, 1, tzinfo=UTC)} if state == "expired" else {}


def _center(ports: Ports) -> dict[str, Any]:
    return {
        "center": {"data": "center", "run": "run"},
        "broker": {"port": ports.mqtt, "data": "broker", "users_file": "broker/users.json"},
        "ingest": {
            "username": "center",
            "password_file": "keys/center.password",
            "client_id_file": "keys/center.client-id",
        },
        "web": {"port": ports.center_page},
    }
