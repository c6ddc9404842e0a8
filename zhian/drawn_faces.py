"""The enrolment desk of a simulated site: a person of the cast consents, and pictures of their drawn head are taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.operations.messages import EnrolFace
from runtime.errors import UserError
from sim import scenario as scenarios
from sim.scenario import Scenario

DAYS = 90  # of consent
DESK_SEED = 7  # of the head's movement at the desk; no visit to a door has it
SIZE, FPS, FOR_S = (360, 360), 1, 5.0
LEAST = 3


def missing(scenario: Scenario) -> str:
    """Why the scenario's faces cannot be played here, in one sentence; "" where they can or there are none."""
    if not any(door.face_camera for door in scenario.door):
        return ""
    from gateway.errors import VisionError
    from gateway.vision import models
    from gateway.vision.faces import reader, threshold

    try:
        for name in (reader.DETECTOR, reader.MESH, reader.EMBEDDER):
            models.published(name, must_be_accepted=False)
        threshold.read_thresholds(
            threshold.SHIPPED, models.published(reader.EMBEDDER, must_be_accepted=False).entry.sha256
        )
    except VisionError as e:
        return f"not played: it needs the models for faces ({e})"
    return ""


def enrolment(site: Path, who: str, portal: str, operator: str) -> EnrolFace:
    """What the desk hands to core. Raises UserError: no face, models that are not here, or too few good pictures."""
    import cv2

    from gateway.enrolment.capture import references_of
    from gateway.vision.faces.reader import load
    from sim.face_doorway import drawn

    scenario = scenarios.load(site / "scenario.toml")
    face = next((one.face for one in scenario.holder if one.id == who), None)
    if face is None:
        raise UserError(f"{who!r} has no face to be enrolled; give the [[holder]] one")
    cv2.setNumThreads(1)
    faces = load(must_be_accepted=False)
    good = []
    for frame in drawn("live", face, DESK_SEED, SIZE, FPS, FOR_S):
        if frame.image is None:
            continue
        seen = faces.nearest(frame.image)
        if seen is not None and not seen.quality.problems:
            good.append((f"picture at {frame.at_ms} ms", frame.image))
    if len(good) < LEAST:
        raise UserError(f"{who!r}: {len(good)} good pictures of the drawn head, expected {LEAST}; choose another face")
    references = references_of(faces, good)
    until = datetime.now(UTC) + timedelta(days=DAYS)
    return EnrolFace(
        who, (portal,), operator, "card and PIN", until, references, faces.embedder.sha256, operator, replace=True
    )
