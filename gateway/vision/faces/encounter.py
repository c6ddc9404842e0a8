"""Many frames of one face to at most one observation. Pure: frames and times come in, a match goes out, nothing stays.

An encounter is one face that stays in view without a jump. Its evidence is unbroken: whatever could be a change of
person (a gap, a jump, a second person, a good frame that is nobody or somebody else) begins it anew, so that a live
face and another face's picture are never put together.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from gateway.vision.faces.gallery import Candidate
from gateway.vision.faces.presentation import Look, Verdict

GONE_AFTER_MS = 1200
MAX_FRAMES = 60  # good frames that are compared; whoever is nobody until then is nobody until the face has gone
MAX_LOOKS = 96  # kept for the judgement of presentation
ASKED_EVERY_MS = 100  # between two looks while something is asked for: it takes longer, and all of it is judged
STANDS_MS = 800  # how long a face must be the same holder's before it is asked for something: others walk past
SAME_FACE_OVERLAP = 0.3  # boxes of one face in consecutive frames share at least this (intersection over union)
JUDGE_EVERY_MS = 250  # a judgement costs more than a comparison
ATTACK_AFTER_MS = 3000  # how long a matching face may fail to be bona fide before it is told as it is

Box = tuple[float, float, float, float]


class Step(Enum):
    """What a frame's face needs from us."""

    COMPARE = "compare"
    ONLY_WATCH = "only-watch"  # this encounter is over; wait until the face has gone


@dataclass(frozen=True, slots=True)
class Matched:
    """The encounter's one answer."""

    holder: str
    similarity: float
    margin: float
    claimed: bool
    verdict: Verdict


@dataclass(slots=True)
class Encounters:
    """One camera's encounters, one after the other."""

    agreeing_frames: int
    _box: Box | None = None
    _seen_ms: int = 0
    _compared: int = 0
    _over: bool = False
    _votes: list[Candidate] = field(default_factory=list)
    _looks: deque[Look] = field(default_factory=lambda: deque(maxlen=MAX_LOOKS))
    _first_vote_ms: int = 0
    _judged_ms: int = -JUDGE_EVERY_MS
    _asked_votes: int | None = None  # of the holder since something is asked for; None where nothing is

    def face(self, now_ms: int, box: Box) -> Step:
        """A face was found at `box`; says whether it is to be compared."""
        if self._box is not None and (
            now_ms - self._seen_ms > GONE_AFTER_MS or overlap(self._box, box) < SAME_FACE_OVERLAP
        ):
            self.reset()
        self._box, self._seen_ms = box, now_ms
        enough = self._compared >= MAX_FRAMES and self._asked_votes is None
        return Step.ONLY_WATCH if self._over or enough else Step.COMPARE

    def looked_until(self, now_ms: int) -> None:
        """Nobody looked at pictures until now, for a judgement took so long: that is no gap."""
        if self._box is not None:
            self._seen_ms = max(self._seen_ms, now_ms)

    def nobody(self, now_ms: int) -> None:
        """No face in this frame."""
        if self._box is not None and now_ms - self._seen_ms > GONE_AFTER_MS:
            self.reset()

    def unusable(self) -> None:
        """A face that cannot be compared (turned, blurred): the evidence goes on, it votes for nothing."""

    def broken(self) -> None:
        """Evidence of two people: start the evidence again."""
        self._votes.clear()
        self._asked_votes = None
        self._forget_looks()

    def wants_look(self, at_ms: int) -> bool:
        """Whether a look of this moment will be kept; a second frame of one instant is left out."""
        between_ms = 1 if self._asked_votes is None else ASKED_EVERY_MS
        return not self._looks or at_ms - self._looks[-1].at_ms >= between_ms

    def look(self, look: Look) -> None:
        """What the judgement of presentation will see of this frame."""
        if self.wants_look(look.at_ms):
            if len(self._looks) == self._looks.maxlen:
                _overwrite(self._looks.popleft())
            self._looks.append(look)

    def compared(self, now_ms: int, candidate: Candidate | None) -> tuple[Look, ...]:
        """A good frame was compared; None: with nobody near enough. Returns the looks to judge once frames agree."""
        self._compared += 1
        if candidate is None or (self._votes and self._votes[-1].holder != candidate.holder):
            self.broken()
        if candidate is None:
            return ()
        if not self._votes:
            self._first_vote_ms = now_ms
        self._votes.append(candidate)
        if len(self._votes) < self.agreeing_frames or now_ms - self._judged_ms < JUDGE_EVERY_MS:
            return ()
        self._judged_ms = now_ms
        return tuple(self._looks)

    def stands(self, now_ms: int) -> bool:
        """Whether the holder has been there long enough to be asked for something."""
        return bool(self._votes) and now_ms - self._first_vote_ms >= STANDS_MS

    @property
    def asked(self) -> bool:
        """Whether something is asked for, and the evidence since has not been broken."""
        return self._asked_votes is not None

    def ask(self) -> None:
        """Something is asked for from now on: frames are kept at another pace, and turned heads break nothing."""
        self._asked_votes = 0

    def followed(self, candidate: Candidate | None, *, same: bool, shown: bool) -> bool:
        """A good frame, while something is asked for; False where it is somebody else's, which ends the evidence.
        `same`: it is like enough to the holder to be no other person, if not enough to be taken for the holder.
        `shown`: what is asked for can be seen."""
        if self._asked_votes is None or not self._votes:
            return False
        if candidate is not None and candidate.holder == self._votes[-1].holder:
            self._votes.append(candidate)
            self._asked_votes += shown
        elif candidate is not None or not same:
            self.broken()
            return False
        return True

    def asked_looks(self) -> tuple[Look, ...]:
        """The looks to judge once what was asked for is over; none where the holder was not seen meanwhile."""
        agreed = self._asked_votes is not None and self._asked_votes >= self.agreeing_frames
        return tuple(self._looks) if agreed else ()

    def judged(self, now_ms: int, verdict: Verdict, *, claimed: bool, final: bool = False) -> Matched | None:
        """The encounter's answer: at once where the face is bona fide or the verdict is `final`, else after
        ATTACK_AFTER_MS as it is."""
        if not (verdict.bona_fide or final) and now_ms - self._first_vote_ms < ATTACK_AFTER_MS:
            return None
        similar = float(np.median([vote.similarity for vote in self._votes]))
        matched = Matched(self._votes[-1].holder, similar, min(v.margin for v in self._votes), claimed, verdict)
        self.broken()
        self._over = True
        return matched

    def reset(self) -> None:
        """Forget everything about the present face."""
        self.broken()
        self._box, self._seen_ms, self._compared, self._over = None, 0, 0, False
        self._judged_ms = -JUDGE_EVERY_MS

    def _forget_looks(self) -> None:
        for look in self._looks:
            _overwrite(look)
        self._looks.clear()


def _overwrite(look: Look) -> None:
    look.mesh.fill(0)
    if look.patch is not None:
        look.patch.fill(0)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / max(1e-9, a[2] * a[3] + b[2] * b[3] - shared)
