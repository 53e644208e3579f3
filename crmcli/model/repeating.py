"""Rules of repetition: `30d`, `2w`, `1m`, `1y` or a cron expression, and the slots of one in the company's time zone.

A slot at a wall-clock time that a change of the clocks skips is later by the gap; at one that comes twice it is the
first. Where the hour is `*` the slots follow real time, so that every hour has them, the one that comes twice too.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from crmcli.errors import InputError
from crmcli.model.dates import Moment, add_months, day_start, local_day, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmcli.model.records import Reminder

DUE, DONE = "due", "done"
_STEP = re.compile(r"([1-9][0-9]{0,3})([dwmy])")
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


def next_due(reminder: Reminder, done_at: datetime, zone: tzinfo) -> Moment | None:
    """Return when a repeated reminder that is done is due again, after `done_at`; None if it does not repeat.

    What was missed meanwhile is not made up for: there is one next time, and it lies ahead.
    """
    if reminder.repeat is None:
        return None
    step = _STEP.fullmatch(reminder.repeat)
    if step is None:
        return Moment(slot_after(reminder.repeat, max(done_at, reminder.due_at), zone), has_time=True)
    count, unit = int(step[1]), step[2]
    start = done_at if reminder.repeat_from != DUE else reminder.due_at
    first, clock = local_day(start, zone), reminder.due_at.astimezone(zone).time()
    times = 1
    while True:
        day = _stepped(first, count * times, unit)
        due_at = datetime.combine(day, clock, zone).astimezone(UTC)
        if due_at > done_at:
            return Moment(due_at, reminder.has_time)
        times += 1


def _stepped(day: date, count: int, unit: str) -> date:
    return day + timedelta(days=count * _DAYS[unit]) if unit in _DAYS else add_months(day, count * _MONTHS[unit])
