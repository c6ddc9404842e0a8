"""Every camera that looks at a door, and who or what comes before it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from sim.action import Action
from sim.camera import Camera
from sim.door import Door, Record
from sim.doorway import STAY_S, Doorway
from sim.errors import ActionError
from sim.face_doorway import FaceDoorway
from sim.scenario import Scenario
from sim.timeline import Timeline

PLACES = 50  # seeds of surroundings before these belong to lanes


def of(
    scenario: Scenario, cameras: Mapping[str, Camera], doors: Mapping[str, Door], timeline: Timeline, record: Record
) -> dict[str, Doorway | FaceDoorway]:
    """By door; a door with both cameras is seen by the one for faces."""
    found: dict[str, Doorway | FaceDoorway] = {}
    for number, door in enumerate(scenario.door):
        named = door.face_camera or door.camera
        if named is None:
            continue
        view = next(c for c in scenario.camera if c.name == named)
        place, size = scenario.seed * 100 + PLACES + number, (view.width, view.height)
        told = (door.name, cameras[named])
        if door.face_camera is not None:
            asks = doors[door.name] if door.face_alone or door.display else None
            found[door.name] = FaceDoorway(*told, timeline, record, size=size, fps=view.fps, place=place, asks=asks)
            continue
        from sim.render import person as figures  # drawing needs OpenCV; a site without cameras does not

        found[door.name] = Doorway(*told, figures, timeline, record, size=size, fps=view.fps, place=place)
    return found


def begin(
    action: Action, doorways: Mapping[str, Doorway | FaceDoorway], scenario: Scenario, seed: int
) -> Coroutine[Any, Any, None]:
    """Somebody walks up, or holds something up, as `action` says. Raises ActionError."""
    doorway, who, for_s = doorways.get(action.door or ""), action.who or "", action.for_s or STAY_S
    if doorway is None:
        raise ActionError(f"no camera looks at {action.door}; give the [[door]] a camera")
    if isinstance(doorway, Doorway):
        if action.do != "walk_up":
            raise ActionError(f"the camera at {action.door} is not for faces; give the [[door]] a face_camera")
        return doorway.visit(who, seed, for_s)
    face = next((person.face for person in scenario.people if person.id == who), None)
    if face is None:
        raise ActionError(f"{who!r} has no face that could be drawn; give them one (a number, any)")
    return doorway.visit(action.do, who, face, seed, for_s)
