"""Working days and terms: what they come to, over weekends, holidays and changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.model.dates import day_start
from crmcli.model.worktime import (
    Calendar,
    add_days,
    day_after,
    deadlines,
    is_working,
    parse_calendar,
    parse_term,
    passed_before,
)

MOSCOW = ZoneInfo("Europe/Moscow")
RUSSIA = Calendar(holidays=("2026-05-11", "05-01", "05-09"))
FRIDAY = date(2026, 3, 6)


@pytest.mark.parametrize(
    ("day", "term", "expected"),
    [
        (FRIDAY, "0d", FRIDAY),
        (FRIDAY, "2d", date(2026, 3, 8)),
        (FRIDAY, "1bd", date(2026, 3, 9)),
        (FRIDAY, "6bd", date(2026, 3, 16)),
        (date(2026, 3, 7), "1bd", date(2026, 3, 9)),
        (date(2026, 4, 30), "1bd", date(2026, 5, 4)),
        (date(2026, 5, 8), "1bd", date(2026, 5, 12)),
        (date(2027, 4, 30), "1bd", date(2027, 5, 3)),
        (date(2024, 2, 28), "1d", date(2024, 2, 29)),
    ],
)
def test_terms_come_to_days(day: date, term: str, expected: date) -> None:
    assert day_after(RUSSIA, day, term) == expected


def test_weekends_and_holidays_are_no_working_days() -> None:
    days = [date(2026, 5, day) for day in range(1, 13)]
    assert [day.day for day in days if is_working(RUSSIA, day)] == [4, 5, 6, 7, 8, 12]
    assert is_working(Calendar(working_days=(5,)), date(2026, 3, 7))


@pytest.mark.parametrize(
    ("zone", "at", "term", "expected"),
    [
        # 23:30 in Moscow is still the day on which it counts from.
        (MOSCOW, datetime(2026, 3, 2, 20, 30, tzinfo=UTC), "1bd", datetime(2026, 3, 3, 21, tzinfo=UTC)),
        (MOSCOW, datetime(2026, 3, 2, 21, 30, tzinfo=UTC), "1bd", datetime(2026, 3, 4, 21, tzinfo=UTC)),
        # The clocks go forward on 29 March: the day has 23 hours.
        (ZoneInfo("Europe/Berlin"), datetime(2026, 3, 28, 9, tzinfo=UTC), "1d", datetime(2026, 3, 29, 22, tzinfo=UTC)),
        (ZoneInfo("Europe/Berlin"), datetime(2026, 3, 28, 9, tzinfo=UTC), "0d", datetime(2026, 3, 28, 23, tzinfo=UTC)),
        # And back on 25 October.
        (
            ZoneInfo("Europe/Berlin"),
            datetime(2026, 10, 24, 9, tzinfo=UTC),
            "1d",
            datetime(2026, 10, 25, 23, tzinfo=UTC),
        ),
        # Beirut has no midnight on 29 March 2026: that day begins at one.
        (ZoneInfo("Asia/Beirut"), datetime(2026, 3, 28, 9, tzinfo=UTC), "0d", datetime(2026, 3, 28, 22, tzinfo=UTC)),
        # The Azores have two midnights on 25 October: the day begins with the first.
        (ZoneInfo("Atlantic/Azores"), datetime(2026, 10, 24, 9, tzinfo=UTC), "0d", datetime(2026, 10, 25, tzinfo=UTC)),
    ],
)
def test_a_term_ends_with_its_local_day(zone: ZoneInfo, at: datetime, term: str, expected: datetime) -> None:
    assert add_days(Calendar(), zone, at, term) == expected


@given(
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.integers(1, 30),
    st.lists(st.integers(0, 6), min_size=1, unique=True),
    st.lists(st.dates(date(2000, 1, 1), date(2101, 1, 1)), max_size=9),
)
def test_working_days_are_counted_one_by_one(day: date, count: int, weekdays: list[int], free: list[date]) -> None:
    calendar = Calendar(tuple(weekdays), holidays=tuple(day.isoformat() for day in free))
    reached = day_after(calendar, day, f"{count}bd")
    between = [day + timedelta(days=step) for step in range(1, (reached - day).days + 1)]
    assert sum(each.weekday() in weekdays and each not in free for each in between) == count
    assert is_working(calendar, reached)


def test_a_calendar_is_what_its_plain_form_says() -> None:
    calendar = Calendar((0, 5), time(8, 30), time(17), ("05-09", "2026-01-01"))
    assert parse_calendar(calendar.to_plain()) == calendar
    assert parse_calendar({}) == Calendar()
    assert parse_calendar({"holidays": [date(2026, 1, 1)]}).holidays == ("2026-01-01",)
    yearly = [f"{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    with pytest.raises(InputError, match="more than 200 days"):
        parse_calendar({"holidays": yearly})


@pytest.mark.parametrize("wrong", ["", "d", "2", "2w", "0bd", "-1d", "1000d", "01d", "2D", "٣d", 2, True, None])
def test_what_is_no_term(wrong: object) -> None:
    with pytest.raises(InputError, match="must be a number of days"):
        parse_term(wrong, "norm")


CALENDARS = st.builds(
    Calendar,
    st.lists(st.integers(0, 6), min_size=1, unique=True).map(tuple),
    holidays=st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat), max_size=20).map(tuple),
)
TERMS = st.one_of(st.integers(0, 20).map("{}d".format), st.integers(1, 20).map("{}bd".format))
# With changes of the clocks by day, at midnight (forward and back), and by half an hour.
ZONES = st.sampled_from(
    ("Europe/Moscow", "Europe/Berlin", "Asia/Beirut", "Atlantic/Azores", "Australia/Lord_Howe", "America/Havana")
).map(ZoneInfo)
INSTANTS = st.datetimes(datetime(2026, 2, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(CALENDARS, ZONES, INSTANTS, INSTANTS, TERMS)
def test_what_began_before_is_a_term_ago(
    calendar: Calendar, zone: ZoneInfo, at: datetime, began: datetime, term: str
) -> None:
    turn = passed_before(calendar, zone, at, term)
    for instant in (began, turn, turn - timedelta(microseconds=1)):
        assert (add_days(calendar, zone, instant, term) <= at) == (instant < turn)


@given(CALENDARS, ZONES, st.dates(date(2026, 2, 1), date(2026, 11, 30)), st.integers(0, 40), TERMS)
def test_many_deadlines_are_one_by_one(calendar: Calendar, zone: ZoneInfo, first: date, count: int, term: str) -> None:
    last = first + timedelta(days=count)
    found = list(deadlines(calendar, zone, first, last, term))
    assert len(found) == count + 1
    for step, (start, day, end) in enumerate(found):
        assert start == day_start(first + timedelta(days=step), zone)
        assert day == day_after(calendar, first + timedelta(days=step), term)
        assert end == add_days(calendar, zone, start, term)
