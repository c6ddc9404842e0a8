"""Somebody on site with the right to operate the gateway: locks the site down, sets a portal's mode, resets fire,
revokes a card."""

from __future__ import annotations

from sim.action import Action
from sim.door import Record
from sim.power import PowerSwitches
from sim.scenario import Card
from sim.step import FACES

GATEWAY = "gateway"


async def ask(action: Action, power: PowerSwitches, record: Record, card: Card | None = None) -> None:
    """Carry the operation out; a refusal by the gateway is a fact, no failure. `card`: the one to revoke.

    Raises ActionError.
    """
    details: dict[str, str] = {}
    asked: dict[str, str] = {}
    if action.do == "set_mode":
        details = {"portal": action.door or action.barrier or "", "mode": str(action.mode)}
    elif card is not None:
        details = {"who": action.who or "", "card": card.id}
        asked = {"who": action.who or "", "credential": f"card:{card.bits}:{card.number}"}
    elif action.do in FACES:
        details = {"who": action.who or "", "portal": action.door or ""}
    record("operation.asked", action.do, **details)
    refusal = await power.operate(action.do, **(asked or details))
    if refusal is None:
        record("operation.done", action.do, **details)
    else:
        record("operation.refused", action.do, cause=refusal, **details)
