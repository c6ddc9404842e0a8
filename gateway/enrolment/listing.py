"""The list of who is enrolled: newest first, a page at a time, searched by name, id or number. No I/O."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.enrolment import showing
from gateway.operations.messages import EnrolledFace, FacesAnswer

PAGE_ROWS = 50
MAX_TYPED = 120
MOST_SEARCHES = 64
BEFORE = r"^[0-9]{1,16}-[0-9a-f]{32}$"


@dataclass(frozen=True, slots=True)
class Part:
    """One page of `of` enrolments. first, last: their places, from 1. older: what the next page comes after, "" at the
    end."""

    faces: tuple[EnrolledFace, ...]
    first: int
    last: int
    of: int
    older: str


def part(faces: Iterable[EnrolledFace], before: str = "") -> Part:
    """The newest PAGE_ROWS of `faces`, or those older than `before`, which is the `place` of one that may be gone."""
    ordered = sorted(faces, key=_age)
    if before:
        given, _, enrolment = before.partition("-")
        skipped = sum(_age(one) <= (-int(given), enrolment) for one in ordered)
    else:
        skipped = 0
    shown = tuple(ordered[skipped : skipped + PAGE_ROWS])
    more = len(ordered) > skipped + PAGE_ROWS
    return Part(shown, skipped + 1, skipped + len(shown), len(ordered), place(shown[-1]) if more else "")


def place(face: EnrolledFace) -> str:
    """Where it stands in the list, without its holder: `1790000000000-06cf...`."""
    return f"{face.given_ms}-{face.enrolment}"


def _age(face: EnrolledFace) -> tuple[int, str]:
    return -face.given_ms, face.enrolment


def matching(answer: FacesAnswer, typed: str) -> list[EnrolledFace]:
    """Whose name in either language, id or guardian contains what was typed, or whose number begins with it."""
    wanted, digits = folded(typed), showing.asked_number(unicodedata.normalize("NFKC", typed))
    called = {one.id: (folded(one.zh), folded(one.en)) for one in answer.holders}
    return [
        face
        for face in answer.faces
        if any(wanted in one for one in (*called.get(face.holder, ()), folded(face.holder), folded(face.guardian)))
        or (digits and face.enrolment.startswith(digits))
    ]


def folded(text: str) -> str:
    """As it is compared: without case, width and doubled spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Searches:
    """What windows searched for, in memory under random numbers: an address with a name would be logged, and stand in
    the browser's history. The oldest is forgotten where there are MOST_SEARCHES."""

    def __init__(self) -> None:
        self._typed: dict[tuple[str, str], str] = {}

    def keep(self, session: str, typed: str) -> str:
        """The number under which this window finds it again."""
        while len(self._typed) >= MOST_SEARCHES:
            del self._typed[next(iter(self._typed))]
        number = secrets.token_hex(8)
        self._typed[session, number] = typed
        return number

    def find(self, session: str, number: str) -> str | None:
        """What was typed; None for another window's, and for what was forgotten."""
        return self._typed.get((session, number))
