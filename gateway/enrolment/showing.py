"""What the desk shows: people by name, portals as the site calls them, days and numbers a person can compare. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from gateway.operations.messages import EnrolledFace, FaceReceipt, FacesAnswer
from pages.language import EN, ZH, Words

LONGEST_DAYS = 366
SHORT_DIGITS = 8  # of an enrolment's number, as the slip and the list show it
SOON_MS = 14 * 86_400_000  # consent that ends within it is marked
Two = tuple[str, str]  # Chinese, English


@dataclass(frozen=True, slots=True)
class Named:
    """How the site calls itself, its zone, and its portals: each (Chinese, English)."""

    zone: tzinfo
    site: Two = ("", "")
    portals: Mapping[str, Two] = field(default_factory=dict)

    def portal(self, name: str, language: str) -> str:
        """The portal's label, its name where it has none."""
        return of(self.portals.get(name, (name, name)), language) or name

    def all(self, names: tuple[str, ...], language: str) -> str:
        return ("、" if language == ZH else ", ").join(self.portal(name, language) for name in names)

    def day(self, ms: int) -> str:
        """`2026-11-22` at the site."""
        return f"{datetime.fromtimestamp(ms / 1000, tz=self.zone):%Y-%m-%d}"

    def moment(self, ms: int) -> str:
        """`2026-11-22 14:03` at the site."""
        return f"{datetime.fromtimestamp(ms / 1000, tz=self.zone):%Y-%m-%d %H:%M}"


def of(two: Two, language: str) -> str:
    return two[0] if language == ZH else two[1]


def names(answer: FacesAnswer, language: str) -> dict[str, str]:
    """Id to what a person calls the holder; the id stands beside it only where two are called the same."""
    called = {one.id: of((one.zh, one.en), language).strip() or one.id for one in answer.holders}
    often = Counter(called.values())
    return {key: name if often[name] == 1 else f"{name} ({key})" for key, name in called.items()}


def chosen(typed: str, answer: FacesAnswer) -> list[str]:
    """The ids of the holders that may be meant: the shown name in either language, or the id. One is an answer."""
    wanted = typed.strip().casefold()
    if any(one.id == wanted for one in answer.holders):
        return [wanted]
    shown = {key for language in (ZH, EN) for key, name in names(answer, language).items() if name.casefold() == wanted}
    plain = {one.id for one in answer.holders if wanted in (one.zh.strip().casefold(), one.en.strip().casefold())}
    return sorted(shown if len(shown) == 1 else shown | plain) if wanted else []


def short(enrolment: str) -> str:
    """`06CF-E979`: enough to find one among some thousands, and short enough to read out."""
    digits = enrolment[:SHORT_DIGITS].upper()
    return f"{digits[:4]}-{digits[4:]}"


def whole(enrolment: str) -> str:
    """All 32 digits in fours."""
    return "-".join(enrolment.upper()[at : at + 4] for at in range(0, len(enrolment), 4))


def asked_number(typed: str) -> str:
    """The digits that were typed from a slip, "" where they are none: at least SHORT_DIGITS, hexadecimal."""
    digits = "".join(c for c in typed.lower() if c not in " -–—")
    return digits if len(digits) >= SHORT_DIGITS and not set(digits) - set("0123456789abcdef") else ""


def found(answer: FacesAnswer, digits: str) -> FaceReceipt | EnrolledFace | None:
    """What has this number, or begins with it."""
    things: tuple[FaceReceipt | EnrolledFace, ...] = (*answer.erased, *answer.faces)
    return next((one for one in things if digits and one.enrolment.startswith(digits)), None)


def assessed(answer: FacesAnswer, t: Words, named: Named, now: datetime, model: str) -> list[tuple[str, object]]:
    """The rows of the impact assessment that the site can fill in itself."""
    language = t.language
    portals = tuple(sorted({portal for face in answer.faces for portal in face.portals} or set(answer.portals)))
    others = sorted({face.other_way for face in answer.faces})
    return [
        ("site", of(named.site, language) or "-"),
        ("date", f"{now:%Y-%m-%d}"),
        ("purpose", t("form.purpose.value")),
        ("data", t("form.data.value", most=8)),
        ("model", model[:16]),
        ("portals", named.all(portals, language) or "-"),
        ("people", len(answer.faces)),
        ("minors", sum(face.below_14 for face in answer.faces)),
        ("others", (";" if language != ZH else "；").join(others) or "-"),
        ("retention", t("form.retention.value", days=LONGEST_DAYS)),
        ("erasures", answer.erased[0].number if answer.erased else 0),
        ("alone", t("desk.yes") if answer.alone else t("desk.no")),
        ("filing", t("form.filing.value", count=len(answer.faces), limit=f"{answer.filing_threshold:,}")),
    ]
