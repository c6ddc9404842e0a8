"""Spans, holidays, adjusted working days and exceptions, beyond the rows of cases.md."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from chinese_calendar.constants import holidays, workdays
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.schedule import ALWAYS, HOLIDAY, ORDINARY_WEEK, WORKDAY, Calendar, Schedule, Span

SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICIAL = Calendar(
    dict.fromkeys(holidays, "holiday") | dict.fromkeys(workdays, "workday"), frozenset(day.year for day in holidays)
)
WEEK = [datetime(2026, 11, 23, tzinfo=SHANGHAI) + timedelta(minutes=i) for i in range(0, 7 * 24 * 60, 7)]


@given(st.integers(0, 7 * 24 * 60 - 1))
def test_a_span_past_midnight_covers_the_same_minutes_as_its_two_halves(minute):
    now = datetime(2026, 11, 23 + minute // 1440, minute // 60 % 24, minute % 60, tzinfo=SHANGHAI)
    night = Schedule("night", (Span(frozenset({0}), 22 * 60, 6 * 60),))
    halves = Schedule("halves", (Span(frozenset({0}), 22 * 60, 1440), Span(frozenset({1}), 0, 6 * 60)))
    assert night.allows(now) == halves.allows(now)


@given(
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.integers(0, 60 * 24 * 60),
)
def test_a_calendar_that_says_nothing_of_these_days_changes_nothing(weekdays, start, end, minutes):
    now = datetime(2026, 10, 1, tzinfo=SHANGHAI) + timedelta(minutes=minutes)
    schedule = Schedule("s", (Span(weekdays, start, end),))
    elsewhere = Calendar({date(2030, 1, 1): "holiday"})
    assert schedule.allows(now, elsewhere) == schedule.allows(now, ORDINARY_WEEK) == schedule.allows(now)


def test_a_night_that_begins_before_a_holiday_runs_into_it_and_one_on_it_does_not_begin():
    night = Schedule("night", (Span(frozenset(range(5)), 22 * 60, 6 * 60),))
    assert night.allows(datetime(2026, 10, 1, 5, 59, tzinfo=SHANGHAI), OFFICIAL)  # began on Wednesday 30 September
    assert not night.allows(datetime(2026, 10, 1, 6, 0, tzinfo=SHANGHAI), OFFICIAL)
    assert not night.allows(datetime(2026, 10, 1, 23, 0, tzinfo=SHANGHAI), OFFICIAL)
    assert not night.allows(datetime(2026, 10, 2, 5, 0, tzinfo=SHANGHAI), OFFICIAL)


def test_the_official_calendar_of_2026_as_the_state_council_published_it():
    assert OFFICIAL.day_type(date(2026, 10, 1)) == HOLIDAY
    assert OFFICIAL.day_type(date(2026, 10, 7)) == HOLIDAY
    assert OFFICIAL.day_type(date(2026, 10, 8)) == 3
    assert OFFICIAL.day_type(date(2026, 10, 10)) == WORKDAY
    assert OFFICIAL.day_type(date(2026, 11, 28)) == 5
    assert 2026 in OFFICIAL.known_years
    assert OFFICIAL.day_type(date(2040, 10, 1)) == 0  # a year nobody has published: the ordinary week


@pytest.mark.parametrize("weekday", range(7))
def test_which_spans_cover_special_days(weekday):
    assert not Span(frozenset({weekday}), 0, 60).covers(HOLIDAY)
    assert not Span(frozenset({weekday}), 0, 60).covers(WORKDAY)
    assert not Span(frozenset(range(7)) - {weekday}, 0, 60).covers(HOLIDAY)
    assert Span(frozenset(range(7)) - {weekday}, 0, 60).covers(WORKDAY) is (weekday > 4)
    assert not Span(frozenset(range(7)) - {weekday}, 0, 60).covers(weekday)


def test_always_needs_no_clock_and_knows_no_closed_day():
    assert all(ALWAYS.allows(now, OFFICIAL) for now in WEEK)
    assert not ALWAYS.closed_by_exception(WEEK[0])
    assert not any(Schedule("never").allows(now) for now in WEEK)


def test_an_exception_that_opens_does_not_close():
    schedule = Schedule("s", exceptions={date(2026, 11, 23): ((0, 60),), date(2026, 11, 24): ()})
    assert not schedule.closed_by_exception(datetime(2026, 11, 23, tzinfo=SHANGHAI))
    assert schedule.closed_by_exception(datetime(2026, 11, 24, tzinfo=SHANGHAI))
    assert not schedule.closed_by_exception(datetime(2026, 11, 25, tzinfo=SHANGHAI))


def test_who_ignores_holidays_does_so_with_exceptions_too():
    elsewhere = {date(2026, 11, 23): ()}
    ignoring = Schedule("s", (Span(frozenset(range(5)), 480, 1080),), holidays="ignore", exceptions=elsewhere)
    assert ignoring.allows(datetime(2026, 10, 1, 10, tzinfo=SHANGHAI), OFFICIAL)
    assert not ignoring.allows(datetime(2026, 10, 10, 10, tzinfo=SHANGHAI), OFFICIAL)


def test_a_whole_day_opening_and_its_edges():
    day = Schedule("s", exceptions={date(2026, 11, 23): ((0, 1440),)})
    midnight = datetime(2026, 11, 23, tzinfo=SHANGHAI)
    found = [day.allows(midnight + timedelta(minutes=minute)) for minute in (-1, 0, 1439, 1440)]
    assert found == [False, True, True, False]


EDGES = [
    # weekdays, from, to, moments in the ordinary week, open
    ("mon-fri 08:00-18:00", frozenset(range(5)), 480, 1080, (23, 7, 59), False),
    ("mon-fri 08:00-18:00", frozenset(range(5)), 480, 1080, (23, 8, 0), True),
    ("mon-fri 08:00-18:00", frozenset(range(5)), 480, 1080, (27, 17, 59), True),
    ("mon-fri 08:00-18:00", frozenset(range(5)), 480, 1080, (27, 18, 0), False),
    ("mon-fri 08:00-18:00", frozenset(range(5)), 480, 1080, (28, 8, 0), False),
    ("sun 22:00-06:00", frozenset({6}), 1320, 360, (29, 21, 59), False),
    ("sun 22:00-06:00", frozenset({6}), 1320, 360, (29, 22, 0), True),
    ("sun 22:00-06:00", frozenset({6}), 1320, 360, (23, 5, 59), True),
    ("sun 22:00-06:00", frozenset({6}), 1320, 360, (23, 6, 0), False),
    ("sun 22:00-06:00", frozenset({6}), 1320, 360, (29, 5, 0), False),
    ("sun 06:00-06:00", frozenset({6}), 360, 360, (29, 6, 0), True),
    ("sun 06:00-06:00", frozenset({6}), 360, 360, (23, 5, 59), True),
    ("sun 06:00-06:00", frozenset({6}), 360, 360, (23, 6, 0), False),
    ("sun 23:00-24:00", frozenset({6}), 1380, 1440, (29, 23, 59), True),
    ("sun 23:00-24:00", frozenset({6}), 1380, 1440, (23, 0, 0), False),
]


@pytest.mark.parametrize("calendar", [ORDINARY_WEEK, Calendar({date(2030, 1, 1): "holiday"})], ids=["none", "some"])
@pytest.mark.parametrize(("words", "weekdays", "start", "end", "at", "is_open"), EDGES)
def test_the_edges_of_a_span(words, weekdays, start, end, at, is_open, calendar):
    day, hour, minute = at
    now = datetime(2026, 11, day, hour, minute, 59, tzinfo=SHANGHAI)
    assert Schedule(words, (Span(weekdays, start, end),)).allows(now, calendar) is is_open
