"""Somebody on site with the right to operate the gateway: locks the site down, sets a portal's mode, resets fire."""

from __future__ import annotations

from sim.action import Action
from sim.door import Record
from sim.power import PowerSwitches
from sim.step import FACES

GATEWAY = "gateway"


async def ask(action: Action, power: PowerSwitches, record: Record) -> None:
    """Carry the operation out; a refusal by the gateway is a fact, no failure. Raises ActionError."""
    details = {}
    if action.do == "set_mode":
        details = {"portal": action.door or action.barrier or "", "mode": str(action.mode)}
    elif action.do in FACES:
        details = {"who": action.who or "", "portal": action.door or ""}
    record("operation.asked", action.do, **details)
    refusal = await power.operate(action.do, **details)
    if refusal is None:
        record("operation.done", action.do, **details)
    else:
        record("operation.refused", action.do, cause=refusal, **details)
