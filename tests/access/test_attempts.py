"""Wrong PINs and codes: how many, how long, and for whom."""

from __future__ import annotations

import pytest

from gateway.access import attempts as attempts_module
from gateway.access.attempts import NO_ATTEMPTS, AttemptLimits, Attempts, after_decision, locked
from gateway.model import AccessRequest, CredentialKind, Decision, Presented, Reason

CARD, PIN, CODE = CredentialKind.CARD, CredentialKind.PIN, CredentialKind.CODE
LIMITS = AttemptLimits(wrong=3, window_s=60, lockout_s=30)
WRONG = Decision(False, Reason.WRONG_PIN, "ann", CARD)
UNKNOWN = Decision(False, Reason.UNKNOWN_CREDENTIAL, credential=PIN)
RIGHT = Decision(True, Reason.PERMITTED, "ann", CARD)


def typed(point: str = "lobby", *kinds: CredentialKind) -> AccessRequest:
    return AccessRequest("p", point, tuple(Presented(kind, "x") for kind in kinds or (CARD, PIN)))


ALONE = typed("lobby", PIN)


def after(
    request: AccessRequest, decision: Decision, *times_ms: int, start: Attempts = NO_ATTEMPTS
) -> tuple[Attempts, list[bool]]:
    began = []
    for now_ms in times_ms:
        start, one = after_decision(start, request, decision, LIMITS, now_ms)
        began.append(one)
    return start, began


def test_the_third_wrong_pin_locks_point_and_holder_and_says_so_once():
    found, began = after(typed(), WRONG, 0, 1000, 2000)
    assert began == [False, False, True]
    assert locked(found, typed(), "ann", 31_999)
    assert not locked(found, typed(), "ann", 32_000)
    assert locked(found, typed(), "ben", 2000)  # the keypad, whoever stands there
    assert locked(found, typed("garage"), "ann", 2000)  # the found card, wherever it is shown
    assert not locked(found, typed("garage"), "ben", 2000)
    assert locked(found, ALONE, None, 2000)
    assert not locked(found, typed("garage", PIN), None, 2000)


def test_a_card_alone_is_never_locked():
    found, _ = after(typed(), WRONG, 0, 1, 2)
    assert not locked(found, typed("lobby", CARD), "ann", 3)


def test_a_pin_or_code_that_nobody_has_counts_for_the_point():
    found, began = after(ALONE, UNKNOWN, 0, 1, 2)
    assert began == [False, False, True]
    assert list(found.counts) == ["point lobby"]
    assert after(typed("lobby", CODE), UNKNOWN, 0, 1, 2)[1] == [False, False, True]


def test_attempts_outside_the_window_do_not_add_up():
    assert after(typed(), WRONG, 0, 1, 60_000)[1] == [False, False, False]
    assert after(typed(), WRONG, 0, 1, 59_999)[1] == [False, False, True]
    assert after(typed(), WRONG, 0, 1, 60_000, 60_001, 60_002)[1] == [False, False, False, False, True]


def test_after_a_lockout_counting_begins_anew():
    found, _ = after(typed(), WRONG, 0, 1, 2)
    assert after(typed(), WRONG, 30_002, 30_003, 30_004, start=found)[1] == [False, False, True]


def test_the_right_pin_clears_its_holder_and_not_the_point():
    found, _ = after(typed(), WRONG, 0, 1)
    other, _ = after(typed("garage"), Decision(False, Reason.WRONG_PIN, "ben", CARD), 2, start=found)
    cleared, began = after(typed(), RIGHT, 3, start=other)
    assert began == [False]
    assert set(cleared.counts) == {"point lobby", "point garage", "holder ben"}
    assert cleared.counts["point lobby"].wrong == 2


def test_a_pin_of_ones_own_buys_no_further_guesses_at_the_keypad():
    """Two guesses, the own PIN, two guesses, ...: the third guess locks all the same."""
    found, began = NO_ATTEMPTS, False
    guesses = 0
    while not locked(found, ALONE, None, guesses):
        found, began = after_decision(found, ALONE, UNKNOWN, LIMITS, guesses)
        found, _ = after_decision(found, ALONE, Decision(True, Reason.PERMITTED, "eve", PIN), LIMITS, guesses)
        guesses += 1
        assert guesses <= LIMITS.wrong
    assert began


@pytest.mark.parametrize(
    "decision",
    [
        Decision(True, Reason.FIRE, "ann", CARD),
        Decision(True, Reason.EMERGENCY_OPEN, "ann", CARD),
        Decision(True, Reason.UNLOCKED_BY_SCHEDULE, "ann", CARD),
        Decision(True, Reason.LOCKDOWN, "ann", CARD),
        Decision(True, Reason.PERMITTED, "ann", CARD, warnings=(Reason.WRONG_PIN,)),  # on the way out
        Decision(True, Reason.PERMITTED, "ann", CARD, warnings=(Reason.REVOKED,)),
    ],
)
def test_a_grant_without_a_right_pin_clears_nothing(decision):
    found, _ = after(typed(), WRONG, 0, 1)
    assert after(typed(), decision, 2, start=found)[0] is found


def test_a_passback_that_is_only_told_clears_like_any_grant():
    found, _ = after(typed(), WRONG, 0, 1)
    told = Decision(True, Reason.PERMITTED, "ann", CARD, warnings=(Reason.ANTI_PASSBACK,))
    assert "holder ann" not in after(typed(), told, 2, start=found)[0].counts


def test_a_lockout_ends_by_time_alone():
    found, _ = after(typed(), WRONG, 0, 1, 2)
    assert after(typed("garage"), RIGHT, 30_001, start=found)[0] is found
    assert "holder ann" not in after(typed("garage"), RIGHT, 30_002, start=found)[0].counts


@pytest.mark.parametrize(
    ("request_", "decision"),
    [
        (typed(), Decision(False, Reason.OUTSIDE_SCHEDULE, "ann", CARD)),
        (typed(), Decision(False, Reason.UNKNOWN_CREDENTIAL, "ann", CARD)),  # the card was unknown, not the PIN
        (typed("lobby", CARD), Decision(False, Reason.UNKNOWN_CREDENTIAL, credential=CARD)),
        (typed("lobby", CARD), RIGHT),
    ],
)
def test_what_changes_nothing(request_, decision):
    start, _ = after(typed(), WRONG, 0)
    found, began = after_decision(start, request_, decision, LIMITS, 1)
    assert found is start
    assert began is False


def test_the_memory_is_bounded_and_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr(attempts_module, "MAX_COUNTED", 2)
    found = NO_ATTEMPTS
    for point in ("a", "b", "a", "c"):
        found, _ = after_decision(found, typed(point, PIN), UNKNOWN, LIMITS, 0)
    assert list(found.counts) == ["point a", "point c"]
    assert found.counts["point a"].wrong == 2


def test_the_defaults_leave_one_keypad_five_guesses_in_five_minutes():
    assert AttemptLimits() == AttemptLimits(wrong=5, window_s=300, lockout_s=300)
