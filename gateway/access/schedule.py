"""Weekly schedules: spans of local wall time on days of the week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """Local minutes [start, end) on `weekdays` (Monday = 0). `end` may be 1440; an end at or before the start runs
    past midnight into the following day."""

    weekdays: frozenset[int]
    start_minute: int
    end_minute: int

    def contains(self, now: datetime) -> bool:
        """Whether the aware local time `now` lies in the span."""
        minute = now.hour * 60 + now.minute
        if self.end_minute > self.start_minute:
            return now.weekday() in self.weekdays and self.start_minute <= minute < self.end_minute
        yesterday = (now.weekday() - 1) % 7
        return (now.weekday() in self.weekdays and minute >= self.start_minute) or (
            yesterday in self.weekdays and minute < self.end_minute
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """A named set of spans. `always` ignores the clock, and so stays usable when the clock is uncertain."""

    name: str
    spans: tuple[Span, ...] = ()
    always: bool = False

    def allows(self, now: datetime) -> bool:
        """Whether the schedule is open at the aware local time `now`."""
        return self.always or any(span.contains(now) for span in self.spans)


ALWAYS = Schedule("always", always=True)
