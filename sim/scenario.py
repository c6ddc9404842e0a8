"""Scenario files as frozen typed tables: who lives there, what is built there, what happens, what must follow."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from runtime.toml_file import Table
from runtime.toml_file import load as load_table
from sim.plates import PlateKind, kind_of
from sim.step import Digits, Moment, Name, Offset, Plate, Seconds, Step
from sim.step import TimeOfDay as ClockTime

Pin = Annotated[int, Meta(ge=2, le=27)]  # BCM numbers on the 40-pin header
TimeOfDay = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)(?!\n)$")]


LocalTime = Annotated[str, Meta(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9](?!\n)$")]
REAL_S = 600  # what a scenario with processes may last
VIRTUAL = (
    "present_card", "enter_pin", "press_rex", "leave", "force_door", "hold_door",
    "set_mode", "lockdown", "end_lockdown",
)  # fmt: skip


class Label(Table):
    """What people call it."""

    zh: Annotated[str, Meta(min_length=1, max_length=40)]
    en: Annotated[str, Meta(min_length=1, max_length=40)]


class Bus(Table):
    """One RS-485 line, made as a pair of pseudo-terminals; bytes travel at `baud` (10 bits a byte)."""

    name: Name
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 38400


class Door(Table):
    """A door with a node of ours: reader outside, lock, contact, request-to-exit button inside.

    `reader` is the node's name (its files, its pins and its OSDP device), `address` its OSDP address on `bus`.
    `pin = true`: a card needs its holder's PIN here. `unlock_s` and `held_open_s` are the gateway's settings;
    `closer_s` is how long the door closer takes. `fire`: how the fire panel releases it without bus and gateway.
    """

    name: Name
    label: Label
    reader: Name
    address: Annotated[int, Meta(ge=0, le=126)]
    bus: Name
    unlock_s: Seconds = 5.0
    held_open_s: Seconds = 30.0
    closer_s: Seconds = 2.0
    pin: bool = False
    camera: Name | None = None  # looks at whoever stands there
    face_camera: Name | None = None  # likewise, for faces: a consenting holder's face is one of the ways in
    face_alone: bool = False  # a face opens by itself (the statement counts as accepted), and so does a card
    face_asks: tuple[Literal["challenge", "light"], ...] = ("challenge",)  # the gateway's setting, for a face alone
    display: bool = False  # its reader has a text display
    fire: Literal["none", "node-input", "supply"] = "none"
    escape_route: bool = False

    @property
    def views(self) -> list[tuple[str, str]]:
        """Key and name of each camera that looks at it."""
        return [(key, name) for key in ("camera", "face_camera") if (name := getattr(self, key)) is not None]


class BarrierPins(Table):
    """Where the barrier controller is wired to the gateway (BCM numbers)."""

    lower: Pin
    raised: Pin
    lowered: Pin
    loop: Pin
    raise_: Pin = field(name="raise")


class Barrier(Table):
    """A vehicle barrier on the gateway's pins. `travel_s` is how long the arm needs from one end to the other."""

    name: Name
    label: Label
    camera: Name
    pins: BarrierPins
    travel_s: Seconds = 2.0


class Camera(Table):
    """A camera that looks at a lane. It writes `fps` pictures a second while something moves, else one a second."""

    name: Name
    width: Annotated[int, Meta(ge=160, le=3840)] = 960
    height: Annotated[int, Meta(ge=120, le=2160)] = 540
    fps: Annotated[int, Meta(ge=1, le=30)] = 5


class Period(Table):
    """A part of the week in local time; `to` is exclusive and may be 24:00."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    to: TimeOfDay
    from_: TimeOfDay = field(name="from")


class Group(Table):
    """People with the same rights: the `portals` they may pass and when."""

    name: Name
    portals: tuple[Name, ...]
    schedule: Literal["always"] | tuple[Period, ...] = "always"


class Card(Table):
    """A card as its reader sees it: `number` is the decimal value of all `bits` bits, parity bits included.

    `state` is what the site's policy says of it; a stranger's card is not in the policy, whatever it says.
    """

    id: Name
    bits: Annotated[int, Meta(ge=8, le=128)]
    number: Annotated[int, Meta(ge=0)]
    state: Literal["active", "revoked", "expired"] = "active"


class Code(Table):
    """A one-time code that is typed at a keypad, good for `uses` entries."""

    digits: Digits
    uses: Annotated[int, Meta(ge=1, le=100)] = 1
    state: Literal["active", "revoked", "expired"] = "active"


Face = Annotated[int, Meta(ge=0, lt=1 << 32)]  # the seed of a drawn head (sim/render/heads): nobody's face


class Holder(Table):
    """Somebody the site's policy knows. `duress_pin` opens like `pin` and calls for help."""

    id: Name
    name: Label
    group: Name
    cards: tuple[Card, ...] = ()
    pin: Digits | None = None
    duress_pin: Digits | None = None
    codes: tuple[Code, ...] = ()
    plates: tuple[Plate, ...] = ()
    face: Face | None = None


class Stranger(Table):
    """Somebody the policy does not know."""

    id: Name
    name: Label
    cards: tuple[Card, ...] = ()
    plates: tuple[Plate, ...] = ()
    face: Face | None = None


class FirePanel(Table):
    """Where the panel's relay is wired to the gateway, if it is: the second path to every door on the fire list."""

    gateway_pin: Pin | None = None


class Vehicle(Table):
    """The kind of a plate where its text alone does not say it: what blue says, yellow may say in one row or two."""

    plate: Plate
    kind: PlateKind


class Crowd(Table):
    """`count` people of `group` with a card each, who come to `door` one after another: only on virtual time.

    They are called `<id>-1`, `<id>-2`, ...; the n-th presents the card at `at_s` + (n - 1) * `every_s`.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,24}(?!\n)$")]
    name: Label
    group: Name
    door: Name
    count: Annotated[int, Meta(ge=1, le=5000)]
    at_s: Moment
    every_s: Seconds


class Expect(Table):
    """A sentence that must be true afterwards; sim/expectations.py has the grammar."""

    text: Annotated[str, Meta(min_length=1, max_length=300)]


class Scenario(Table):
    """The whole file. `max_speed` above 1: no process takes part; it is run on virtual time (`is_virtual`), which
    begins at `start_at`, may last up to 31 days, and has doors only.

    The site's clock is right unless it starts `start_clock_offset_s` off, or at the next `start_clock_at` local time.
    """

    name: Name
    title: Label
    duration_s: Moment
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 1
    max_speed: Annotated[float, Meta(ge=1, le=1_000_000)] = 1.0
    start_at: LocalTime | None = None
    start_clock_offset_s: Offset = 0.0
    start_clock_at: ClockTime | None = None
    start_clock_synced: bool = True
    bus: tuple[Bus, ...] = ()
    door: tuple[Door, ...] = ()
    barrier: tuple[Barrier, ...] = ()
    camera: tuple[Camera, ...] = ()
    group: tuple[Group, ...] = ()
    holder: tuple[Holder, ...] = ()
    stranger: tuple[Stranger, ...] = ()
    crowd: tuple[Crowd, ...] = ()
    vehicle: tuple[Vehicle, ...] = ()
    fire_panel: FirePanel = FirePanel()
    gateway: bool = True  # False: nobody ever installed one, the nodes are alone
    timezone: Literal["Asia/Shanghai", "Asia/Urumqi", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "UTC"] = (
        "Asia/Shanghai"
    )
    policy: dict[str, Any] = field(default_factory=dict)  # merged into the policy that is generated from the cast
    step: tuple[Step, ...] = ()
    expect: tuple[Expect, ...] = ()

    @property
    def people(self) -> tuple[Holder | Stranger, ...]:
        """Everybody in the cast."""
        return (*self.holder, *self.stranger)

    @property
    def is_virtual(self) -> bool:
        """Whether it is played on virtual time, without processes."""
        return self.max_speed > 1

    def plate_kind(self, plate: str) -> PlateKind:
        """How a plate of the cast looks."""
        given = next((vehicle.kind for vehicle in self.vehicle if vehicle.plate == plate), None)
        return given or kind_of(plate) or PlateKind.BLUE


def load(path: Path) -> Scenario:
    """Read and cross-check one scenario. Raises ConfigError: one sentence with file, key, expected, got, what to do."""
    from sim.scenario_check import Check  # which needs the tables above

    scenario = load_table(path, Scenario)
    Check(scenario, str(path)).everything()
    return scenario


def listed() -> list[Path]:
    """The shipped scenarios, by name."""
    folder = resources.files("sim.scenarios")
    return sorted(Path(str(item)) for item in folder.iterdir() if item.name.endswith(".toml"))
