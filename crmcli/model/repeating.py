"""Rules of repetition: `30d`, `2w`, `1m`, `1y` or a cron expression, and the slots of one in the company's time zone.

A slot at a wall-clock time that a change of the clocks skips is later by the gap; at one that comes twice it is the
first. Where the hour is `*` the slots follow real time, so that every hour has them, the one that comes twice too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model.dates import Moment, add_months, day_start, local_day, shown
from crmcli.model.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.model.records import Reminder

DUE, DONE = "due", "done"
_STEP = re.compile(r"([1-9][0-9]{0,3})[dw]|([1-9][0-9]{0,2})m|([1-9][0-9]?)y")
_SERIES = re.compile(r"(?P<count>[0-9]+)(?P<unit>[dwmy])(?:@(?P<first>[0-9-]{10}(?:T[0-9:]{5})?)\+(?P<steps>[0-9]+))?")
# The letters of a day, such as 2026-03-15.
_DAY = 10
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"m": 1, "y": 12}
_CRON_FIELDS = 5
_LONGEST = 64
# A day such as 29 February is at most eight years away, across a century year that does not leap.
_YEARS = 8
_AROUND = timedelta(hours=3)
_TICK = timedelta(microseconds=1)
# What croniter reads as chance or as a hash: two machines would not agree on it.
_UNCERTAIN = re.compile(r"(?:^|[ ,])[rh]")


def parse_repeat(text: str) -> str:
    """Return a repetition in its one form. Raises: InputError."""
    plain = " ".join(text.split())
    if _STEP.fullmatch(plain.lower()):
        return plain.lower()
    if len(plain.split()) == _CRON_FIELDS:
        return parse_cron(plain)
    raise InputError(f"not a repetition: {shown(text)}", "try 30d, 2w, 1m, 1y, or cron such as '0 9 * * mon'")


def parse_cron(text: str) -> str:
    """Return a cron expression of five fields with single blanks. Raises: InputError, also for one without a slot."""
    plain = " ".join(text.lower().split())
    hint = "minute hour day month weekday, such as '0 9 * * mon-fri'"
    if len(plain) > _LONGEST or len(plain.split()) != _CRON_FIELDS or _UNCERTAIN.search(plain):
        raise InputError(f"not a cron expression: {shown(text)}", hint)
    try:
        _slots(plain, datetime(2026, 1, 1)).get_next(datetime)  # noqa: DTZ001 - wall-clock time
    except (ValueError, KeyError) as error:
        raise InputError(f"not a cron expression, or one that never comes: {shown(text)}", hint) from error
    return plain


def slot_after(cron: str, at: datetime, zone: tzinfo) -> datetime:
    """Return the first slot of a cron expression after an instant."""
    return _slot(cron, at, zone, forward=True)


def slot_before(cron: str, at: datetime, zone: tzinfo) -> datetime:
    """Return the last slot of a cron expression at an instant or before it."""
    return _slot(cron, at, zone, forward=False)


def count_slots(cron: str, start: datetime, end: datetime, zone: tzinfo) -> int:
    """Return how many slots of a cron expression lie after an instant, up to another one (included).

    A day on which the clocks are not changed has as many as there are hours and minutes named, or none.
    """
    times = _times(cron)
    count, day = 0, local_day(start, zone)
    while (begin := day_start(day, zone)) <= end:
        first, day = max(start, begin - _TICK), day + timedelta(days=1)
        last = min(end, day_start(day, zone) - _TICK)
        if not _is_even(begin, day_start(day, zone), zone):
            count += sum(1 for _ in _slots_one_by_one(cron, first, last, zone))
        elif slot_after(cron, begin - _TICK, zone) < day_start(day, zone):
            low, high = first - begin, last - begin
            count += sum(low < at <= high for at in times)
    return count


def _times(cron: str) -> list[timedelta]:
    """Return how long after the start of a day that has slots they come."""
    from croniter import croniter

    minutes, hours = (
        range(most) if found == ["*"] else found
        for found, most in zip(croniter.expand(cron)[0], (60, 24), strict=False)
    )
    return [timedelta(hours=hour, minutes=minute) for hour in hours for minute in minutes]


def _slots_one_by_one(cron: str, start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    while (start := slot_after(cron, start, zone)) <= end:
        yield start


def _is_even(start: datetime, end: datetime, zone: tzinfo) -> bool:
    """Say whether the clocks are not changed between two instants, nor just around."""
    return (start - _AROUND).astimezone(zone).utcoffset() == (end + _AROUND).astimezone(zone).utcoffset()


def _slot(cron: str, at: datetime, zone: tzinfo, *, forward: bool) -> datetime:
    local = at.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    is_hourly = cron.split()[1] == "*"
    # Around a change of the clocks wall-clock time runs otherwise than the slots, so that more of them are tried.
    slack = timedelta() if _is_even(at, at, zone) else _AROUND
    slots = _slots(cron, local.replace(tzinfo=None) + (-slack if forward else slack + timedelta(microseconds=1)))
    while True:
        wall: datetime = slots.get_next(datetime) if forward else slots.get_prev(datetime)
        found = (wall - offset).replace(tzinfo=UTC) if is_hourly else wall.replace(tzinfo=zone).astimezone(UTC)
        if (found > at) if forward else (found <= at):
            return found


def _slots(cron: str, start: datetime) -> Any:
    from croniter import croniter

    return croniter(cron, start, max_years_between_matches=_YEARS)


@dataclass(frozen=True, slots=True)
class Series:
    """What repeats every `count` units: when the first was due, and how many steps later the present one is.

    `first` is local, a day or a day with a time of day. In a month that is too short the last day stands for the day of
    the first, which the months after it go back to.
    """

    count: int
    unit: str
    first: str
    steps: int = 0

    @property
    def text(self) -> str:
        """How a reminder keeps it: `1m@2026-01-31+2`, `2w@2026-03-02T10:00+0`."""
        return f"{self.count}{self.unit}@{self.first}+{self.steps}"

    @property
    def day(self) -> date:
        """The local day of the present one."""
        first, steps = date.fromisoformat(self.first[:_DAY]), self.count * self.steps
        return first + timedelta(days=steps * _DAYS[self.unit]) if self.unit in _DAYS else self._month(first, steps)

    def _month(self, first: date, steps: int) -> date:
        return add_months(first, steps * _MONTHS[self.unit])

    def due(self, zone: tzinfo) -> Moment:
        """Return when the present one is due."""
        clock = time.fromisoformat(self.first[_DAY + 1 :] or "00:00")
        return Moment(datetime.combine(self.day, clock, zone).astimezone(UTC), has_time=len(self.first) > _DAY)


def series_of(reminder: Reminder, zone: tzinfo) -> Series | None:
    """Return the series that a reminder is one of, which begins with it if it knows none; None if it is of no steps."""
    found = _SERIES.fullmatch(reminder.repeat or "")
    if found is None:
        return None
    if found["first"] is not None:
        return Series(int(found["count"]), found["unit"], found["first"], int(found["steps"]))
    local = reminder.due_at.astimezone(zone)
    first = f"{local:%Y-%m-%dT%H:%M}" if reminder.has_time else f"{local:%Y-%m-%d}"
    return Series(int(found["count"]), found["unit"], first)


def in_series(reminder: Reminder, zone: tzinfo) -> Reminder:
    """Return a reminder that knows the series that it is one of, so that putting it off moves no other."""
    series = series_of(reminder, zone)
    return reminder if series is None else replace(reminder, repeat=series.text)


def following(reminder: Reminder, done_at: datetime, zone: tzinfo) -> Reminder | None:
    """Return a repeated reminder that is done as the next one, due after `done_at`; None if it does not repeat.

    What was missed meanwhile is not made up for: there is one next time, and it lies ahead. What counts from when it
    was done keeps its series where that was on its day, and else begins a new one.
    """
    if reminder.repeat is None:
        return None
    series = series_of(reminder, zone)
    if series is None:
        return replace(reminder, due_at=slot_after(reminder.repeat, max(done_at, reminder.due_at), zone), has_time=True)
    done_on = local_day(done_at, zone)
    if reminder.repeat_from != DUE and done_on != series.day:
        series = replace(series, first=f"{done_on}{series.first[_DAY:]}", steps=0)
    while (due := (series := replace(series, steps=series.steps + 1)).due(zone)).at <= done_at:
        pass
    return replace(reminder, due_at=due.at, has_time=due.has_time, repeat=series.text)
