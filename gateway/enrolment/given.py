"""What was filled in on the consent's page, and the first thing that is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from gateway.enrolment import showing
from gateway.enrolment.showing import LONGEST_DAYS, Two
from gateway.operations.messages import FacesAnswer
from pages.language import Words

EMPTY: dict[str, object] = {
    "holder": "", "portals": [], "until": "", "other_way": "", "asked_by": "", "guardian": "", "below_14": False,
    "replace": False, "agreed": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A consent that was given, whose pictures are being taken. called: the holder's name, (Chinese, English); session:
    the window that takes them."""

    holder: str
    called: Two
    session: str
    portals: tuple[str, ...]
    asked_by: str
    other_way: str
    until: datetime
    below_14: bool
    guardian: str
    replace: bool


def end_of(day: str, now: datetime) -> datetime | None:
    """The end of that day in `now`'s zone, None for what is no day ahead within a year."""
    try:
        date = datetime.strptime(day, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        return None
    ends = datetime.combine(date, time(23, 59, 59), now.tzinfo)
    return ends if now < ends < now + timedelta(days=LONGEST_DAYS) else None


def problem_of(given: dict[str, object], t: Words, answer: FacesAnswer, meant: list[str]) -> str:
    """What is wrong with the consent, in the visitor's language; "" where nothing is."""
    for field, key in (("holder", "new.holder"), ("portals", "new.portals"), ("other_way", "new.other"),
                       ("asked_by", "new.asked")):  # fmt: skip
        if not given[field]:
            return t("new.refused", text=t(key))
    if len(meant) != 1:
        return t("new.holder.several" if meant else "new.holder.none", name=given["holder"])
    if given["below_14"] and not given["guardian"]:
        return t("new.guardian.none")
    portals = given["portals"]
    if not isinstance(portals, list) or set(portals) - set(answer.portals):
        return t("new.portals.gone")
    if not given["replace"] and any(one.holder == meant[0] for one in answer.faces):
        return t("refusal.face-enrolled", name=showing.names(answer, t.language)[meant[0]])
    return "" if given["agreed"] else t("new.agreed.none")
