"""What the page offers to do, as a table, and what a request may ask for. A new action is a row here and its texts.

Which keys an action needs is sim.step.NEEDS; this says how a person chooses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from sim.scenario import Scenario
from sim.step import NEEDS


@dataclass(frozen=True, slots=True)
class Choice:
    """A key that is chosen from a list: names of the scenario's things, or fixed values with their unit."""

    key: str
    values: tuple[str, ...] = ()
    unit: str = ""
    only: str = ""  # of the doors, those with a "camera", one for a "face", or a "fire" release; of people, a "face"


@dataclass(frozen=True, slots=True)
class Fault:
    """One card of the area where things are broken: its choices, the buttons that break and the one that mends."""

    name: str
    icon: str
    buttons: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    mends: tuple[str, ...] = ()


DOOR, BUS, PART = Choice("door"), Choice("bus"), Choice("part")

OFFSETS = {
    "0": ("准确", "none: right again"),
    "-3600": ("慢一小时", "an hour slow"),
    "3600": ("快一小时", "an hour fast"),
    "-86400": ("慢一天", "a day slow"),
    "86400": ("快一天", "a day fast"),
}

MODES = {
    "locked": ("锁闭", "Locked"),
    "unlocked": ("常开", "Unlocked"),
    "card-and-pin": ("卡加密码", "Card and PIN"),
    "lockdown": ("封闭", "Lockdown"),
    "emergency-open": ("紧急开放", "Emergency open"),
}

FAULTS: tuple[Fault, ...] = (
    Fault("fire", "alert", ("light_fire",), mends=("clear_fire", "reset_fire")),
    Fault("wire", "linked", ("cut_fire_wire", "bridge_fire_wire"), (Choice("door", only="fire"),), ("mend_fire_wire",)),
    Fault("lockdown", "locked", ("lockdown",), mends=("end_lockdown",)),
    Fault("card", "person", ("revoke_card",), (Choice("who"),)),
    Fault("mode", "locked", ("set_mode",), (DOOR, Choice("mode", tuple(MODES)))),
    Fault(
        "visitor",
        "person",
        ("walk_up",),
        (Choice("who"), Choice("door", only="camera"), Choice("for_s", ("3", "10", "30"), "s")),
    ),
    Fault(
        "face",
        "person",
        ("enrol_face", "show_photo", "show_screen"),
        (Choice("who", only="face"), Choice("door", only="face"), Choice("for_s", ("5", "10"), "s")),
        ("withdraw_face",),
    ),
    Fault("door", "open", ("force_door", "open_case", "leave"), (DOOR,), ("close_case",)),
    Fault("hold", "clock", ("hold_door",), (DOOR, Choice("for_s", ("5", "20", "60"), "s"))),
    Fault("node", "dot", ("cut_node",), (DOOR,), ("return_node",)),
    Fault("cable", "linked", ("unplug_bus",), (BUS,), ("plug_bus",)),
    Fault("noise", "alert", ("noise",), (BUS, Choice("probability", ("0.001", "0.01", "0.1"))), ("quiet",)),
    Fault("collision", "moving", ("collision",), (BUS, Choice("for_s", ("1", "5", "20"), "s"))),
    Fault(
        "network",
        "away",
        (
            "network_stop",
            "network_stall",
            "network_split",
            "network_one_way",
            "network_duplicate",
            "network_tear",
            "network_reorder",
        ),
        mends=("network_restore",),
    ),
    Fault(
        "slow", "clock", ("network_slow",), (Choice("delay_ms", ("200", "1000", "5000"), "ms"),), ("network_restore",)
    ),
    Fault("power", "core", ("cut_power",), (PART,), ("return_power",)),
    Fault("disk", "disk", ("disk_full",), (Choice("part", ("core", "center")),), ("disk_free",)),
    Fault("readonly", "disk", ("disk_readonly",), mends=("disk_writable",)),
    Fault("store", "disk", ("broker_disk_lost",)),
    Fault("time", "clock", ("clock_set",), (Choice("to", ("03:00", "07:30", "12:00", "23:59")),)),
    Fault("server", "clock", ("time_server_lost",), mends=("time_server_back",)),
    Fault("clock", "clock", ("clock_jump", "clock_shift"), (Choice("offset_s", tuple(OFFSETS)),)),
)

Name = Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]
Text = Annotated[str, Field(min_length=1, max_length=40)]
KEYS: Mapping[str, Any] = {
    "who": Text,
    "card": Name,
    "pin": Annotated[str, Field(pattern="^[0-9]{4,8}$")],
    "door": Name,
    "barrier": Name,
    "plate": Text,
    "bus": Name,
    "probability": Annotated[float, Field(gt=0, le=1)],
    "for_s": Annotated[float, Field(gt=0, le=600)],
    "delay_ms": Annotated[int, Field(ge=1, le=10_000)],
    "part": Literal["core", "vision", "broker", "center"],
    "offset_s": Annotated[float, Field(ge=-3.2e9, le=3.2e9)],
    "mode": Literal["locked", "unlocked", "card-and-pin", "lockdown", "emergency-open"],
    "to": Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")],
}


def _body(do: str) -> type[BaseModel]:
    """What a request must and may hold for this action."""
    needed, allowed = NEEDS[do]
    fields: dict[str, Any] = {"do": (Literal[do], ...)}
    fields |= {key: (KEYS[key], ...) for key in needed}
    fields |= {key: (KEYS[key] | None, None) for key in allowed}
    name = "".join(word.capitalize() for word in do.split("_"))
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


Action = Annotated[Union[tuple(_body(do) for do in NEEDS)], Field(discriminator="do")]  # type: ignore[valid-type]  # noqa: UP007
_dump: Any = TypeAdapter(Action).dump_python  # type: ignore[arg-type]  # the union is made at run time


def plain(action: BaseModel) -> dict[str, Any]:
    """The action as World.perform takes it."""
    found: dict[str, Any] = _dump(action, exclude_none=True)
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """One fault as the page draws it. choices: (id, key, ((value, label or None), ...), unit)."""

    name: str
    icon: str
    choices: tuple[tuple[str, str, tuple[tuple[str, dict[str, str] | None], ...], str], ...]
    buttons: tuple[tuple[str, str, bool], ...]  # (do, ids of its fields, whether it mends)


def offered(scenario: Scenario) -> list[Shown]:
    """The faults that this scenario's site can have."""
    found = []
    for fault in FAULTS:
        choices = tuple((f"{fault.name}-{c.key}", c.key, _options(c, scenario), c.unit) for c in fault.choices)
        if all(options for _, _, options, _ in choices):
            buttons = tuple((do, _fields(fault, do), do in fault.mends) for do in (*fault.buttons, *fault.mends))
            found.append(Shown(fault.name, fault.icon, choices, buttons))
    return found


def _fields(fault: Fault, do: str) -> str:
    taken = {key for keys in NEEDS[do] for key in keys}
    return " ".join(f"{fault.name}-{choice.key}" for choice in fault.choices if choice.key in taken)


def _options(choice: Choice, scenario: Scenario) -> tuple[tuple[str, dict[str, str] | None], ...]:
    if choice.key == "offset_s":
        return tuple((value, {"zh": zh, "en": en}) for value, (zh, en) in OFFSETS.items())
    if choice.key == "mode":
        return tuple((value, {"zh": zh, "en": en}) for value, (zh, en) in MODES.items())
    if choice.values:
        return tuple((value, None) for value in choice.values)
    if choice.key == "door":
        wanted = {
            "": lambda _door: True,
            "camera": lambda door: door.camera or door.face_camera,
            "face": lambda door: door.face_camera,
            "fire": lambda door: door.fire != "none",
        }
        doors = [door for door in scenario.door if wanted[choice.only](door)]
        return tuple((door.name, {"zh": door.label.zh, "en": door.label.en}) for door in doors)
    if choice.key == "who":
        people = [one for one in scenario.people if choice.only != "face" or one.face is not None]
        return tuple((one.id, {"zh": one.name.zh, "en": one.name.en}) for one in people)
    if choice.key == "bus":
        return tuple((bus.name, None) for bus in scenario.bus)
    parts = ("core", "vision", "broker", "center") if scenario.camera else ("core", "broker", "center")
    return tuple((part, None) for part in parts)
