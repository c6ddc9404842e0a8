"""Steps: everything that can happen in a scenario, or be asked for on the simulator's page, and what each needs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from runtime.toml_file import Table

Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Moment = Annotated[float, Meta(ge=0, le=2_678_400)]  # s; 31 days, on virtual time
# Seven characters, or eight for a new-energy vehicle; sim/plates.py says what each kind may say.
Plate = Annotated[str, Meta(pattern=r"^[\u4e00-\u9fff][A-HJ-NP-Z0-9]{5,7}[警学挂港澳领]?(?!\n)$")]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{4,8}(?!\n)$")]
Probability = Annotated[float, Meta(gt=0, le=1)]
Delay = Annotated[int, Meta(ge=1, le=10_000)]  # ms
Offset = Annotated[float, Meta(ge=-3.2e9, le=3.2e9)]  # s, about a century each way
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](?!\n)$")]
Part = Literal["core", "vision", "broker", "center"]
Mode = Literal["locked", "unlocked", "card-and-pin", "lockdown", "emergency-open"]  # of a portal, as the gateway has it

Do = Literal[
    "present_card",
    "enter_pin",
    "press_rex",
    "leave",
    "force_door",
    "hold_door",
    "open_case",
    "close_case",
    "drive_up",
    "walk_up",
    "show_photo",
    "show_screen",
    "enrol_face",
    "withdraw_face",
    "cut_node",
    "return_node",
    "noise",
    "quiet",
    "collision",
    "unplug_bus",
    "plug_bus",
    "network_stop",
    "network_stall",
    "network_split",
    "network_one_way",
    "network_slow",
    "network_duplicate",
    "network_tear",
    "network_reorder",
    "network_restore",
    "cut_power",
    "return_power",
    "disk_full",
    "disk_free",
    "disk_readonly",
    "disk_writable",
    "broker_disk_lost",
    "clock_jump",
    "clock_shift",
    "clock_set",
    "time_server_lost",
    "time_server_back",
    "light_fire",
    "clear_fire",
    "cut_fire_wire",
    "bridge_fire_wire",
    "mend_fire_wire",
    "reset_fire",
    "lockdown",
    "end_lockdown",
    "set_mode",
    "revoke_card",
]

NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # do -> (keys it must have, keys it may have)
    "present_card": (("who", "door"), ("card",)),
    "enter_pin": (("who", "door"), ("pin",)),
    "press_rex": (("door",), ("who",)),
    "leave": (("door",), ("who",)),
    "force_door": (("door",), ("who",)),
    "hold_door": (("door", "for_s"), ("who",)),
    "open_case": (("door",), ()),
    "close_case": (("door",), ()),
    "drive_up": (("barrier", "plate"), ("who",)),
    "walk_up": (("who", "door"), ("for_s",)),
    "show_photo": (("who", "door"), ("for_s",)),
    "show_screen": (("who", "door"), ("for_s",)),
    "enrol_face": (("who", "door"), ()),
    "withdraw_face": (("who",), ()),
    "cut_node": (("door",), ()),
    "return_node": (("door",), ()),
    "noise": (("bus", "probability"), ()),
    "quiet": (("bus",), ()),
    "collision": (("bus",), ("for_s",)),
    "unplug_bus": (("bus",), ()),
    "plug_bus": (("bus",), ()),
    "network_stop": ((), ()),
    "network_stall": ((), ()),
    "network_split": ((), ()),
    "network_one_way": ((), ()),
    "network_slow": (("delay_ms",), ()),
    "network_duplicate": ((), ()),
    "network_tear": ((), ()),
    "network_reorder": ((), ()),
    "network_restore": ((), ()),
    "cut_power": (("part",), ()),
    "return_power": (("part",), ()),
    "disk_full": ((), ("part",)),
    "disk_free": ((), ("part",)),
    "disk_readonly": ((), ()),
    "disk_writable": ((), ()),
    "broker_disk_lost": ((), ()),
    "clock_jump": (("offset_s",), ()),
    "clock_shift": (("offset_s",), ()),
    "clock_set": (("to",), ()),
    "time_server_lost": ((), ()),
    "time_server_back": ((), ()),
    "light_fire": ((), ()),
    "clear_fire": ((), ()),
    "cut_fire_wire": (("door",), ()),
    "bridge_fire_wire": (("door",), ()),
    "mend_fire_wire": (("door",), ()),
    "reset_fire": ((), ()),
    "lockdown": ((), ()),
    "end_lockdown": ((), ()),
    "set_mode": (("mode",), ("door", "barrier")),
    "revoke_card": (("who",), ("card",)),
}

# What somebody with the right to do so asks of the gateway; whoever supervises the site carries it there.
FACES = ("enrol_face", "withdraw_face")
OPERATIONS = ("reset_fire", "lockdown", "end_lockdown", "set_mode", "revoke_card", *FACES)
PICTURES = ("show_photo", "show_screen")  # what is held before a camera for faces instead of a face

KEYS = (
    "who",
    "card",
    "pin",
    "door",
    "barrier",
    "plate",
    "bus",
    "probability",
    "for_s",
    "delay_ms",
    "part",
    "offset_s",
    "to",
    "mode",
)


class Step(Table):
    """Something that happens `at_s` seconds after the site is up. NEEDS says which keys go with `do`.

    `who` of a photo or screen: whose picture it is. `for_s`: how long a door is held, a collision lasts or something is
    before a camera; `probability` of a flipped bit per byte; `delay_ms` one way; `offset_s` of the site's clock against
    the true time (clock_shift: against what it shows); `to`: the site's clock goes ahead to this local time; `mode`:
    what a portal is told to be.
    """

    id: Name
    at_s: Moment
    do: Do
    who: Name | UnsetType = UNSET
    card: Name | UnsetType = UNSET
    pin: Digits | UnsetType = UNSET
    door: Name | UnsetType = UNSET
    barrier: Name | UnsetType = UNSET
    plate: Plate | UnsetType = UNSET
    bus: Name | UnsetType = UNSET
    probability: Probability | UnsetType = UNSET
    for_s: Seconds | UnsetType = UNSET
    delay_ms: Delay | UnsetType = UNSET
    part: Part | UnsetType = UNSET
    offset_s: Offset | UnsetType = UNSET
    to: TimeOfDay | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
