"""Moments as people say them: "Sunday 15:00", "yesterday 23:10", "明天 8:00", "2026-11-22 15:00"."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from runtime.errors import UserError

_DAYS = {
    **{
        name: i for i, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
    },
    **{name: i for i, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))},
    **{f"{week}{day}": i for week in ("周", "星期", "礼拜") for i, day in enumerate("一二三四五六日")},
    **{f"{week}天": 6 for week in ("周", "星期", "礼拜")},
}
_NEAR = {"yesterday": -1, "today": 0, "tomorrow": 1, "昨天": -1, "今天": 0, "明天": 1}
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(am|pm|点)?")
EXAMPLES = '"Sunday 15:00", "yesterday 23:10", "周日 15:00" or 2026-11-22T15:00'


def parse(text: str, now: datetime) -> datetime:
    """The moment that `text` means at the aware local time `now`, in the same zone.

    A weekday alone is the next one, today included, until its hour has passed; "last Sunday" is the one before. A date
    with an offset is taken as it is. Raises UserError.
    """
    words = text.strip().lower()
    if words in ("now", "现在"):
        return now
    if re.match(r"\d{4}-", words):
        return _iso(text.strip(), now)
    day, _, clock = words.rpartition(" ")
    if not day:
        day, clock = re.match(r"(\D*)(.*)", words).groups()  # type: ignore[union-attr]  # matches everything
    day = day.strip()
    past = day.startswith(("last ", "上"))
    day = day.removeprefix("last ").removeprefix("next ").removeprefix("on ").removeprefix("上").strip()
    at = _clock(clock, text)
    if day in ("", *_NEAR):
        return _on(now, now.date() + timedelta(days=_NEAR.get(day, 0)), at)
    if day not in _DAYS:
        raise _unclear(text)
    ahead = (_DAYS[day] - now.weekday()) % 7
    found = _on(now, now.date() + timedelta(days=ahead), at)
    if past:
        return found if found < now else _on(now, found.date() - timedelta(days=7), at)
    return found if found >= now else _on(now, found.date() + timedelta(days=7), at)


def _iso(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _unclear(text) from None
    return moment.replace(tzinfo=now.tzinfo) if moment.tzinfo is None else moment.astimezone(now.tzinfo)


def _clock(clock: str, text: str) -> time:
    found = _CLOCK.fullmatch(clock.strip())
    if not found:
        raise _unclear(text)
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise _unclear(text)
        hour = hour % 12 + (12 if found[3] == "pm" else 0)
    if hour > 23 or minute > 59:
        raise _unclear(text)
    return time(hour, minute)


def _on(now: datetime, day: date, at: time) -> datetime:
    return datetime.combine(day, at, now.tzinfo)


def _unclear(text: str) -> UserError:
    return UserError(f"--at: expected a moment such as {EXAMPLES}, got {text[:60]!r}; write it so")
