"""The kinds of registration plates after GA 36-2018, and what each may say. PURE: no drawing here.

Characters and forms: GA 36-2018, 5.9 and table 1, as restated in public rule collections (docs/simulator.md, "Plates").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and no O: they read as 1 and 0
ENERGY = "ABCDEFGHJK"  # new energy: A-E pure electric, F-K others


class PlateKind(StrEnum):
    """The kinds that can be drawn."""

    BLUE = "blue"  # small vehicles
    YELLOW = "yellow"  # large vehicles, front
    YELLOW_TWO_ROW = "yellow-two-row"  # large vehicles, rear
    GREEN = "green"  # new energy, small: white to green
    GREEN_LARGE = "green-large"  # new energy, large: yellow, then green
    POLICE = "police"  # white, a red 警
    EMBASSY = "embassy"  # black, a red 使
    CONSULATE = "consulate"  # black, a red 领
    CROSS_BORDER = "hong-kong-macau"  # black, 港 or 澳
    LEARNER = "learner"  # yellow, 学
    TRAILER = "trailer"  # yellow, two rows, 挂


_PLACE, _SERIAL = f"[{PROVINCES}][{LETTERS}]", f"[{DIGITS}{LETTERS}]"
_ORDINARY = f"{_PLACE}(?!(?:.*[{LETTERS}]){{3}}){_SERIAL}{{5}}"  # at most two letters among the five
FORMS: Mapping[PlateKind, re.Pattern[str]] = MappingProxyType(
    {
        PlateKind.BLUE: re.compile(_ORDINARY),
        PlateKind.YELLOW: re.compile(_ORDINARY),
        PlateKind.YELLOW_TWO_ROW: re.compile(_ORDINARY),
        PlateKind.GREEN: re.compile(f"{_PLACE}[{ENERGY}]{_SERIAL}[{DIGITS}]{{4}}"),
        PlateKind.GREEN_LARGE: re.compile(f"{_PLACE}[{DIGITS}]{{5}}[{ENERGY}]"),
        PlateKind.POLICE: re.compile(f"{_PLACE}{_SERIAL}{{4}}警"),
        PlateKind.EMBASSY: re.compile(f"使[{DIGITS}]{{6}}"),
        PlateKind.CONSULATE: re.compile(f"[{PROVINCES}]{_SERIAL}{{5}}领"),
        PlateKind.CROSS_BORDER: re.compile(f"粤Z{_SERIAL}{{4}}[港澳]"),
        PlateKind.LEARNER: re.compile(f"{_PLACE}{_SERIAL}{{4}}学"),
        PlateKind.TRAILER: re.compile(f"{_PLACE}{_SERIAL}{{4}}挂"),
    }
)


def can_say(kind: PlateKind, text: str) -> bool:
    """Whether `text` may stand on a plate of `kind`."""
    return FORMS[kind].fullmatch(text) is not None


def kind_of(text: str) -> PlateKind | None:
    """The first kind in the order of FORMS on which `text` may stand: blue where it could be yellow. None for none."""
    return next((kind for kind in FORMS if can_say(kind, text)), None)
