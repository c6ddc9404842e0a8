"""What is broken now, as lines of the page: a sentence and the action that mends it. PURE: a snapshot in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

DOOR_STARTS_S = 3.0  # a node that is off so soon after the beginning has not started yet


@dataclass(frozen=True, slots=True)
class Broken:
    """text: key of the page's texts; words: its blanks (`door` is a label in both languages, `part` a process)."""

    text: str
    body: Mapping[str, Any]
    words: Mapping[str, Any] = field(default_factory=dict)


def broken(seen: Mapping[str, Any]) -> list[Broken]:
    """Everything that is broken in the snapshot of a world."""
    faults: Mapping[str, Any] = seen.get("faults", {})
    found = [*_fire(seen), *_nodes(seen), *_buses(faults), *_network(faults.get("network", {}))]
    for part in faults.get("parts", ()):
        if part["power"] == "off":
            found.append(Broken("broken.power", {"do": "return_power", "part": part["name"]}, _part(part["name"])))
    for disk in faults.get("disks", ()):
        if disk["state"] == "full":
            found.append(Broken("broken.disk", {"do": "disk_free", "part": disk["name"]}, _part(disk["name"])))
        else:
            found.append(Broken("broken.readonly", {"do": "disk_writable"}, _part(disk["name"])))
    if offset_s := faults.get("clock_offset_s"):
        key = "broken.clock.ahead" if offset_s > 0 else "broken.clock.behind"
        found.append(Broken(key, {"do": "clock_jump", "offset_s": 0}, {"off": _span(abs(offset_s))}))
    if faults.get("clock_synced") is False:
        found.append(Broken("broken.synced", {"do": "time_server_back"}))
    return found


def _fire(seen: Mapping[str, Any]) -> Iterator[Broken]:
    fire: Mapping[str, Any] = seen.get("fire", {})
    labels = {door["name"]: door["label"] for door in seen["doors"]}
    if fire.get("lit"):
        yield Broken("broken.fire", {"do": "clear_fire"})
    for line in fire.get("doors", ()):
        if line["wire"] != "whole":
            words = {"door": labels.get(line["name"], line["name"])}
            yield Broken(f"broken.wire.{line['wire']}", {"do": "mend_fire_wire", "door": line["name"]}, words)


def _nodes(seen: Mapping[str, Any]) -> Iterator[Broken]:
    for door in seen["doors"]:
        if door["node"] == "off" and seen["time_s"] > DOOR_STARTS_S:
            yield Broken("broken.node", {"do": "return_node", "door": door["name"]}, {"door": door["label"]})


def _buses(faults: Mapping[str, Any]) -> Iterator[Broken]:
    for bus in faults.get("buses", ()):
        name = {"bus": bus["name"]}
        if not bus["plugged"]:
            yield Broken("broken.unplugged", {"do": "plug_bus", **name}, name)
        if bus["noise"]:
            yield Broken("broken.noise", {"do": "quiet", **name}, {**name, "share": f"{bus['noise']:g}"})


def _network(network: Mapping[str, Any]) -> Iterator[Broken]:
    restore = {"do": "network_restore"}
    if (mode := network.get("mode")) in ("stopped", "split", "stalled", "one-way"):
        yield Broken(f"broken.network.{mode}", restore)
    if network.get("delay_ms"):
        yield Broken("broken.slow", restore, {"ms": network["delay_ms"]})
    for key in ("duplicating", "holding"):
        if network.get(key):
            yield Broken(f"broken.{key}", restore)


def _part(name: str) -> dict[str, str]:
    return {"part": name}


def _span(seconds: float) -> str:
    """As `h:mm:ss`; language-free."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}"
