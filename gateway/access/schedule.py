"""Weekly schedules of local wall time, the calendar of holidays and adjusted working days, and exceptions by date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Literal

MINUTES_PER_DAY = 24 * 60
MONDAY_TO_FRIDAY = frozenset(range(5))
EVERY_DAY = frozenset(range(7))
HOLIDAY = 7  # in Span.weekdays: a public holiday, whatever weekday it falls on
WORKDAY = 8  # in Span.weekdays: a Saturday or Sunday that is worked (an adjusted working day)

DayKind = Literal["workday", "holiday"]
Opening = tuple[int, int]  # local minutes [start, end); an end at or before the start runs past midnight
_YESTERDAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days that are not what their weekday says: `holiday`, or `workday` for a weekend day that is worked.

    `days` is what the official calendar and the policy's own edits say together; `known_years` are the years for which
    the official part was available. In any other year the ordinary week holds, but for the edits.
    """

    days: Mapping[date, DayKind] = field(default_factory=lambda: MappingProxyType({}))
    known_years: frozenset[int] = frozenset()

    def day_type(self, day: date) -> int:
        """0 (Monday) to 6, HOLIDAY or WORKDAY. A `workday` entry on a Monday to Friday is just that weekday."""
        kind = self.days.get(day)
        if kind == "holiday":
            return HOLIDAY
        weekday = day.weekday()
        return WORKDAY if kind == "workday" and weekday not in MONDAY_TO_FRIDAY else weekday


ORDINARY_WEEK = Calendar()


@dataclass(frozen=True, slots=True)
class Span:
    """Local minutes [start, end) on `weekdays` (Monday = 0 to 6, HOLIDAY, WORKDAY). `end` may be 1440; an end at or
    before the start runs past midnight into the following day, whatever that day is.

    A span of all five of Monday to Friday also covers adjusted working days, one of all seven also holidays; any other
    span covers them only where it names them.
    """

    weekdays: frozenset[int]
    start_minute: int
    end_minute: int

    def covers(self, day_type: int) -> bool:
        """Whether the span begins on such a day (`Calendar.day_type`)."""
        if day_type in self.weekdays:
            return True
        if day_type == WORKDAY:
            return self.weekdays >= MONDAY_TO_FRIDAY
        return day_type == HOLIDAY and self.weekdays >= EVERY_DAY

    def contains(self, now: datetime) -> bool:
        """Whether the aware local time `now` lies in the span in an ordinary week."""
        minute = now.hour * 60 + now.minute
        if self.end_minute > self.start_minute:
            return now.weekday() in self.weekdays and self.start_minute <= minute < self.end_minute
        yesterday = (now.weekday() - 1) % 7
        return (now.weekday() in self.weekdays and minute >= self.start_minute) or (
            yesterday in self.weekdays and minute < self.end_minute
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """A named set of spans. `always` ignores clock and calendar, and so stays usable when the clock is uncertain.

    holidays: "follow" = holidays and adjusted working days of the policy's calendar count, "ignore" = only weekdays do.
    exceptions: what is open on one date instead of the spans; () = closed on that date.
    """

    name: str
    spans: tuple[Span, ...] = ()
    always: bool = False
    holidays: Literal["follow", "ignore"] = "follow"
    exceptions: Mapping[date, tuple[Opening, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def allows(self, now: datetime, calendar: Calendar = ORDINARY_WEEK) -> bool:
        """Whether the schedule is open at the aware local time `now`."""
        if self.always:
            return True
        if not self.exceptions and (not calendar.days or self.holidays == "ignore"):
            return any(span.contains(now) for span in self.spans)
        today = now.date()
        minute = now.hour * 60 + now.minute
        if any(start <= minute and (minute < end or end <= start) for start, end in self._openings(today, calendar)):
            return True
        yesterday = self._openings(today - _YESTERDAY, calendar)
        return any(end <= start and minute < end for start, end in yesterday)

    def closed_by_exception(self, now: datetime) -> bool:
        """Whether an exception closes the whole local date of `now`."""
        return self.exceptions.get(now.date()) == ()

    def _openings(self, day: date, calendar: Calendar) -> Iterable[Opening]:
        excepted = self.exceptions.get(day)
        if excepted is not None:
            return excepted
        day_type = calendar.day_type(day) if self.holidays == "follow" else day.weekday()
        return [(span.start_minute, span.end_minute) for span in self.spans if span.covers(day_type)]


ALWAYS = Schedule("always", always=True)
