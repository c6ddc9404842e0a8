"""The state diagrams of docs/portals.md, made from the tables. Run this file to write them into the document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from gateway.model import PortalMode
from gateway.portal import barrier, door, fire, lift, mode, turnstile

DOCUMENT = Path(__file__).parents[2] / "docs" / "portals.md"
Row = tuple[StrEnum, StrEnum, StrEnum, tuple[StrEnum, ...]]  # from, event, to, reports


def rows(table: dict) -> Iterable[Row]:
    for (state, event), row in table.items():
        if not isinstance(row, tuple):
            yield state, event, row, ()
            continue
        after, told = row
        yield state, event, after, told if isinstance(told, tuple) else (() if told is None else (told,))


def mermaid(table: dict, first: StrEnum) -> str:
    """Every row that moves the state or says something; rows of the same way share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, event, after, told in rows(table):
        if state is after and not told:
            continue
        label = f"{event} / {' '.join(told)}" if told else str(event)
        arrows.setdefault((identifier(state), identifier(after)), []).append(label)
    states = dict.fromkeys(state for state, *_ in rows(table))
    lines = ["stateDiagram-v2", *(f'  state "{state}" as {identifier(state)}' for state in states)]
    lines.append(f"  [*] --> {identifier(first)}")
    lines += [f"  {a} --> {b}: {', '.join(labels)}" for (a, b), labels in arrows.items()]
    return "\n".join(lines)


def identifier(state: StrEnum) -> str:
    return state.replace("-", "_")


DIAGRAMS = {
    "door": mermaid(door.TABLE, door.DoorState.SECURE),
    "mode": mermaid(mode.TABLE, PortalMode.LOCKED),
    "fire": mermaid(fire.TABLE, fire.FireState.CLEAR),
    "barrier": mermaid(barrier.TABLE, barrier.BarrierState.UNKNOWN),
    "turnstile": mermaid(turnstile.TABLE, turnstile.TurnstileState.BLOCKED),
    "lift": mermaid(lift.TABLE, lift.LiftState.RESTRICTED),
}
_BLOCK = re.compile(r"(<!-- diagram: ([a-z]+) -->\n```mermaid\n)(.*?)(\n```)", re.DOTALL)


def in_document(text: str) -> dict[str, str]:
    """Diagram by name, as the document has it."""
    return {found[1]: found[2] for found in _BLOCK.findall(text)}


def replaced(text: str) -> str:
    """The document with the diagrams of the tables."""
    return _BLOCK.sub(lambda found: f"{found[1]}{DIAGRAMS[found[2]]}{found[4]}", text)


if __name__ == "__main__":
    DOCUMENT.write_text(replaced(DOCUMENT.read_text("utf-8")), "utf-8")
