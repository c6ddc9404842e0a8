"""`access.decide` with 10 000 holders and 50 rules, against a dict look-up and a loop over the applicable rules."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.access.decide import State, decide
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import Schedule, Span
from gateway.model import AccessRequest, CredentialKind, Presented
from zhian.benches import Figure, absolute, against

CALLS = 20_000
RULES = 50
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


def run() -> list[Figure]:
    """Decisions per second, and how the time grows with ten times the holders."""
    figures = {}
    for holders in (1_000, 10_000, 100_000):
        policy = _policy(holders)
        figures[holders] = (_decisions_per_s(policy, holders), _ceiling_per_s(policy, holders))
    growth = figures[10_000][0] / figures[100_000][0]
    return [
        against("access.decide, 10 000 holders, 50 rules", *_pair(figures[10_000]), 0.3, "higher"),
        absolute("access.decide, time at 10x holders", growth, "x", 1.2, "lower"),
        absolute("access.decide, time at 100x holders", figures[1_000][0] / figures[100_000][0], "x", 1.5, "lower"),
    ]


def _pair(measured: tuple[float, float]) -> tuple[float, str, float]:
    return measured[0], "decide/s", measured[1]


def _policy(holders: int) -> Policy:
    weekdays = Schedule("weekdays", (Span(frozenset(range(5)), 6 * 60, 22 * 60),))
    return compile_policy(
        1,
        [Holder(f"h{i}", frozenset({f"g{i % RULES}"}), {}) for i in range(holders)],
        [Credential(CredentialKind.CARD, f"26:{i}", f"h{i}") for i in range(holders)],
        [Rule(f"g{i}", frozenset({"lobby"}), weekdays) for i in range(RULES)],
        [PortalPolicy("lobby", (frozenset({CredentialKind.CARD}),))],
    )


def _decisions_per_s(policy: Policy, holders: int) -> float:
    requests = [
        AccessRequest("lobby", "r", (Presented(CredentialKind.CARD, f"26:{i * 7919 % holders}"),)) for i in range(1000)
    ]
    state = State(True)
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for i in range(CALLS):
            decide(requests[i % 1000], policy, state, NOW)
        best = min(best, time.perf_counter() - began)
    return CALLS / best


def _ceiling_per_s(policy: Policy, holders: int) -> float:
    keys = [(CredentialKind.CARD, f"26:{i * 7919 % holders}") for i in range(1000)]
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for i in range(CALLS):
            credential = policy.credentials[keys[i % 1000]]
            for group in policy.holders[credential.holder].groups:
                for rule in policy.rules[group, "lobby"]:
                    rule.schedule.allows(NOW)
        best = min(best, time.perf_counter() - began)
    return CALLS / best
