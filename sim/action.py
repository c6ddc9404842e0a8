"""What somebody may do to the world, from a scenario's timeline or from the simulator's page; checked here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sim.errors import ActionError
from sim.scenario import Card, Scenario, Stranger
from sim.step import NEEDS, Delay, Digits, Do, Mode, Name, Offset, Part, Plate, Probability, Seconds, Step, TimeOfDay


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to do; which keys it needs is in step.NEEDS."""

    do: Do
    who: Name | None = None
    card: Name | None = None
    pin: Digits | None = None
    door: Name | None = None
    barrier: Name | None = None
    plate: Plate | None = None
    bus: Name | None = None
    probability: Probability | None = None
    for_s: Seconds | None = None
    delay_ms: Delay | None = None
    part: Part | None = None
    offset_s: Offset | None = None
    to: TimeOfDay | None = None
    mode: Mode | None = None


def from_step(step: Step) -> Action:
    """The action of a scenario's step."""
    given = {name: value for name in Step.__struct_fields__ if (value := getattr(step, name)) is not msgspec.UNSET}
    return Action(**{name: value for name, value in given.items() if name not in ("id", "at_s")})


def parse(plain: Mapping[str, object], scenario: Scenario) -> Action:
    """An action as somebody asked for it. Raises ActionError in one sentence."""
    try:
        action = msgspec.convert(dict(plain), Action, strict=True)
    except msgspec.ValidationError as e:
        raise ActionError(f"this cannot be done: {e}") from None
    for key in NEEDS[action.do][0]:
        if getattr(action, key) is None:
            raise ActionError(f"{action.do} needs {' and '.join(NEEDS[action.do][0])}; {key} is missing")
    _known("who", action.who, [person.id for person in scenario.people])
    _known("door", action.door, [door.name for door in scenario.door])
    _known("bus", action.bus, [bus.name for bus in scenario.bus])
    _known("barrier", action.barrier, [barrier.name for barrier in scenario.barrier])
    return action


def card_of(action: Action, scenario: Scenario) -> Card:
    """The card that is presented: the named one, else their first. Raises ActionError."""
    person = next(person for person in scenario.people if person.id == action.who)
    for card in person.cards:
        if action.card in (None, card.id):
            return card
    raise ActionError(f"{person.id!r} has no card" + (f" {action.card!r}" if action.card else "") + " to present")


def pin_of(action: Action, scenario: Scenario) -> str:
    """The PIN that is typed: the given one, else their own. Raises ActionError."""
    if action.pin is not None:
        return action.pin
    person = next(person for person in scenario.people if person.id == action.who)
    if isinstance(person, Stranger) or person.pin is None:
        raise ActionError(f"{person.id!r} has no PIN; give one with the key pin")
    return person.pin


def _known(key: str, name: str | None, allowed: list[str]) -> None:
    if name is not None and name not in allowed:
        raise ActionError(f"{key}: expected one of {allowed}, got {name!r}")
