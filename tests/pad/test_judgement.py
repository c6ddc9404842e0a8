"""The rule: what is believed, and that too little never is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gateway.vision.pad import passive
from gateway.vision.pad.evidence import LightCode, judge
from gateway.vision.pad.look import Finding, Look
from gateway.vision.pad.reasons import ACCUSED, NOT_ENOUGH_EVIDENCE, SEEN, WORDS
from gateway.vision.pad.settings import PadSettings

CODE = LightCode(0, 300, (True, False, False, True, True, False, True, False))
LIT = tuple(CODE.on(t) for t in range(0, 2400, 150))


def test_a_living_head_that_looks_round_is_bona_fide(looks) -> None:
    verdict = judge(looks("live", 1))
    assert verdict.bona_fide, verdict
    assert "depth_seen" in verdict.reasons
    assert verdict.attack is None


@pytest.mark.parametrize("kind", ["print_flat", "print_bent", "print_flexed", "mask_eyes", "screen_still"])
def test_a_picture_is_not(looks, kind: str) -> None:
    assert not judge(looks(kind, 2)).bona_fide


def test_a_single_picture_never_is(looks) -> None:
    for look in looks("live", 1):
        assert judge([look]) == judge([])
        assert judge([look]).reasons == (NOT_ENOUGH_EVIDENCE,)


def test_one_picture_shown_for_long_never_is(looks) -> None:
    first = looks("live", 1)[0]
    verdict = judge([replace(first, at_ms=150 * i) for i in range(40)])
    assert not verdict.bona_fide
    assert NOT_ENOUGH_EVIDENCE in verdict.reasons
    assert verdict.attack is None


def test_a_head_that_keeps_still_is_asked_for_more_and_not_accused(looks) -> None:
    verdict = judge(looks("live", 1, turn=0.0))
    assert not verdict.bona_fide
    assert verdict.attack is None
    assert verdict.reasons == (NOT_ENOUGH_EVIDENCE,)


def test_too_few_too_short_or_with_holes_is_not_enough(looks) -> None:
    whole = looks("live", 1)
    hurried = [replace(look, at_ms=look.at_ms // 3) for look in whole]
    torn = [*whole[:8], *(replace(look, at_ms=look.at_ms + 2000) for look in whole[8:])]
    for part in (whole[:9], hurried, torn):
        assert judge(part).reasons == (NOT_ENOUGH_EVIDENCE,)


def test_landmarks_without_pixels_are_not_enough(looks) -> None:
    assert not judge([replace(look, patch=None) for look in looks("live", 1)]).bona_fide


def test_what_is_not_in_order_or_no_mesh_is_refused_in_words(looks) -> None:
    whole = looks("live", 1, pictures=False)
    with pytest.raises(ValueError, match="times that rise"):
        judge([*whole, whole[0]])
    with pytest.raises(ValueError, match="468 x 3"):
        judge([Look(0, np.zeros((5, 3), np.float32), (0, 0, 1, 1))])


def test_a_screen_does_not_answer_the_door_s_light_and_a_head_does(looks) -> None:
    head = judge(looks("live", 1, lamp=LIT), light=CODE)
    assert head.bona_fide, head
    assert "light_answered" in head.reasons
    screen = judge(looks("screen_video", 1, lamp=LIT), light=CODE)
    assert not screen.bona_fide
    assert "light_not_answered" in screen.reasons


def test_a_head_lit_in_another_order_is_not_believed(looks) -> None:
    other = replace(CODE, slots=tuple(not slot for slot in CODE.slots))
    assert not judge(looks("live", 1, lamp=LIT), light=other).bona_fide


class Says:
    """A passive model that always says the same."""

    def __init__(self, live: float) -> None:
        self._live = live

    def live(self, patch: object) -> float:
        return self._live


def test_a_passive_model_can_refuse_and_never_admit(looks) -> None:
    assert judge(looks("live", 1), model=Says(0.1)).attack == "passive_model"
    assert not judge(looks("print_flat", 2), model=Says(1.0)).bona_fide
    assert passive.examine(looks("live", 1), None, PadSettings()).finding is Finding.SILENT


def test_a_blink_is_needed_where_the_settings_say_so(looks) -> None:
    rules = PadSettings(life_required=True)
    verdicts = [judge(looks("live", seed), None, rules) for seed in range(1, 4)]
    for verdict in verdicts:
        assert verdict.bona_fide == ("life_seen" in verdict.reasons)


def test_every_reason_has_words_in_both_languages() -> None:
    for code in {*ACCUSED.values(), *SEEN.values(), NOT_ENOUGH_EVIDENCE}:
        assert set(WORDS[code]) == {"zh", "en"}
