"""The answer to "who could pass, and why not", as values that travel: `explain` makes them, pages and commands show
them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model import PortalMode, Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """One person and what would happen to them. shown: the kinds of what they would show; credentials: its names.
    rules: "<group>: <schedule>" of every rule that is about this holder and portal."""

    holder: str
    name: dict[str, str]
    shown: tuple[str, ...]
    credentials: tuple[str, ...]
    granted: bool
    reason: Reason
    second_person: bool = False
    warnings: tuple[Reason, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer. `live`: with zones, uses and modes as they are now, else as the policy alone has it.

    day: holiday, workday (a weekend day that is worked) or "" (what its weekday says); calendar_known: whether the
    official calendar of that year was available. open_to_all: why nobody is asked for anything, or None.
    counts: how many of the people who were looked at, by reason ("permitted" among them).
    """

    portal: str
    at: str
    policy_version: int
    live: bool
    clock_certain: bool
    mode: PortalMode
    fire: bool
    day: str
    calendar_known: bool
    open_to_all: Reason | None
    accepts: tuple[tuple[str, ...], ...]
    granted: int
    looked_at: int
    without_credential: int
    counts: dict[str, int]
    findings: tuple[Finding, ...]
    left_off: int
