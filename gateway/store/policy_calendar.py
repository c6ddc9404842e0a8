"""Holidays and adjusted working days of the PRC, from the package `chinesecalendar`, and the policy's edits on top."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from types import MappingProxyType

from gateway.access.schedule import Calendar, DayKind
from gateway.store.policy_document import CalendarTable


@cache
def official() -> Mapping[date, DayKind]:
    """Date -> holiday or workday, as the State Council announced it for each year this release knows."""
    from chinese_calendar.constants import holidays, workdays

    days: dict[date, DayKind] = dict.fromkeys(holidays, "holiday")
    days.update(dict.fromkeys(workdays, "workday"))
    return MappingProxyType(days)


def official_years() -> frozenset[int]:
    """The years that are announced; the next one comes each November, with a release of `chinesecalendar`."""
    return frozenset(day.year for day in official())


def compiled(table: CalendarTable) -> Calendar:
    """The calendar that schedules follow."""
    days: dict[date, DayKind] = dict(official()) if table.base == "prc" else {}
    for edit in table.day:
        if edit.kind == "ordinary":
            days.pop(edit.date, None)
        else:
            days[edit.date] = edit.kind
    return Calendar(MappingProxyType(days), official_years() if table.base == "prc" else frozenset())
