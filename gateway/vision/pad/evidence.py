"""The judgement: every test's answer, and one conservative rule.

Bona fide only if all of this holds:
1. there were enough looks over enough time, without holes;
2. no test accuses;
3. the pixels showed a solid face (parallax) and the landmarks moved as a solid face's do (relief);
4. a challenge, where one was asked, was done; a blink was seen, where the settings ask for it; the door's light was
   answered, where one was shown and strong enough to be seen.
Anything else is not bona fide; where nothing accuses, the reason is that too little was seen, and a portal asks for a
challenge or for another way in. A single picture fails (1); a picture held still fails (3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.vision.pad import challenge as challenges
from gateway.vision.pad import expression, light_code, parallax, passive, relief, replay
from gateway.vision.pad.challenge import Challenge
from gateway.vision.pad.light_code import LightCode
from gateway.vision.pad.look import MESH_POINTS, Cue, Finding, Look
from gateway.vision.pad.passive import PassiveModel
from gateway.vision.pad.reasons import ACCUSED, NO_CHALLENGE_DONE, NO_LIFE, NOT_ENOUGH_EVIDENCE, SEEN
from gateway.vision.pad.settings import PadSettings

__all__ = ["Challenge", "LightCode", "Look", "PadSettings", "Verdict", "judge"]

MOST_LOOKS = 128  # of the newest; older ones are not judged


@dataclass(frozen=True, slots=True)
class Verdict:
    """reasons: codes of reasons.WORDS, what decided first. scores: by test, 0 an attack to 1 a face. cues: the answers
    with their measurements. attack: the first suspicion, None where there was merely too little to see."""

    bona_fide: bool
    reasons: tuple[str, ...]
    scores: Mapping[str, float]
    cues: tuple[Cue, ...] = ()
    attack: str | None = None


def judge(
    looks: Sequence[Look],
    challenge: Challenge | None = None,
    settings: PadSettings | None = None,
    *,
    light: LightCode | None = None,
    model: PassiveModel | None = None,
) -> Verdict:
    """Of one face's looks, oldest first. Raises ValueError where they are not in order or a mesh is not (468, 3)."""
    rules = settings or PadSettings()
    for look in looks:
        if look.mesh.shape != (MESH_POINTS, 3):
            raise ValueError(
                f"look at {look.at_ms} ms: expected a mesh of {MESH_POINTS} x 3, got {look.mesh.shape}; "
                "hand in the face mesh's own points"
            )
    if any(a.at_ms >= b.at_ms for a, b in pairwise(looks)):
        raise ValueError("looks: expected times that rise, got one that does not; sort them and drop repeats")
    recent = looks[-MOST_LOOKS:]
    if not _enough(recent, challenge, rules):
        return Verdict(False, (NOT_ENOUGH_EVIDENCE,), {})
    asked = challenge is not None and challenge.turns_asked()
    cues = (
        parallax.examine(_thinned(recent), rules, asked_to_turn=asked),
        relief.examine(recent, rules, asked_to_turn=asked),
        challenges.examine(recent, challenge, rules),
        light_code.examine(recent, light, rules),
        *replay.examine(_thinned(recent), rules),
        passive.examine(recent, model, rules),
        expression.examine(recent, rules),
    )
    return _decide(cues, challenge, light, rules)


def _enough(looks: Sequence[Look], challenge: Challenge | None, rules: PadSettings) -> bool:
    if len(looks) < rules.least_looks or looks[-1].at_ms - looks[0].at_ms < rules.least_span_ms:
        return False
    if any(b.at_ms - a.at_ms > rules.most_gap_ms for a, b in pairwise(looks)):
        return False
    return challenge is None or looks[-1].at_ms >= challenge.ends_ms - rules.most_gap_ms


def _thinned(looks: Sequence[Look], most: int = 20) -> Sequence[Look]:
    """Every n-th look, so that the costly tests see at most about `most`."""
    return looks[:: max(1, -(-len(looks) // most))]


def _decide(cues: tuple[Cue, ...], challenge: Challenge | None, light: LightCode | None, rules: PadSettings) -> Verdict:
    found = {cue.name: cue.finding for cue in cues}
    scores = {cue.name: round(cue.score, 3) for cue in cues}
    accused = [ACCUSED[cue.name] for cue in cues if cue.finding is Finding.ATTACK]
    if accused:
        return Verdict(False, tuple(dict.fromkeys(accused)), scores, cues, accused[0])
    missing = []
    if found[parallax.NAME] is not Finding.GENUINE or found[relief.NAME] is not Finding.GENUINE:
        missing.append(NOT_ENOUGH_EVIDENCE)
    if challenge is not None and found[challenges.NAME] is not Finding.GENUINE:
        missing.append(NO_CHALLENGE_DONE)
    if rules.life_required and found[expression.NAME] is not Finding.GENUINE:
        missing.append(NO_LIFE)
    if light is not None and rules.light_required and found[light_code.NAME] is not Finding.GENUINE:
        missing.append(NOT_ENOUGH_EVIDENCE)
    if missing:
        return Verdict(False, tuple(dict.fromkeys(missing)), scores, cues)
    seen = tuple(SEEN[cue.name] for cue in cues if cue.finding is Finding.GENUINE and cue.name in SEEN)
    return Verdict(True, seen, scores, cues)
