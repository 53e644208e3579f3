"""Periods of whole local days that reports cover: parsing, their bounds as instants, and the period before."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

from crmcli.errors import InputError
from crmcli.model.dates import FIRST_YEAR, LAST_YEAR, add_months, day_start, local_day, parse_moment, shown
from crmcli.model.frozen import dataclass

Unit = Literal["year", "quarter", "month", "week", "day", "span"]

HINT = "a period is 2026, 2026-Q1, 2026-03, 2026-03-15, 7d, or --from and --to"

_CALENDAR = r"([0-9]{4})(?:-(?:Q([1-4])|([0-9]{2})(?:-([0-9]{2}))?))?"
_LAST_DAYS = r"([1-9][0-9]{0,3})d"
_LONGEST = 10


@dataclass(frozen=True, slots=True)
class Period:
    """The local days from `from_on` up to, and without, `to_on`; `label` is what a heading calls it."""

    from_on: date
    to_on: date
    unit: Unit
    label: str

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return the UTC instants between which the period lies in `zone`, the second one outside it."""
        return day_start(self.from_on, zone), day_start(self.to_on, zone)

    def previous(self) -> Period:
        """Return the calendar year, quarter, month or week before; else as many days just before."""
        if self.unit == "year":
            return _year(self.from_on.year - 1)
        if self.unit == "quarter":
            return _quarter(add_months(self.from_on, -3))
        if self.unit == "month":
            return _month(add_months(self.from_on, -1))
        from_on = self.from_on - (self.to_on - self.from_on)
        if self.unit == "week":
            return _week(from_on)
        return _day(from_on) if self.unit == "day" else _span(from_on, self.from_on)


def parse_period(text: str, *, now: datetime, zone: tzinfo) -> Period:
    """Read `2026`, `2026-Q1`, `2026-03`, `2026-03-15` or `7d`, the last seven local days with today.

    `now` is an aware UTC instant. Raises InputError for anything else, and outside the years 1900 to 2200.
    """
    period = None
    if len(text) <= _LONGEST:
        try:
            period = _calendar(text) or _last_days(text, local_day(now, zone))
        except (ValueError, OverflowError):
            raise InputError(f"no such period: {shown(text)}", HINT) from None
    if period is None:
        raise InputError(f"not a period: {shown(text)}", HINT)
    return _checked(period)


def span(from_text: str | None, to_text: str | None, *, now: datetime, zone: tzinfo) -> Period:
    """Make the period of --from and --to: local days, the second one outside it.

    Without an end it reaches through today. Dates are those of the date grammar, looking back where the year is
    open. Raises InputError if there is no beginning, if either is not a day, or if nothing lies between them.
    """
    if from_text is None:
        raise InputError("a period needs a beginning", "add --from")
    from_on = _bound(from_text, now, zone)
    to_on = local_day(now, zone) + timedelta(days=1) if to_text is None else _bound(to_text, now, zone)
    if from_on >= to_on:
        raise InputError(f"the period is empty: from {from_on} up to {to_on}", "--to is the day after the last one")
    return _span(from_on, to_on)


def units(from_on: date, to_on: date, unit: Unit) -> list[Period]:
    """Return, in order, every calendar unit that has a day of those from `from_on` up to, and without, `to_on`."""
    found: list[Period] = []
    while from_on < to_on:
        found.append(_containing(from_on, unit))
        from_on = found[-1].to_on
    return found


def _containing(day: date, unit: Unit) -> Period:
    if unit == "year":
        return _year(day.year)
    if unit == "quarter":
        return _quarter(day.replace(month=day.month - (day.month - 1) % 3, day=1))
    if unit == "month":
        return _month(day.replace(day=1))
    return _week(day - timedelta(days=day.weekday())) if unit == "week" else _day(day)


def _bound(text: str, now: datetime, zone: tzinfo) -> date:
    moment = parse_moment(text, now=now, zone=zone, past=True)
    if moment.has_time:
        raise InputError(f"a period is of whole days: {shown(text)}", "leave the time out")
    return local_day(moment.at, zone)


def _calendar(text: str) -> Period | None:
    found = re.fullmatch(_CALENDAR, text)
    if found is None:
        return None
    year, quarter, month, day = found.groups()
    if quarter:
        return _quarter(date(int(year), int(quarter) * 3 - 2, 1))
    if not month:
        return _year(int(year))
    return _day(date(int(year), int(month), int(day))) if day else _month(date(int(year), int(month), 1))


def _last_days(text: str, today: date) -> Period | None:
    found = re.fullmatch(_LAST_DAYS, text)
    if found is None:
        return None
    end = today + timedelta(days=1)
    return Period(end - timedelta(days=int(found[1])), end, "span", text)


def _checked(period: Period) -> Period:
    if FIRST_YEAR <= period.from_on.year <= LAST_YEAR:
        return period
    raise InputError(f"not between the years {FIRST_YEAR} and {LAST_YEAR}: {period.label}")


def _year(year: int) -> Period:
    return Period(date(year, 1, 1), date(year + 1, 1, 1), "year", f"{year:04}")


def _quarter(first: date) -> Period:
    return Period(first, add_months(first, 3), "quarter", f"{first.year:04}-Q{first.month // 3 + 1}")


def _month(first: date) -> Period:
    return Period(first, add_months(first, 1), "month", first.isoformat()[:7])


def _week(monday: date) -> Period:
    year, number, _ = monday.isocalendar()
    return Period(monday, monday + timedelta(days=7), "week", f"{year:04}-W{number:02}")


def _day(day: date) -> Period:
    return Period(day, day + timedelta(days=1), "day", day.isoformat())


def _span(from_on: date, to_on: date) -> Period:
    return Period(from_on, to_on, "span", f"{from_on}..{to_on}")
