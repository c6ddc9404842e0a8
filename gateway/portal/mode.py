"""What a portal is told to be, as a table. Fire is not in it: it stands above every mode (`fire.py`).

What was asked last counts: a lockdown ends an emergency opening, and an emergency opening asked for during a lockdown
opens that one portal. The schedule only ever moves a portal between locked and unlocked.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.model import PortalMode


class ModeEvent(StrEnum):
    """What can happen to a portal's mode."""

    SCHEDULE_OPENS = "schedule-opens"  # the portal's unlock schedule begins
    SCHEDULE_CLOSES = "schedule-closes"
    LOCK = "lock"  # an operator: back to the ordinary mode
    UNLOCK = "unlock"  # an operator: open to all until it is locked, or the schedule closes
    DEMAND_PIN = "demand-pin"  # an operator: every card needs its PIN
    LOCK_DOWN = "lock-down"  # an operator, of this portal or of the whole site
    END_LOCKDOWN = "end-lockdown"  # of the whole site
    OPEN_IN_EMERGENCY = "open-in-emergency"  # an operator


_M, _E = PortalMode, ModeEvent
_OPERATOR = {
    _E.LOCK: _M.LOCKED,
    _E.UNLOCK: _M.UNLOCKED,
    _E.DEMAND_PIN: _M.CARD_AND_PIN,
    _E.LOCK_DOWN: _M.LOCKDOWN,
    _E.OPEN_IN_EMERGENCY: _M.EMERGENCY_OPEN,
}

# (mode, event) -> mode: an operator's word holds in every mode; the rest is written out.
TABLE: dict[tuple[PortalMode, ModeEvent], PortalMode] = {
    **{(mode, event): after for mode in PortalMode for event, after in _OPERATOR.items()},
    (_M.LOCKED, _E.SCHEDULE_OPENS): _M.UNLOCKED,
    (_M.LOCKED, _E.SCHEDULE_CLOSES): _M.LOCKED,
    (_M.LOCKED, _E.END_LOCKDOWN): _M.LOCKED,
    (_M.UNLOCKED, _E.SCHEDULE_OPENS): _M.UNLOCKED,
    (_M.UNLOCKED, _E.SCHEDULE_CLOSES): _M.LOCKED,
    (_M.UNLOCKED, _E.END_LOCKDOWN): _M.UNLOCKED,
    (_M.CARD_AND_PIN, _E.SCHEDULE_OPENS): _M.CARD_AND_PIN,
    (_M.CARD_AND_PIN, _E.SCHEDULE_CLOSES): _M.CARD_AND_PIN,
    (_M.CARD_AND_PIN, _E.END_LOCKDOWN): _M.CARD_AND_PIN,
    (_M.LOCKDOWN, _E.SCHEDULE_OPENS): _M.LOCKDOWN,
    (_M.LOCKDOWN, _E.SCHEDULE_CLOSES): _M.LOCKDOWN,
    (_M.LOCKDOWN, _E.END_LOCKDOWN): _M.LOCKED,  # the caller then asks the schedule
    (_M.EMERGENCY_OPEN, _E.SCHEDULE_OPENS): _M.EMERGENCY_OPEN,
    (_M.EMERGENCY_OPEN, _E.SCHEDULE_CLOSES): _M.EMERGENCY_OPEN,
    (_M.EMERGENCY_OPEN, _E.END_LOCKDOWN): _M.EMERGENCY_OPEN,
}

EVENT_OF: dict[PortalMode, ModeEvent] = {after: event for event, after in _OPERATOR.items()}


def free(mode: PortalMode, fire: bool) -> bool:
    """Whether anybody may pass without being asked."""
    return fire or mode in (PortalMode.UNLOCKED, PortalMode.EMERGENCY_OPEN)
