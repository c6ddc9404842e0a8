"""Card formats: where a card's facility, number and parity bits lie. Bits are numbered from 0, the first one received.

A card is looked up by all its bits (`tokens.card_key`), so an unknown format works as well as a known one. A format
adds what raw bits cannot say: that a read was damaged on its way (parity), and the numbers printed on the card.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MAX_DIGITS = 12  # of the longest format here, 37 bits


@dataclass(frozen=True, slots=True)
class Parity:
    """One parity bit: with the bits [start, end) it makes the number of ones even or odd."""

    bit: int
    start: int
    end: int
    kind: Literal["even", "odd"]


@dataclass(frozen=True, slots=True)
class CardFormat:
    """A layout of `bits` bits. `facility` and `number` are [start, end); facility is None where there is none."""

    name: str
    bits: int
    facility: tuple[int, int] | None
    number: tuple[int, int]
    parity: tuple[Parity, ...]


@dataclass(frozen=True, slots=True)
class CardNumber:
    """What a format reads from a card: the numbers that are printed on it."""

    format: str
    facility: int | None
    number: int


# Layouts: HID Global, "Understanding card data formats" (H10301, H10302, H10304); 34 bits as the readers sold in China
# as WG34 send them: the card's 32-bit serial number between two parity bits.
_LISTED = (
    CardFormat("h10301", 26, (1, 9), (9, 25), (Parity(0, 1, 13, "even"), Parity(25, 13, 25, "odd"))),
    CardFormat("wiegand-34", 34, None, (1, 33), (Parity(0, 1, 17, "even"), Parity(33, 17, 33, "odd"))),
    CardFormat("h10302", 37, None, (1, 36), (Parity(0, 1, 19, "even"), Parity(36, 18, 36, "odd"))),
    CardFormat("h10304", 37, (1, 17), (17, 36), (Parity(0, 1, 19, "even"), Parity(36, 18, 36, "odd"))),
)
FORMATS = MappingProxyType({one.name: one for one in _LISTED})


def field(value: int, bits: int, start: int, end: int) -> int:
    """Bits [start, end) of the `bits`-bit `value`, bit 0 = the first one received = the most significant."""
    return (value >> (bits - end)) & ((1 << (end - start)) - 1)


def parity_holds(value: int, layout: CardFormat) -> bool:
    """Whether every parity bit of `value` is right."""
    return all(
        (field(value, layout.bits, p.start, p.end).bit_count() + field(value, layout.bits, p.bit, p.bit + 1)) % 2
        == (p.kind == "odd")
        for p in layout.parity
    )


def read_number(value: int, layout: CardFormat) -> CardNumber | None:
    """The numbers on the card, or None where a parity bit is wrong. value: 0 <= value < 2**layout.bits."""
    if not parity_holds(value, layout):
        return None
    facility = None if layout.facility is None else field(value, layout.bits, *layout.facility)
    return CardNumber(layout.name, facility, field(value, layout.bits, *layout.number))


def with_parity(layout: CardFormat, number: int, facility: int = 0) -> int:
    """The value that a card with these printed numbers sends. Raises ValueError for a number that does not fit."""
    value = 0
    for name, given, place in (("facility", facility, layout.facility), ("number", number, layout.number)):
        start, end = place or (0, 0)
        if not 0 <= given < 1 << (end - start):
            raise ValueError(
                f"{layout.name}: expected a {name} of 0 to {(1 << (end - start)) - 1}, got {given}; read it off again"
            )
        value |= given << (layout.bits - end)
    for p in layout.parity:
        if field(value, layout.bits, p.start, p.end).bit_count() % 2 != (p.kind == "odd"):
            value |= 1 << (layout.bits - 1 - p.bit)
    return value


def parity_problem(key: str, accepted: Iterable[str]) -> str | None:
    """Why a card key ("<bits>:<value>") cannot be right, in words, or None. Only lengths that `accepted` names formats
    of are checked; where several have the same length, one that holds is enough."""
    bits, _, digits = key.partition(":")
    layouts = [FORMATS[name] for name in accepted if str(FORMATS[name].bits) == bits]
    if not layouts:
        return None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS and int(digits) < 1 << int(bits)):
        return f"it is no number of {bits} bits"
    if any(parity_holds(int(digits), layout) for layout in layouts):
        return None
    return f"the parity of its {bits} bits is wrong for {' and '.join(sorted(layout.name for layout in layouts))}"
