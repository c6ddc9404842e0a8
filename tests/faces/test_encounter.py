"""Votes over frames: one answer per encounter, and evidence of one face only."""

import numpy as np

from gateway.vision.faces.encounter import ATTACK_AFTER_MS, GONE_AFTER_MS, MAX_FRAMES, Encounters, Step, overlap
from gateway.vision.faces.gallery import Candidate
from gateway.vision.faces.presentation import Look, Verdict

BOX = (100.0, 100.0, 80.0, 80.0)
GENUINE, UNSURE = Verdict(True, (), {}), Verdict(False, ("too-short",), {})


def look(at_ms):
    return Look(at_ms, np.ones((468, 3), np.float32), BOX, np.ones((8, 8, 3), np.uint8))


def show(encounters, at_ms, holder="a", box=BOX):
    """One good frame; returns the looks to judge."""
    if encounters.face(at_ms, box) is Step.ONLY_WATCH:
        return None
    encounters.look(look(at_ms))
    return encounters.compared(at_ms, Candidate(holder, 0.7, 0.3) if holder else None)


def test_three_agreeing_frames_are_judged_and_answered_once():
    encounters = Encounters(3)
    assert [len(show(encounters, t)) for t in (0, 100, 200)] == [0, 0, 3]
    answer = encounters.judged(200, GENUINE, claimed=False)
    assert (answer.holder, answer.similarity, answer.verdict) == ("a", 0.7, GENUINE)
    assert show(encounters, 300) is None  # over: nothing is compared until the face has gone
    encounters.nobody(300 + GONE_AFTER_MS + 1)
    assert show(encounters, 2000) == ()


def test_too_little_to_judge_waits_and_is_then_told_as_it_is():
    encounters = Encounters(1)
    assert len(show(encounters, 0)) == 1
    assert encounters.judged(0, UNSURE, claimed=False) is None
    for at_ms in range(500, ATTACK_AFTER_MS, 500):
        looks = show(encounters, at_ms)
        assert encounters.judged(at_ms, UNSURE, claimed=False) is None
    assert len(looks) == ATTACK_AFTER_MS // 500  # the evidence grew meanwhile
    show(encounters, ATTACK_AFTER_MS)
    answer = encounters.judged(ATTACK_AFTER_MS, UNSURE, claimed=True)
    assert (answer.verdict, answer.claimed) == (UNSURE, True)


def test_another_holder_or_nobody_begins_the_evidence_anew():
    encounters = Encounters(2)
    show(encounters, 0)
    assert show(encounters, 100, None) == ()
    assert show(encounters, 200) == ()
    assert show(encounters, 300, "b") == ()
    assert len(show(encounters, 400, "b")) == 1  # of the present holder's frames only


def test_a_jump_is_another_face():
    encounters = Encounters(2)
    show(encounters, 0)
    assert show(encounters, 100, box=(400.0, 100.0, 80.0, 80.0)) == ()
    assert overlap(BOX, BOX) == 1
    assert overlap(BOX, (400.0, 100.0, 80.0, 80.0)) == 0


def test_a_gap_is_another_face():
    encounters = Encounters(2)
    show(encounters, 0)
    assert show(encounters, GONE_AFTER_MS + 1) == ()


def test_a_second_person_breaks_the_evidence():
    encounters = Encounters(2)
    show(encounters, 0)
    encounters.broken()
    assert show(encounters, 100) == ()


def test_whoever_is_nobody_is_not_compared_for_ever():
    encounters = Encounters(3)
    for n in range(MAX_FRAMES):
        assert show(encounters, n * 50, None) == ()
    assert show(encounters, MAX_FRAMES * 50) is None


def test_forgotten_looks_are_overwritten():
    encounters = Encounters(3)
    one = look(0)
    encounters.face(0, BOX)
    encounters.look(one)
    encounters.reset()
    assert not one.mesh.any()
    assert not one.patch.any()
