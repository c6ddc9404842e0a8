"""What the types of a scenario cannot say: names that refer to something, numbers used once, what needs what."""

from __future__ import annotations

from msgspec import UNSET

from runtime.errors import ConfigError
from sim import expectations
from sim.errors import ExpectationError
from sim.plates import can_say, kind_of
from sim.scenario import REAL_S, VIRTUAL, Holder, Scenario, Stranger
from sim.step import FACES, KEYS, NEEDS, PICTURES, Step


class Check:
    """One scenario; `source` is named in the sentence of what is wrong."""

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
        for i, door in enumerate(s.door):
            if door.face_alone and door.face_camera is None:
                self.fail(f"door[{i}].face_alone", "no camera for faces looks at this door; give it a face_camera")
        at_doors = [(i, key, view) for i, d in enumerate(s.door) for key, view in d.views]
        self.once("camera of a door or a barrier", [v for _, _, v in at_doors] + [b.camera for b in s.barrier])
        for i, key, view in at_doors:
            self.refers(f"door[{i}].{key}", view, [c.name for c in s.camera])

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
            if step.do in ("walk_up", *PICTURES, *FACES):
                self._face(key, step, people[str(step.who)])
            if step.plate is not UNSET:
                self.refers(f"{key}.plate", step.plate, [p for person in people.values() for p in person.plates])
            if step.do in ("present_card", "revoke_card") and step.who is not UNSET:
                self._card(key, step, people[step.who])
            if step.do == "enter_pin" and step.pin is UNSET and step.who is not UNSET:
                person = people[step.who]
                if not (isinstance(person, Holder) and person.pin):
                    self.fail(f"{key}.pin", f"{step.who!r} has no PIN of their own; add the key pin")

    def _face(self, key: str, step: Step, person: Holder | Stranger) -> None:
        door = next((d for d in self.s.door if d.name == step.door), None)
        if door is not None and step.do == "walk_up" and not door.views:
            self.fail(f"{key}.door", f"no camera looks at {door.name!r}; give the [[door]] a camera")
        if door is not None and step.do != "walk_up" and door.face_camera is None:
            self.fail(f"{key}.door", f"no camera for faces looks at {door.name!r}; give the [[door]] a face_camera")
        if person.face is None and (door is None or door.face_camera is not None):
            self.fail(f"{key}.who", f"{person.id!r} has no face; give them one (a number, any) or choose somebody else")
        if step.do in FACES and not isinstance(person, Holder):
            self.fail(f"{key}.who", f"{person.id!r} is no holder; only holders are enrolled, choose one of them")

    def _card(self, key: str, step: Step, person: Holder | Stranger) -> None:
        cards = [card.id for card in person.cards]
        if not cards:
            self.fail(f"{key}.who", f"{person.id!r} has no card; give them one or choose somebody else")
        if step.card is not UNSET:
            self.refers(f"{key}.card", step.card, cards)
        if step.do == "revoke_card" and not isinstance(person, Holder):
            self.fail(f"{key}.who", f"{person.id!r} is no holder; only holders' cards are known, choose one of them")

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
