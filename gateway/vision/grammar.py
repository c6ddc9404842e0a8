"""What can be a registration number after GA 36-2018, and why something cannot. Pure.

Only the kinds the reader knows: seven characters (blue, yellow) and eight (green, new energy).
"""

from __future__ import annotations

from enum import StrEnum

PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # GA 36-2018: I and O are not used
ENERGY = "ABCDEFGHJK"  # new energy: A-E pure electric, F-K (without I) others
LENGTHS = {"blue": 7, "yellow": 7, "green": 8}


class Refusal(StrEnum):
    """Why a text is no registration number. Machine code; `sentence` has the words."""

    NOTHING = "nothing"
    LENGTH = "length"
    KIND = "kind"
    PROVINCE = "province"
    AUTHORITY = "authority"
    CHARACTER = "character"
    SERIAL = "serial"
    ENERGY = "energy"


_SENTENCES = {
    Refusal.NOTHING: "nothing legible is there",
    Refusal.LENGTH: "a number has 7 characters, or 8 on a green plate",
    Refusal.KIND: "this kind of plate is not known",
    Refusal.PROVINCE: "the first character is not a province",
    Refusal.AUTHORITY: "the second character is not a letter A-Z without I and O",
    Refusal.CHARACTER: "the serial has a character that is not a digit or a letter A-Z without I and O",
    Refusal.SERIAL: "a serial without any digit is not issued",
    Refusal.ENERGY: "a green serial is a letter A-K, a digit or letter and four digits, or five digits and a letter",
}


def sentence(refusal: Refusal) -> str:
    """The words for a refusal."""
    return _SENTENCES[refusal]


def refusal(text: str, kind: str) -> Refusal | None:
    """Why `text` cannot be on a plate of `kind`; None if it can."""
    if not text:
        return Refusal.NOTHING
    if kind not in LENGTHS:
        return Refusal.KIND
    if len(text) != LENGTHS[kind]:
        return Refusal.LENGTH
    if text[0] not in PROVINCES:
        return Refusal.PROVINCE
    if text[1] not in LETTERS:
        return Refusal.AUTHORITY
    serial = text[2:]
    if any(c not in DIGITS and c not in LETTERS for c in serial):
        return Refusal.CHARACTER
    if not any(c in DIGITS for c in serial):
        return Refusal.SERIAL
    if kind == "green" and not any(all(map(str.__contains__, form, serial)) for form in ENERGY_FORMS):
        return Refusal.ENERGY
    return None


# The serial of a new energy plate, position by position: small vehicles, then large ones.
ENERGY_FORMS: tuple[tuple[str, ...], ...] = (
    (ENERGY, DIGITS + LETTERS, DIGITS, DIGITS, DIGITS, DIGITS),
    (DIGITS, DIGITS, DIGITS, DIGITS, DIGITS, ENERGY),
)
# What may stand at each position, for each form that a reading may take.
FORMS: tuple[tuple[str, ...], ...] = (
    (PROVINCES, LETTERS, *(DIGITS + LETTERS,) * 5),
    *((PROVINCES, LETTERS, *serial) for serial in ENERGY_FORMS),
)
