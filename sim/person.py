"""What people do at a door."""

from __future__ import annotations

from sim.door import Door, Record
from sim.scenario import Card
from sim.timeline import Timeline

KEY_MS = 180.0  # between two keys
TO_THE_KEYPAD_MS = 250.0
PORT = "reader"


def wiegand(card: Card) -> dict[str, object]:
    """The message that stands for the card's pulse train: all bits, first bit first, padded with zeros to bytes."""
    length = (card.bits + 7) // 8
    data = (card.number << (8 * length - card.bits)).to_bytes(length, "big")
    return {"op": "wiegand", "port": PORT, "bits": card.bits, "data": data.hex()}


def present_card(who: str, card: Card, door: Door, record: Record) -> bool:
    """Hold a card to the reader and wait to pass. False when the reader is dead."""
    record("card.presented", door.name, who=who, card=card.id)
    if not door.board.send(wiegand(card)):
        record("reader.dead", door.name, who=who)
        return False
    door.wait_to_pass()
    return True


async def enter_pin(who: str, pin: str, door: Door, timeline: Timeline, record: Record) -> None:
    """Type a PIN and enter, key by key, and wait to pass."""
    await timeline.sleep(TO_THE_KEYPAD_MS)
    record("keys.entered", door.name, who=who, count=len(pin))
    door.wait_to_pass()
    for key in f"{pin}#":
        if not door.board.send({"op": "keys", "port": PORT, "keys": key}):
            record("reader.dead", door.name, who=who)
            return
        await timeline.sleep(KEY_MS)
