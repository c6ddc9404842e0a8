"""Every row of cases.md: who may pass, and why not. The page is meant to be read without this file."""

from __future__ import annotations

import pytest
from case_tables import Case, cases, site, tables

from gateway.access.decide import decide
from gateway.model import Reason

TABLES = tables()
POLICY, CREDENTIALS = site(TABLES)
CASES = cases(TABLES, CREDENTIALS)
# Said by the door, by attempts.py, by a lone node; and told in test_decide.py, as the table knows no card formats.
OUTSIDE_DECIDE = {Reason.STORAGE_BROKEN, Reason.TOO_MANY_ATTEMPTS, Reason.NOT_OFFLINE, Reason.MISREAD}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    decision = decide(case.request, POLICY, case.state, case.now)
    assert (decision.granted, decision.reason) == (case.granted, case.reason)
    assert decision.duress is case.duress
    assert decision.warnings == case.warnings


def test_every_reason_that_decide_can_give_has_a_case() -> None:
    assert set(Reason) - OUTSIDE_DECIDE - {case.reason for case in CASES} == set()


def test_no_case_stands_twice() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
