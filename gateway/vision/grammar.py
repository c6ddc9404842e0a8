"""What can be a registration number after GA 36-2018, and why something cannot. Pure.

A form says, place by place, which characters may stand there. Each kind of plate has one form; several share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # GA 36-2018: I and O are not used
ENERGY = "ABCDEFGHJK"  # new energy: A-E pure electric, F-K (without I) others
MARKS = "警学挂港澳使领"  # police, learner, trailer, Hong Kong, Macau, embassy, consulate
SERIAL = DIGITS + LETTERS
MOST_LETTERS = 2  # of a serial of five characters: GA 36's three rules of numbering are digits only, one letter, two

Form = tuple[str, ...]
_ORDINARY: Form = (PROVINCES, LETTERS, *(SERIAL,) * 5)
FORM_OF: Mapping[str, Form] = MappingProxyType(
    {
        "blue": _ORDINARY,
        "yellow": _ORDINARY,
        "yellow-two-row": _ORDINARY,
        "green": (PROVINCES, LETTERS, ENERGY, SERIAL, *(DIGITS,) * 4),
        "green-large": (PROVINCES, LETTERS, *(DIGITS,) * 5, ENERGY),
        "police": (PROVINCES, LETTERS, *(SERIAL,) * 4, "警"),
        "embassy": ("使", *(DIGITS,) * 6),
        "consulate": (PROVINCES, *(DIGITS,) * 5, "领"),
        "hong-kong-macau": ("粤", "Z", *(SERIAL,) * 4, "港澳"),
        "learner": (PROVINCES, LETTERS, *(SERIAL,) * 4, "学"),
        "trailer": (PROVINCES, LETTERS, *(SERIAL,) * 4, "挂"),
    }
)
FORMS: tuple[Form, ...] = tuple(dict.fromkeys(FORM_OF.values()))
TWO_ROWS = ("yellow-two-row", "trailer")


class Refusal(StrEnum):
    """Why a text is no registration number. Machine code; `sentence` has the words."""

    NOTHING = "nothing"
    LENGTH = "length"
    KIND = "kind"
    PROVINCE = "province"
    AUTHORITY = "authority"
    CHARACTER = "character"
    MARK = "mark"
    SERIAL = "serial"
    ENERGY = "energy"
    LETTERS = "letters"


_SENTENCES = {
    Refusal.NOTHING: "nothing legible is there",
    Refusal.LENGTH: "a number has 7 characters, or 8 on a green plate",
    Refusal.KIND: "this kind of plate is not known",
    Refusal.PROVINCE: "the first character is not a province (使 on an embassy's plate)",
    Refusal.AUTHORITY: "the second character is not a letter A-Z without I and O",
    Refusal.CHARACTER: "the serial has a character that does not stand there on this kind of plate",
    Refusal.MARK: "the last character is not the mark of this kind of plate",
    Refusal.SERIAL: "a serial without any digit is not issued",
    Refusal.LETTERS: "a serial of five has at most two letters",
    Refusal.ENERGY: "a green serial is a letter A-K, a digit or letter and four digits, or five digits and a letter",
}


def sentence(refusal: Refusal) -> str:
    """The words for a refusal."""
    return _SENTENCES[refusal]


def refusal(text: str, kind: str) -> Refusal | None:
    """Why `text` cannot be on a plate of `kind`; None if it can."""
    if not text:
        return Refusal.NOTHING
    form = FORM_OF.get(kind)
    if form is None:
        return Refusal.KIND
    if len(text) != len(form):
        return Refusal.LENGTH
    for place, (character, allowed) in enumerate(zip(text, form, strict=True)):
        if character not in allowed:
            return _wrong_at(place, character, form)
    if not any(character in DIGITS for character in text):
        return Refusal.SERIAL
    if form is _ORDINARY and sum(character in LETTERS for character in text[2:]) > MOST_LETTERS:
        return Refusal.LETTERS
    return None


def kinds_of(text: str) -> tuple[str, ...]:
    """The kinds of plates that may say `text`, in the order of FORM_OF."""
    return tuple(kind for kind in FORM_OF if refusal(text, kind) is None)


def _wrong_at(place: int, character: str, form: Form) -> Refusal:
    if place == 0:
        return Refusal.PROVINCE
    if place == 1 and form[1] in (LETTERS, "Z"):
        return Refusal.AUTHORITY
    if form[place] in ("警", "学", "挂", "领", "港澳"):
        return Refusal.MARK
    if len(form) == 8 and character in SERIAL:
        return Refusal.ENERGY
    return Refusal.CHARACTER
