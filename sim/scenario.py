"""Scenario files as frozen typed tables: who lives there, what is built there, what happens, what must follow."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, field

from runtime.errors import ConfigError
from runtime.toml_file import Table
from runtime.toml_file import load as load_table
from sim import expectations
from sim.errors import ExpectationError
from sim.plates import PlateKind, can_say, kind_of
from sim.step import KEYS, NEEDS, Digits, Moment, Name, Offset, Plate, Seconds, Step
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
    fire: Literal["none", "node-input", "supply"] = "none"
    escape_route: bool = False


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


class Stranger(Table):
    """Somebody the policy does not know."""

    id: Name
    name: Label
    cards: tuple[Card, ...] = ()
    plates: tuple[Plate, ...] = ()


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
    scenario = load_table(path, Scenario)
    _Check(scenario, str(path)).everything()
    return scenario


def listed() -> list[Path]:
    """The shipped scenarios, by name."""
    folder = resources.files("sim.scenarios")
    return sorted(Path(str(item)) for item in folder.iterdir() if item.name.endswith(".toml"))


class _Check:
    """Everything the types cannot say: names that refer to something, numbers used once."""

    def __init__(self, scenario: Scenario, source: str) -> None:
        self.s = scenario
        self.source = source

    def fail(self, key: str, text: str) -> None:
        raise ConfigError(f"{self.source}: {key}: {text}")

    def refers(self, key: str, name: str, allowed: list[str]) -> None:
        if name not in allowed:
            self.fail(key, f"expected one of {allowed}, got {name!r}; correct the name or add what it names")

    def once(self, key: str, values: list[str]) -> None:
        for value in values:
            if values.count(value) > 1:
                self.fail(key, f"{value!r} is used twice; give each its own")

    def everything(self) -> None:
        self.names()
        self.doors()
        self.barriers()
        self.cast()
        self.plates()
        self.clock()
        self.time()
        self.fire()
        self.steps()
        self.expectations()

    def names(self) -> None:
        s = self.s
        self.once("bus.name", [b.name for b in s.bus])
        self.once("camera.name", [c.name for c in s.camera])
        self.once("door.name and barrier.name", self.portals())
        self.once("door.reader", [d.reader for d in s.door])
        self.once("group.name", [g.name for g in s.group])
        self.once("holder.id and stranger.id", [p.id for p in s.people])
        self.once("card id", [c.id for p in s.people for c in p.cards])
        self.once("card bits and number", [f"{c.bits}:{c.number}" for p in s.people for c in p.cards])
        self.once("plate", [plate for p in s.people for plate in p.plates])
        self.once("step.id", [step.id for step in s.step])

    def portals(self) -> list[str]:
        return [d.name for d in self.s.door] + [b.name for b in self.s.barrier]

    def doors(self) -> None:
        wired: set[tuple[str, int]] = set()
        for i, door in enumerate(self.s.door):
            self.refers(f"door[{i}].bus", door.bus, [b.name for b in self.s.bus])
            if (door.bus, door.address) in wired:
                self.fail(f"door[{i}].address", f"{door.address} is taken on bus {door.bus!r}; each node needs its own")
            wired.add((door.bus, door.address))

    def barriers(self) -> None:
        used: dict[int, str] = {}
        for i, barrier in enumerate(self.s.barrier):
            self.refers(f"barrier[{i}].camera", barrier.camera, [c.name for c in self.s.camera])
            for role in ("raise_", "lower", "raised", "lowered", "loop"):
                pin, key = getattr(barrier.pins, role), f"barrier[{i}].pins.{role.removesuffix('_')}"
                if pin in used:
                    self.fail(key, f"pin {pin} is already {used[pin]}; wire one thing to a pin")
                used[pin] = key
        pin = self.s.fire_panel.gateway_pin
        if pin in used:
            self.fail("fire_panel.gateway_pin", f"pin {pin} is already {used[pin]}; wire one thing to a pin")

    def fire(self) -> None:
        for i, door in enumerate(self.s.door):
            if door.escape_route and door.fire == "none":
                self.fail(f"door[{i}].fire", 'an escape route needs a hard path; say "node-input" or "supply"')
        wired = [d.name for d in self.s.door if d.fire != "none"]
        for i, step in enumerate(self.s.step):
            if step.do.endswith("_fire_wire") and step.door is not UNSET:
                self.refers(f"step[{i}].door", step.door, wired)

    def cast(self) -> None:
        s = self.s
        for i, group in enumerate(s.group):
            for name in group.portals:
                self.refers(f"group[{i}].portals", name, self.portals())
        for i, holder in enumerate(s.holder):
            self.refers(f"holder[{i}].group", holder.group, [g.name for g in s.group])
        for person in s.people:
            for card in person.cards:
                if card.number >= 1 << card.bits:
                    self.fail(f"card {card.id}", f"{card.number} does not fit into {card.bits} bits; correct either")

    def plates(self) -> None:
        s = self.s
        cast = [plate for person in s.people for plate in person.plates]
        for plate in cast:
            if kind_of(plate) is None:
                self.fail(f"plate {plate}", "no kind of plate says this; sim/plates.py has the forms, correct it")
        self.once("vehicle.plate", [v.plate for v in s.vehicle])
        for i, vehicle in enumerate(s.vehicle):
            self.refers(f"vehicle[{i}].plate", vehicle.plate, cast)
            if not can_say(vehicle.kind, vehicle.plate):
                self.fail(
                    f"vehicle[{i}].kind", f"{vehicle.plate} cannot stand on a {vehicle.kind} plate; correct either"
                )
        views = [d.camera for d in s.door if d.camera is not None] + [b.camera for b in s.barrier]
        self.once("camera of a door or a barrier", views)
        for i, door in enumerate(s.door):
            if door.camera is not None:
                self.refers(f"door[{i}].camera", door.camera, [c.name for c in s.camera])

    def clock(self) -> None:
        if self.s.start_clock_at is not None and self.s.start_clock_offset_s:
            self.fail("start_clock_at", "there is start_clock_offset_s too; keep one of them")

    def time(self) -> None:
        """Real time and virtual time allow different things."""
        s = self.s
        if not s.is_virtual:
            if s.duration_s > REAL_S:
                self.fail("duration_s", f"{s.duration_s:g} is more than {REAL_S} s; only virtual time takes longer")
            for key, given in (("start_at", s.start_at), ("crowd", s.crowd)):
                if given:
                    self.fail(key, "only a scenario on virtual time has it; set max_speed above 1 or remove it")
            return
        for key, given in (("camera", s.camera), ("barrier", s.barrier)):
            if given:
                self.fail(key, "virtual time has doors only; set max_speed = 1 or remove it")
        for i, step in enumerate(s.step):
            if step.do not in VIRTUAL:
                self.fail(f"step[{i}].do", f"{step.do} needs processes; set max_speed = 1 or use one of {VIRTUAL}")
        for i, crowd in enumerate(s.crowd):
            self.refers(f"crowd[{i}].group", crowd.group, [g.name for g in s.group])
            self.refers(f"crowd[{i}].door", crowd.door, [d.name for d in s.door])
            if crowd.at_s + (crowd.count - 1) * crowd.every_s > s.duration_s:
                self.fail(f"crowd[{i}]", f"the last one comes after duration_s = {s.duration_s:g}; correct either")

    def steps(self) -> None:
        people = {person.id: person for person in self.s.people}
        for i, step in enumerate(self.s.step):
            key = f"step[{i}]"
            needed, allowed = NEEDS[step.do]
            for name in KEYS:
                given = getattr(step, name) is not UNSET
                if name in needed and not given:
                    self.fail(f"{key}.{name}", f"this key is missing; {step.do} needs {' and '.join(needed)}")
                if given and name not in needed + allowed:
                    self.fail(f"{key}.{name}", f"{step.do} does not use this key; remove it")
            if step.at_s > self.s.duration_s:
                self.fail(f"{key}.at_s", f"{step.at_s} is after duration_s = {self.s.duration_s}; correct either")
            if step.who is not UNSET:
                self.refers(f"{key}.who", step.who, list(people))
            if step.door is not UNSET:
                self.refers(f"{key}.door", step.door, [d.name for d in self.s.door])
            if step.barrier is not UNSET:
                self.refers(f"{key}.barrier", step.barrier, [b.name for b in self.s.barrier])
            if step.bus is not UNSET:
                self.refers(f"{key}.bus", step.bus, [b.name for b in self.s.bus])
            if step.part == "vision" and not self.s.camera:
                self.fail(f"{key}.part", "a site without a camera has no vision process; add a [[camera]]")
            if step.do in ("disk_full", "disk_free") and step.part not in (UNSET, "core", "center"):
                self.fail(f"{key}.part", f"expected core or center, got {step.part!r}; only their disks fill up")
            if step.do == "walk_up" and not any(d.camera for d in self.s.door if d.name == step.door):
                self.fail(f"{key}.door", f"no camera looks at {step.door!r}; give the [[door]] a camera")
            if step.plate is not UNSET:
                self.refers(f"{key}.plate", step.plate, [p for person in people.values() for p in person.plates])
            if step.do == "present_card" and step.who is not UNSET:
                self._card(key, step, people[step.who])
            if step.do == "enter_pin" and step.pin is UNSET and step.who is not UNSET:
                person = people[step.who]
                if not (isinstance(person, Holder) and person.pin):
                    self.fail(f"{key}.pin", f"{step.who!r} has no PIN of their own; add the key pin")

    def _card(self, key: str, step: Step, person: Holder | Stranger) -> None:
        cards = [card.id for card in person.cards]
        if not cards:
            self.fail(f"{key}.who", f"{person.id!r} has no card; give them one or choose somebody else")
        if step.card is not UNSET:
            self.refers(f"{key}.card", step.card, cards)

    def expectations(self) -> None:
        steps = [step.id for step in self.s.step]
        for i, expect in enumerate(self.s.expect):
            key = f"expect[{i}].text"
            try:
                sentence = expectations.parse(expect.text)
            except ExpectationError as e:
                self.fail(key, str(e))
            else:
                for step in sentence.steps:
                    self.refers(key, step, steps)
                for portal in sentence.portals:
                    self.refers(key, portal, self.portals())
