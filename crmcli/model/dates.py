"""Days and instants as people write them: the date grammar, local days and how a moment is shown.

An instant is an aware UTC datetime; a day is a day of the company's time zone. A wall-clock time which a change of
the clocks skips moves forward by the gap; one which occurs twice is the first.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache

from crmcli.errors import InputError
from crmcli.model.frozen import dataclass
from crmcli.model.zones import in_zone

LONGEST = 60
FIRST_YEAR, LAST_YEAR = 1900, 2200
HINT = "try 2026-03-15, 15.03, tomorrow 10:00, fri, +2w, in 2 months, завтра 10:00"

_SHOWN = 40
# Two-digit years turn over where strptime's %y does, so that a form and the grammar agree.
_CENTURY_TURN = 69
# 29 February is at most eight years away, across a century year that does not leap.
_YEARS_TO_LEAP = 8
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_STAMP = (
    r"(?:([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{1,2})([./])([0-9]{1,2})\5([0-9]{4}|[0-9]{2}))"
    r"(?:(?:[Tt]|,? )([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(?: ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_TIME = r"(?:^|,? )(?:(?:(?:at|в) )?([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?|(?:at|в) ([0-9]{1,2}))$"
_SIGNED = r"([+-]) ?([0-9]{1,4}) ?([a-zа-я]+)"
_AHEAD = r"(?:in|через) (?:([0-9]{1,4}|[a-zа-я]+) )?([a-zа-я]+)"
_BACK = r"(?:([0-9]{1,4}|[a-zа-я]+) )?([a-zа-я]+) (?:ago|назад)"
_END = r"(?:(?:at )?(?:the )?end of (?:the )?|в конце |конец )([a-zа-я]+)"
_WEEKDAY = r"(?:(?:on|в|во) )?(?:([a-zа-я]+)\.? )?([a-zа-я]+)\.?"
_NUMERIC_DAY = r"([0-9]{1,2})[./]([0-9]{1,2})"
_DAY_MONTH = r"([0-9]{1,2})(?:st|nd|rd|th)? ([a-zа-я]+)\.?(?: ([0-9]{4})(?: ?(?:г|года)\.?)?)?"
_MONTH_DAY = r"([a-z]+)\.? ([0-9]{1,2})(?:st|nd|rd|th)?(?:,? ([0-9]{4}))?"


def _by_word(*lines: str) -> dict[str, int]:
    """Return the number of its line, from 0, for each word."""
    return {word: number for number, line in enumerate(lines) for word in line.split()}


_NEAR_DAYS = {
    "today": 0, "сегодня": 0, "tomorrow": 1, "завтра": 1, "yesterday": -1, "вчера": -1,
    "послезавтра": 2, "day after tomorrow": 2, "позавчера": -2, "day before yesterday": -2,
}  # fmt: skip
_WEEKDAY_WORDS = _by_word(
    "mon monday пн понедельник",
    "tue tues tuesday вт вторник",
    "wed weds wednesday ср среда среду",
    "thu thur thurs thursday чт четверг",
    "fri friday пт пятница пятницу",
    "sat saturday сб суббота субботу",
    "sun sunday вс воскресенье",
)
_MONTH_WORDS = _by_word(
    "",
    "jan january янв январь января",
    "feb february фев февр февраль февраля",
    "mar march мар март марта",
    "apr april апр апрель апреля",
    "may май мая",
    "jun june июн июнь июня",
    "jul july июл июль июля",
    "aug august авг август августа",
    "sep sept september сен сент сентябрь сентября",
    "oct october окт октябрь октября",
    "nov november ноя нояб ноябрь ноября",
    "dec december дек декабрь декабря",
)
_COUNT_WORDS = _by_word(
    "",
    "a an one один одну",
    "two два две",
    "three три",
    "four четыре",
    "five пять",
    "six шесть",
    "seven семь",
    "eight восемь",
    "nine девять",
    "ten десять",
)
_WHICH = _by_word(
    "this эту этот это",
    "next следующую следующий следующее след",
    "last прошлую прошлый прошлое",
)
_THIS, _NEXT, _LAST = range(3)
_MONTHS_IN = {"month": 1, "месяца": 1, "quarter": 3, "квартала": 3, "year": 12, "года": 12}


def _units() -> dict[str, tuple[str, int]]:
    """Map each word for a unit to its base (`minute`, `day` or `month`) and how many of that it is."""
    words = {
        ("minute", 1): "min mins minute minutes мин минуту минуты минут",
        ("minute", 60): "h hour hours ч час часа часов",
        ("day", 1): "d day days д дн день дня дней",
        ("day", 7): "w week weeks н нед неделю недели недель",
        ("month", 1): "m mo month months м мес месяц месяца месяцев",
        ("month", 3): "q quarter quarters квартал квартала кварталов",
        ("month", 6): "полгода",
        ("month", 12): "y year years г год года лет",
    }
    return {word: unit for unit, line in words.items() for word in line.split()}


_UNITS = _units()


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time as somebody gave it.

    `at` is an aware UTC instant, the start of the local day where no time was given; `has_time` says which.
    """

    at: datetime
    has_time: bool


def parse_moment(text: str, *, now: datetime, zone: tzinfo, past: bool = False) -> Moment:
    """Read a date or time in English or Russian, as of the instant `now` (aware UTC) in `zone`.

    What leaves its year, week or day open is the next one, with `past` the most recent one. A day without a year may
    be today. A weekday is never today when looking ahead (`fri` on a Friday is a week on) and may be when looking
    back; `next fri` is that of the calendar week after this one, `last fri` the one before today. A time alone is
    the nearest such time from `now` on, with `past` up to `now`. Months clamp: 31 January and a month is the last of
    February. Raises InputError for anything else, impossible days, and years before 1900 or after 2200.
    """
    if len(text) > LONGEST:
        raise InputError(f"not a date: {shown(text)}", HINT)
    folded = " ".join(unicodedata.normalize("NFC", text).casefold().replace("ё", "е").split())
    try:
        moment = _absolute(folded, zone) or _relative(folded, now, zone, past=past)
        in_range = moment is None or _is_in_range(moment, zone)
    except (ValueError, OverflowError):
        raise InputError(f"no such day or time: {shown(text)}", HINT) from None
    if moment is None:
        raise InputError(f"not a date: {shown(text)}", HINT)
    if not in_range:
        raise InputError(f"not between the years {FIRST_YEAR} and {LAST_YEAR}: {shown(text)}")
    return moment


def parse_stamp(text: str, form: str | None, zone: tzinfo) -> tuple[datetime, bool]:
    """Read one cell of an import: its instant (aware UTC) and whether it has a time of day.

    `form` is a strptime format that names a whole date; without one the cell is ISO or D.M.Y (also D/M/Y) with an
    optional time and offset, never a relative word. Raises InputError, which never quotes the cell.
    """
    # A column of days repeats itself, one of instants would only churn the cache.
    return _cached_stamp(text, form, zone) if len(text) <= len("2026-03-15") else _stamp(text, form, zone)


def _stamp(text: str, form: str | None, zone: tzinfo) -> tuple[datetime, bool]:
    moment = None
    if len(text) <= LONGEST:
        cell = text.strip()
        with suppress(ValueError, OverflowError):
            moment = _absolute(cell, zone) if form is None else _formed(cell, form, zone)
            if moment and not _is_in_range(moment, zone):
                raise InputError(f"a date not between the years {FIRST_YEAR} and {LAST_YEAR}")
    if moment is None:
        if form is None:
            raise InputError("not a date such as 2026-03-15 or 15.03.2026", "name the form, such as %m/%d/%Y %H:%M")
        raise InputError(f"not a date of the form {shown(form)}")
    return moment.at, moment.has_time


_cached_stamp = lru_cache(maxsize=4096)(_stamp)


def local_day(at: datetime, zone: tzinfo) -> date:
    """Return the day on which the aware instant `at` falls in `zone`."""
    return at.astimezone(zone).date()


def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the UTC instant at which `day` begins in `zone`."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_end(day: date, zone: tzinfo) -> datetime:
    """Return the UTC instant at which the day after `day` begins in `zone`."""
    return day_start(day + timedelta(days=1), zone)


def add_months(day: date, months: int) -> date:
    """Return the same day that many months on (or back), or the last one of a month which is too short."""
    count = day.year * 12 + day.month - 1 + months
    following = date((count + 1) // 12, (count + 1) % 12 + 1, 1)
    last = following - timedelta(days=1)
    return last.replace(day=min(day.day, last.day))


def format_moment(moment: Moment | datetime, zone: tzinfo) -> str:
    """Show a moment or an aware instant in local time: `2026-03-15 10:00`, or `2026-03-15` if it has no time."""
    at, has_time = (moment.at, moment.has_time) if isinstance(moment, Moment) else (moment, True)
    local = in_zone(at, zone).replace(tzinfo=None)
    return local.isoformat(" ", "minutes") if has_time else local.date().isoformat()


def echo_moment(moment: Moment | datetime, zone: tzinfo) -> str:
    """Show a moment with its weekday, for reading back what was understood: `Fri 2026-03-20 10:00`."""
    at = moment.at if isinstance(moment, Moment) else moment
    return f"{_WEEKDAYS[local_day(at, zone).weekday()]} {format_moment(moment, zone)}"


def shown(text: str) -> str:
    """Quote text from the command line for an error: one line, printable, at most 40 characters."""
    quoted = repr(text[:LONGEST])
    return quoted if len(quoted) <= _SHOWN else quoted[: _SHOWN - 1] + "…"


def _moment(day: date, clock: time | None, zone: tzinfo) -> Moment:
    return Moment(datetime.combine(day, clock or time(), zone).astimezone(UTC), clock is not None)


def _absolute(text: str, zone: tzinfo) -> Moment | None:
    """Read a date with a year in figures; None if it is not one, ValueError if there is no such day or time."""
    found = re.fullmatch(_STAMP, text)
    if found is None:
        return None
    iso_year, iso_month, iso_day, day, _, month, year, hour, minute, second, fraction, offset = found.groups()
    on = date(int(iso_year), int(iso_month), int(iso_day)) if iso_year else date(_year(year), int(month), int(day))
    if hour is None:
        return _moment(on, None, zone)
    clock = time(int(hour), int(minute), int(second or 0), int((fraction or "0")[:6].ljust(6, "0")))
    return _moment(on, clock, _fixed_zone(offset) if offset else zone)


def _year(figures: str) -> int:
    year = int(figures)
    if len(figures) == len("2026"):
        return year
    return year + (1900 if year >= _CENTURY_TURN else 2000)


def _is_in_range(moment: Moment, zone: tzinfo) -> bool:
    # The first test settles nearly all cells of an import at a fraction of the second one's cost.
    return FIRST_YEAR < moment.at.year < LAST_YEAR or FIRST_YEAR <= moment.at.astimezone(zone).year <= LAST_YEAR


@lru_cache(maxsize=64)
def _fixed_zone(offset: str) -> tzinfo:
    """Return the zone of `Z`, `+03`, `+0300` or `+03:00`; ValueError if there is none."""
    if offset in "Zz":
        return UTC
    figures = offset[1:].replace(":", "").ljust(4, "0")
    clock = time(int(figures[:2]), int(figures[2:]))
    ahead = timedelta(hours=clock.hour, minutes=clock.minute)
    return timezone(-ahead if offset[0] == "-" else ahead)


def _formed(text: str, form: str, zone: tzinfo) -> Moment:
    has_time = _form_has_time(form)
    stamp = datetime.strptime(text, form)  # noqa: DTZ007 (the company's zone is put in below)
    return Moment((stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)).astimezone(UTC), has_time)


@lru_cache(maxsize=64)
def _form_has_time(form: str) -> bool:
    """Tell whether a strptime format has a time of day; InputError if it does not make a whole date."""
    parts = set(re.findall("%(.)", form))
    has_day = "j" in parts or ("d" in parts and parts & set("mbB"))
    whole = bool(parts & set("cx") or (parts & set("yY") and has_day))
    try:
        if whole:
            datetime.strptime("", form)  # noqa: DTZ007 (tried for its errors only)
    except ValueError as error:
        whole = "does not match" in str(error)
    except re.error:
        # A directive that is given twice.
        whole = False
    if not whole:
        raise InputError(f"not the form of a whole date: {shown(form)}", "such as %d.%m.%Y or %Y-%m-%d %H:%M")
    return bool(parts & set("cXHI"))


def _relative(text: str, now: datetime, zone: tzinfo, *, past: bool) -> Moment | None:
    if text in {"now", "сейчас"}:
        return Moment(now, has_time=True)
    step = _step(text)
    if step and step[0] == "minute":
        return Moment(now + timedelta(minutes=step[1]), has_time=True)
    today, clock = local_day(now, zone), None
    found = re.search(_TIME, text)
    if found:
        hour, minute, second, hour_alone = found.groups()
        clock = time(int(hour or hour_alone), int(minute or 0), int(second or 0))
        text = text[: found.start()]
        if not text:
            return _nearest_time(clock, now, zone, past=past)
    day = _day(text, today, past=past)
    return None if day is None else _moment(day, clock, zone)


def _nearest_time(clock: time, now: datetime, zone: tzinfo, *, past: bool) -> Moment:
    moment = _moment(local_day(now, zone), clock, zone)
    if past and moment.at > now:
        return _moment(local_day(now, zone) - timedelta(days=1), clock, zone)
    if not past and moment.at < now:
        return _moment(local_day(now, zone) + timedelta(days=1), clock, zone)
    return moment


def _step(text: str) -> tuple[str, int] | None:
    """Read `+2w`, `in 2 weeks`, `неделю назад` as a base unit and a signed number of it."""
    if found := re.fullmatch(_SIGNED, text):
        sign = -1 if found[1] == "-" else 1
        count, word = found[2], found[3]
    elif found := re.fullmatch(_AHEAD, text):
        sign, count, word = 1, found[1], found[2]
    elif found := re.fullmatch(_BACK, text):
        sign, count, word = -1, found[1], found[2]
    else:
        return None
    number = 1 if count is None else int(count) if count.isdecimal() else _COUNT_WORDS.get(count)
    if number is None or word not in _UNITS:
        return None
    base, size = _UNITS[word]
    return base, sign * number * size


def _day(text: str, today: date, *, past: bool) -> date | None:
    """Read a phrase that means a day; None if it is not one, ValueError if there is no such day."""
    return _counted(text, today) or _named(text, today, past=past) or _dated(text, today, past=past)


def _counted(text: str, today: date) -> date | None:
    if text in _NEAR_DAYS:
        return today + timedelta(days=_NEAR_DAYS[text])
    base, number = _step(text) or ("", 0)
    if base == "day":
        return today + timedelta(days=number)
    return add_months(today, number) if base == "month" else None


def _named(text: str, today: date, *, past: bool) -> date | None:
    if (found := re.fullmatch(_END, text)) and found[1] in _MONTHS_IN:
        return _end_of(_MONTHS_IN[found[1]], today, past=past)
    if (found := re.fullmatch(_WEEKDAY, text)) and found[2] in _WEEKDAY_WORDS and (found[1] or "this") in _WHICH:
        return _weekday(_WEEKDAY_WORDS[found[2]], found[1], today, past=past)
    return None


def _dated(text: str, today: date, *, past: bool) -> date | None:
    if found := re.fullmatch(_NUMERIC_DAY, text):
        return _yearless(int(found[2]), int(found[1]), today, past=past)
    if found := re.fullmatch(_DAY_MONTH, text):
        day, word, year = found.groups()
    elif found := re.fullmatch(_MONTH_DAY, text):
        word, day, year = found.groups()
    else:
        return None
    month = _MONTH_WORDS.get(word)
    if month is None:
        return None
    return date(int(year), month, int(day)) if year else _yearless(month, int(day), today, past=past)


def _end_of(months: int, today: date, *, past: bool) -> date:
    """Return the last day of the current month, quarter or year; with `past` of the last one that is complete."""
    first = today.replace(month=today.month - (today.month - 1) % months, day=1)
    last = add_months(first, months) - timedelta(days=1)
    return first - timedelta(days=1) if past and last > today else last


def _weekday(weekday: int, word: str | None, today: date, *, past: bool) -> date:
    ahead = (weekday - today.weekday()) % 7
    which = None if word is None else _WHICH[word]
    if which == _NEXT:
        return today + timedelta(days=7 - today.weekday() + weekday)
    if which == _LAST:
        return today + timedelta(days=ahead - 7)
    if past:
        return today - timedelta(days=-ahead % 7)
    return today + timedelta(days=ahead if ahead or which == _THIS else 7)


def _yearless(month: int, day: int, today: date, *, past: bool) -> date:
    """Return the nearest such day from today on, with `past` up to today; ValueError if no year has it."""
    for years in range(_YEARS_TO_LEAP + 1):
        first = date(today.year - years if past else today.year + years, month, 1)
        wanted = first + timedelta(days=day - 1)
        if wanted.month == month and (wanted <= today if past else wanted >= today):
            return wanted
    raise ValueError(day)
