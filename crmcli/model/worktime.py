"""Working time: which days the company works, and the days that terms such as `2d` and `3bd` come to.

A term counts from a local day: `2d` is two calendar days on, `3bd` three working days on; whatever is due within it is
due by the end of that day.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model.dates import day_end, day_start, local_day
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# So many days of every year and no more: no working day may be out of reach.
_MOST_YEARLY = 200
_YEARLY = len("05-09")


@dataclass(frozen=True, slots=True)
class Calendar:
    """When the company works: weekdays (0 is Monday), local hours, and holidays as `2026-01-01` or, yearly, `05-09`."""

    working_days: tuple[int, ...] = (0, 1, 2, 3, 4)
    start: time = time(9)
    end: time = time(18)
    holidays: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return the calendar as a process file holds it."""
        return {
            "working_days": [DAY_NAMES[day] for day in self.working_days],
            "hours": f"{self.start:%H:%M}-{self.end:%H:%M}",
            "holidays": list(self.holidays),
        }


def is_working(calendar: Calendar, day: date) -> bool:
    """Say whether the company works on a day."""
    if day.weekday() not in calendar.working_days:
        return False
    return not calendar.holidays or not {day.isoformat(), f"{day:%m-%d}"} & set(calendar.holidays)


def day_after(calendar: Calendar, day: date, term: str) -> date:
    """Return the day that is a term after a day."""
    count, in_working_days = split(term)
    if not in_working_days:
        return day + timedelta(days=count)
    while count:
        day += timedelta(days=1)
        count -= is_working(calendar, day)
    return day


def add_days(calendar: Calendar, zone: tzinfo, at: datetime, term: str) -> datetime:
    """Return the end (UTC) of the local day that is a term after the instant `at`."""
    return day_end(day_after(calendar, local_day(at, zone), term), zone)


def deadlines(
    calendar: Calendar, zone: tzinfo, first: date, last: date, term: str
) -> Iterator[tuple[datetime, date, datetime]]:
    """Yield for each local day from `first` to `last` (start, day a term later, end of that day): instants in UTC."""
    count, in_working_days = split(term)
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    later = [day + timedelta(days=count) for day in days]
    if in_working_days:
        farthest = (day_after(calendar, last, term) - first).days
        working = [
            day for day in (first + timedelta(days=step) for step in range(farthest + 1)) if is_working(calendar, day)
        ]
        later = [working[bisect_right(working, day) + count - 1] for day in days]
    for day, end in zip(days, later, strict=True):
        yield day_start(day, zone), end, day_end(end, zone)


def passed_before(calendar: Calendar, zone: tzinfo, at: datetime, term: str) -> datetime:
    """Return the instant before which what began is a whole term ago at `at`, and from which on it is not.

    For any instant x `add_days(calendar, zone, x, term) <= at` says the same as `x < passed_before(...)`.
    """
    count, in_working_days = split(term)
    day = local_day(at, zone)
    while in_working_days and count:
        day -= timedelta(days=1)
        count -= is_working(calendar, day)
    return day_start(day - timedelta(days=count), zone)


def split(term: str) -> tuple[int, bool]:
    """Return how many days a term has and whether they are working days."""
    return int(term.rstrip("bd")), term.endswith("bd")


def parse_term(value: Any, what: str) -> str:
    """Return a term as it is stored. Raises: InputError for what is none, such as the 0th working day."""
    if isinstance(value, str) and re.fullmatch(r"([1-9][0-9]{0,2}b?|0)d", value):
        return value
    raise InputError(f"{what} must be a number of days", '"2d" is two days, "3bd" three working days')


def parse_calendar(document: Any) -> Calendar:
    """Return the calendar in the plain values of a process file; the caller knows its keys. Raises: InputError."""
    usual = Calendar()
    start, end = _hours(document["hours"]) if "hours" in document else (usual.start, usual.end)
    days = _list(document, "working_days")
    unknown = next((day for day in days or () if day not in DAY_NAMES), None)
    if unknown is not None or days == []:
        raise InputError("working_days has days that are none", f"there is {', '.join(DAY_NAMES)}")
    working = usual.working_days if days is None else tuple(sorted({DAY_NAMES.index(day) for day in days}))
    holidays = tuple(sorted({_holiday(value) for value in _list(document, "holidays") or ()}))
    if sum(len(day) == _YEARLY for day in holidays) > _MOST_YEARLY:
        raise InputError(f"holidays has more than {_MOST_YEARLY} days of every year")
    return Calendar(working, start, end, holidays)


def _list(document: dict[str, Any], key: str) -> list[Any] | None:
    values = document.get(key)
    if values is not None and not isinstance(values, list):
        raise InputError(f"{key}: must be a list")
    return values


def _hours(value: Any) -> tuple[time, time]:
    if isinstance(value, str) and re.fullmatch(r"[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]", value):
        try:
            start, end = (time.fromisoformat(text) for text in value.split("-"))
        except ValueError:
            pass
        else:
            if start < end:
                return start, end
    raise InputError("hours must be from and to", 'such as "09:00-18:00"')


def _holiday(value: Any) -> str:
    # A day without quotes is one to TOML too.
    text = value.isoformat() if type(value) is date else value
    try:
        if isinstance(text, str) and re.fullmatch(r"([0-9]{4}-)?[0-9]{2}-[0-9]{2}", text):
            # A year with a 29 February stands in for every one.
            date.fromisoformat(text if len(text) > _YEARLY else f"2024-{text}")
            return text
    except ValueError:
        pass
    raise InputError("holidays has what is no day", '"2026-01-01" is a day, "05-09" one of every year')
