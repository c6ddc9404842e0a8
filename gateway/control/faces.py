"""Faces at doors: who was recognised before which door's camera, and what was held there that was no face.

A face counts only where it was found to be live, at the door whose camera saw it. All else is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from center.contract import catalogue
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.model import CredentialKind, FaceAttack, FaceSeen, Presented

MAX_AGE_MS = 3000  # a face seen longer ago opens nothing now
AGAIN_AFTER_MS = 3000  # one person standing there is one request
CLAIM_MS = 20_000  # how long a shown card points at one face, at most; the door ends it earlier
NOBODY = "-"  # no holder's id: a claim that has ended names nobody
ATTACK_AGAIN_AFTER_MS = 60_000  # one attempt is one event


@dataclass(frozen=True, slots=True)
class Needs:
    """What a person must have done before a camera for the face to count: where it opens alone, and beside something
    else."""

    alone: frozenset[str] = frozenset({"challenge"})
    beside: frozenset[str] = frozenset()


class Door(Protocol):
    """A door with a camera for faces."""

    face_wanted: Callable[[str | None], None]
    """The door calls it with the holder whose face would complete what was shown there, and with None when that is
    over."""

    def face_seen(self, presented: Presented, *, claimed: bool) -> None:
        """A live face of this holder was seen. `claimed`: it was compared with nobody else, or not asked for what a
        face alone needs; it opens nothing by itself. Never waits."""
        ...


class FaceControl:
    """Takes what the vision process tells; `doors`: camera name -> (portal, door); `needs`: by camera, where these are
    others than the defaults."""

    def __init__(
        self,
        judge: Judge,
        loop: JobLoop,
        doors: Mapping[str, tuple[str, Door]],
        needs: Mapping[str, Needs] | None = None,
    ) -> None:
        self._judge, self._loop, self._doors, self._needs = judge, loop, dict(doors), dict(needs or {})
        self._alone: tuple[str, ...] | None = None
        self.alone: Callable[[tuple[str, ...]], None] = _nobody_alone  # core sets it
        self._shown_ms: dict[tuple[str, str, bool], int] = {}
        self._attacked_ms: dict[str, int] = {}
        self.claim: Callable[[str, str, int], None] = _nobody  # (camera, holder, until): core sets it
        for camera, (_, door) in self._doors.items():
            door.face_wanted = partial(self._wanted, camera)

    @property
    def cameras(self) -> dict[str, str]:
        """Camera -> the portal it serves."""
        return {camera: portal for camera, (portal, _) in self._doors.items()}

    def policy_changed(self) -> None:
        """Tell before which cameras a face opens alone, where that has changed. Never waits."""
        cameras = tuple(c for c, (portal, _) in self._doors.items() if self._judge.face_opens_alone(portal))
        if cameras != self._alone:
            self._alone = cameras
            self.alone(cameras)

    def seen(self, face: FaceSeen) -> None:
        """A holder's live face; anything not live, old, or seen a moment ago is passed over, and so is a face that was
        not asked for what counts here. Never waits."""
        known = self._doors.get(face.camera)
        age_ms = self._judge.clock.now_ms() - face.observed_ms
        if known is None or not face.bona_fide or not -MAX_AGE_MS <= age_ms <= MAX_AGE_MS:
            return
        needs, asked = self._needs.get(face.camera, Needs()), frozenset(face.asked)
        alone = not face.claimed and needs.alone <= asked
        if not alone and not needs.beside <= asked:
            return
        now_ms, key = self._judge.clock.monotonic_ms(), (face.camera, face.holder, alone)
        if now_ms - self._shown_ms.get(key, -AGAIN_AFTER_MS) < AGAIN_AFTER_MS:
            return
        self._shown_ms = {k: at for k, at in self._shown_ms.items() if now_ms - at < AGAIN_AFTER_MS} | {key: now_ms}
        known[1].face_seen(Presented(CredentialKind.FACE, face.holder), claimed=not alone)

    def _wanted(self, camera: str, holder: str | None) -> None:
        """What the vision process is to compare with: this holder alone for a while, or everybody again."""
        until_ms = 0 if holder is None else self._judge.clock.now_ms() + CLAIM_MS
        self.claim(camera, holder or NOBODY, until_ms)

    def attack(self, attack: FaceAttack) -> None:
        """Recorded once a minute and portal; it says nothing of whom it looked like. Never waits."""
        known = self._doors.get(attack.camera)
        if known is None:
            return
        portal, now_ms = known[0], self._judge.clock.monotonic_ms()
        if now_ms - self._attacked_ms.get(portal, -ATTACK_AGAIN_AFTER_MS) < ATTACK_AGAIN_AFTER_MS:
            return
        self._attacked_ms[portal] = now_ms
        told = catalogue.FaceAttackSuspected(portal, attack.cause.replace("_", "-"))
        self._loop.submit(lambda: self._judge.fact(told))


def _nobody_alone(cameras: tuple[str, ...]) -> None:
    """No vision process is listening yet."""


def _nobody(camera: str, holder: str, until_ms: int) -> None:
    """No vision process is listening yet."""
