"""The date grammar, in two languages and through changes of the clocks."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.model.dates import (
    Moment,
    add_months,
    day_end,
    day_start,
    echo_moment,
    format_moment,
    local_day,
    parse_moment,
    parse_stamp,
)

MOSCOW = ZoneInfo("Europe/Moscow")
NEW_YORK = ZoneInfo("America/New_York")
APIA = ZoneInfo("Pacific/Apia")
ZONES = [MOSCOW, NEW_YORK, ZoneInfo("Asia/Kathmandu"), APIA]
# A Sunday, 13:30 in Moscow.
NOW = datetime(2026, 3, 15, 10, 30, tzinfo=UTC)
FRIDAY = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)

zones = st.sampled_from(ZONES)
days = st.dates(date(1970, 1, 2), date(2100, 12, 31))
instants = st.datetimes(datetime(1970, 1, 2), datetime(2100, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def local(text: str, *, now: datetime = NOW, zone: ZoneInfo = MOSCOW, past: bool = False) -> str:
    return format_moment(parse_moment(text, now=now, zone=zone, past=past), zone)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-15", "2026-03-15"),
        ("2026-3-5", "2026-03-05"),
        ("2026-03-15 10:00", "2026-03-15 10:00"),
        ("2026-03-15T10:00", "2026-03-15 10:00"),
        ("2026-03-15T10:00:30", "2026-03-15 10:00"),
        ("2026-03-15T10:00Z", "2026-03-15 13:00"),
        ("2026-03-15T10:00+05:30", "2026-03-15 07:30"),
        ("2026-03-15 10:00:00.123456789 -0800", "2026-03-15 21:00"),
        ("15.03", "2026-03-15"),
        ("14.03", "2027-03-14"),
        ("16.3", "2026-03-16"),
        ("29.02", "2028-02-29"),
        ("15.03.2026", "2026-03-15"),
        ("15.3.26", "2026-03-15"),
        ("15.3.85", "1985-03-15"),
        ("15.03 10:00", "2026-03-15 10:00"),
        ("15.03.2026, 10:00", "2026-03-15 10:00"),
        ("15/03/2026", "2026-03-15"),
        ("4/5/2026", "2026-05-04"),
        ("today", "2026-03-15"),
        ("Today 18:00", "2026-03-15 18:00"),
        ("tomorrow 10:00", "2026-03-16 10:00"),
        ("tomorrow at 10", "2026-03-16 10:00"),
        ("yesterday", "2026-03-14"),
        ("now", "2026-03-15 13:30"),
        ("fri", "2026-03-20"),
        ("FRIDAY 10:00", "2026-03-20 10:00"),
        ("on friday", "2026-03-20"),
        ("sun", "2026-03-22"),
        ("this sun", "2026-03-15"),
        ("next friday", "2026-03-20"),
        ("next sun", "2026-03-22"),
        ("last fri", "2026-03-13"),
        ("last sunday", "2026-03-08"),
        ("+2w", "2026-03-29"),
        ("+3d", "2026-03-18"),
        ("+1m", "2026-04-15"),
        ("+1m 9:05", "2026-04-15 09:05"),
        ("+1y", "2027-03-15"),
        ("-2d", "2026-03-13"),
        ("+2h", "2026-03-15 15:30"),
        ("in 30 minutes", "2026-03-15 14:00"),
        ("in 2 months", "2026-05-15"),
        ("in a week at 10:00", "2026-03-22 10:00"),
        ("in two weeks", "2026-03-29"),
        ("2 weeks ago", "2026-03-01"),
        ("a month ago", "2026-02-15"),
        ("end of month", "2026-03-31"),
        ("end of the quarter", "2026-03-31"),
        ("end of year", "2026-12-31"),
        ("14:00", "2026-03-15 14:00"),
        ("13:30", "2026-03-15 13:30"),
        ("10:00", "2026-03-16 10:00"),
        ("at 10:00", "2026-03-16 10:00"),
        ("15 mar", "2026-03-15"),
        ("march 14", "2027-03-14"),
        ("March 15, 2027", "2027-03-15"),
        ("15th march 10:00", "2026-03-15 10:00"),
        ("сегодня", "2026-03-15"),
        ("завтра 10:00", "2026-03-16 10:00"),
        ("Завтра в 10:00", "2026-03-16 10:00"),
        ("завтра в 10", "2026-03-16 10:00"),
        ("послезавтра", "2026-03-17"),
        ("вчера", "2026-03-14"),
        ("позавчера", "2026-03-13"),
        ("сейчас", "2026-03-15 13:30"),
        ("пт", "2026-03-20"),
        ("ПТ.", "2026-03-20"),
        ("пятница", "2026-03-20"),
        ("в пятницу в 10:00", "2026-03-20 10:00"),
        ("во вторник", "2026-03-17"),
        ("в следующую пятницу", "2026-03-20"),
        ("в след. среду", "2026-03-18"),
        ("в прошлую среду", "2026-03-11"),
        ("через 2 месяца", "2026-05-15"),
        ("через неделю", "2026-03-22"),
        ("через 3 дня", "2026-03-18"),
        ("через три дня", "2026-03-18"),
        ("через полгода", "2026-09-15"),
        ("через 5 лет", "2031-03-15"),
        ("через 2 часа", "2026-03-15 15:30"),
        ("2 дня назад", "2026-03-13"),
        ("неделю назад", "2026-03-08"),
        ("конец месяца", "2026-03-31"),
        ("в конце месяца в 18:00", "2026-03-31 18:00"),
        ("конец года", "2026-12-31"),
        ("в 10:00", "2026-03-16 10:00"),
        ("15 марта", "2026-03-15"),
        ("15 марта 2027", "2027-03-15"),
        ("15 марта 2027 г. в 10:00", "2027-03-15 10:00"),
        ("1 сент.", "2026-09-01"),
        ("  15\u00a0марта  ", "2026-03-15"),
        ("1900-01-01", "1900-01-01"),
        ("31.12.2200 23:59", "2200-12-31 23:59"),
    ],
)
def test_what_people_write(text: str, expected: str) -> None:
    assert local(text) == expected
    assert local(text.upper()) == expected
    assert local(unicodedata.normalize("NFD", text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15.03", "2026-03-15"),
        ("16.03", "2025-03-16"),
        ("29.02", "2024-02-29"),
        ("16 марта", "2025-03-16"),
        ("fri", "2026-03-13"),
        ("sun", "2026-03-15"),
        ("next fri", "2026-03-20"),
        ("last sun", "2026-03-08"),
        ("конец месяца", "2026-02-28"),
        ("end of year", "2025-12-31"),
        ("10:00", "2026-03-15 10:00"),
        ("13:30", "2026-03-15 13:30"),
        ("23:50", "2026-03-14 23:50"),
        ("tomorrow", "2026-03-16"),
        ("+2d", "2026-03-17"),
    ],
)
def test_what_is_open_looks_back_when_asked_to(text: str, expected: str) -> None:
    assert local(text, past=True) == expected


def test_a_weekday_said_on_that_day() -> None:
    assert local("fri", now=FRIDAY) == local("next fri", now=FRIDAY) == "2026-03-27"
    assert local("this fri", now=FRIDAY) == local("fri", now=FRIDAY, past=True) == "2026-03-20"
    assert local("last fri", now=FRIDAY) == "2026-03-13"


def test_the_last_day_of_a_month_is_its_end() -> None:
    last = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert local("конец месяца", now=last) == local("end of month", now=last, past=True) == "2026-02-28"


def test_next_weekday_is_in_the_next_calendar_week() -> None:
    monday = FRIDAY - timedelta(days=4)
    assert local("fri", now=monday) == "2026-03-20"
    assert local("в следующую пятницу", now=monday) == "2026-03-27"


def test_yo_is_e() -> None:
    assert local("через четыре дня") == local("чЕрез чЁтыре дня") == "2026-03-19"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "7d", "2026", "2026-03", "2026-02-30", "31.02", "31.02.2026", "00.01", "15.13", "03/15/2026",
        "15.03/2026", "15.03.026", "2026/03/15", "24:00", "10:60", "tomorrow 25:00", "now 10:00", "in 2 hours 10:00",
        "+2", "+2x", "+99999d", "+9999m", "in x weeks", "in 2", "через", "someday", "each fri", "15 foo", "end of week",
        "99 марта", "0 марта", "1899-12-31", "2201-01-01", "0000-01-01", "9999-12-31", "+9999y", "-9999y",
        "2026-03-15T",
        "2026-03-15T10:00+25:00", "2026-03-15T10:00+03:60", "2026-03-15 10:00 MSK", "9999-12-31T23:59-12:00",
        "0001-01-01T00:00+12:00", "\x00", "\ud800", "٢٠٢٦-٠٣-١٥", "2026-03-15\n2026-03-16", "a" * 61, " " * 61,
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_printable_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_moment(text, now=NOW, zone=MOSCOW)
    message = caught.value.message
    assert message.isprintable()
    assert len(message.partition(": ")[2]) <= 40


scraps = st.text("0123456789.:-/+ TZzвfri", max_size=20)


@given(text=st.one_of(st.text(max_size=70), scraps), zone=zones, past=st.booleans())
def test_any_text_is_a_moment_or_refused(text: str, zone: ZoneInfo, *, past: bool) -> None:
    try:
        moment = parse_moment(text, now=NOW, zone=zone, past=past)
    except InputError:
        return
    assert moment.at.tzinfo is UTC
    assert 1900 <= local_day(moment.at, zone).year <= 2200


@given(now=instants, zone=zones, weekday=st.integers(0, 6))
def test_a_weekday_is_within_a_week(now: datetime, zone: ZoneInfo, weekday: int) -> None:
    word = ["пн", "tue", "среда", "thurs", "в пятницу", "суббота", "on sunday"][weekday]
    today = local_day(now, zone)
    # Read the day in UTC, where none is ever skipped.
    noon = datetime.combine(today, time(12), UTC)
    ahead = parse_moment(word, now=noon, zone=UTC).at.date()
    back = parse_moment(word, now=noon, zone=UTC, past=True).at.date()
    assert ahead.weekday() == back.weekday() == weekday
    assert 1 <= (ahead - today).days <= 7
    assert 0 <= (today - back).days <= 6


@given(now=instants, zone=zones, clock=st.times(), past=st.booleans())
def test_a_time_alone_is_the_nearest_on_its_side(now: datetime, zone: ZoneInfo, clock: time, *, past: bool) -> None:
    moment = parse_moment(f"{clock:%H:%M:%S}", now=now, zone=zone, past=past)
    away = now - moment.at if past else moment.at - now
    # A day with a change of the clocks is longer, and Apia once went without a day.
    assert timedelta() <= away <= timedelta(days=2, hours=1)


@given(now=instants, zone=zones, count=st.integers(0, 300))
def test_both_languages_agree(now: datetime, zone: ZoneInfo, count: int) -> None:
    for english, russian in [("days", "дней"), ("weeks", "недель"), ("months", "месяцев"), ("hours", "часов")]:
        ahead = parse_moment(f"in {count} {english}", now=now, zone=zone)
        assert ahead == parse_moment(f"через {count} {russian}", now=now, zone=zone)
        back = parse_moment(f"{count} {english} ago", now=now, zone=zone)
        assert back == parse_moment(f"{count} {russian} назад", now=now, zone=zone)


def test_months_clamp() -> None:
    assert local("+1m", now=datetime(2026, 1, 31, tzinfo=UTC)) == "2026-02-28"
    assert local("+1m", now=datetime(2028, 1, 31, tzinfo=UTC)) == "2028-02-29"
    assert local("месяц назад", now=datetime(2026, 3, 31, tzinfo=UTC)) == "2026-02-28"
    assert local("+1y", now=datetime(2028, 2, 29, tzinfo=UTC)) == "2029-02-28"


@given(day=days, months=st.integers(-800, 800))
def test_adding_months_lands_in_that_month(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


def test_a_time_the_clocks_skip_moves_forward_and_a_double_one_is_the_first() -> None:
    assert local("2026-03-08 02:30", zone=NEW_YORK) == "2026-03-08 03:30"
    assert parse_moment("2026-11-01 01:30", now=NOW, zone=NEW_YORK).at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_apia_had_no_30_december_2011() -> None:
    skipped = date(2011, 12, 30)
    assert local("2011-12-30 10:00", zone=APIA) == "2011-12-31 10:00"
    assert day_start(skipped, APIA) == day_end(skipped, APIA) == day_start(date(2011, 12, 31), APIA)


def test_a_day_starts_after_midnight_where_the_clocks_skip_it() -> None:
    assert echo_moment(day_start(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo")), ZoneInfo("America/Sao_Paulo")) == (
        "Sun 2018-11-04 01:00"
    )


@given(at=instants, zone=zones)
@example(at=datetime(2011, 12, 30, 9, 59, 59, tzinfo=UTC), zone=APIA)
@example(at=datetime(2011, 12, 30, 10, tzinfo=UTC), zone=APIA)
@example(at=datetime(1985, 12, 31, 18, 30, tzinfo=UTC), zone=ZoneInfo("Asia/Kathmandu"))
def test_every_instant_is_within_its_local_day(at: datetime, zone: ZoneInfo) -> None:
    day = local_day(at, zone)
    assert day_start(day, zone) <= at < day_end(day, zone)


@given(day=days, zone=zones, clock=st.none() | st.times().map(lambda at: at.replace(second=0, microsecond=0)))
def test_what_is_shown_reads_back(day: date, zone: ZoneInfo, clock: time | None) -> None:
    text = f"{day}" if clock is None else f"{day} {clock:%H:%M}"
    moment = parse_moment(text, now=NOW, zone=zone)
    assert moment.has_time == (clock is not None)
    again = parse_moment(format_moment(moment, zone), now=NOW, zone=zone)
    # What occurs twice is read as the first; what was skipped shows as what it became.
    assert again == moment
    assert echo_moment(moment, zone)[4:] == format_moment(moment, zone)


def test_how_moments_are_shown() -> None:
    at = datetime(2026, 3, 20, 7, 0, 59, tzinfo=UTC)
    assert format_moment(at, MOSCOW) == "2026-03-20 10:00"
    assert format_moment(Moment(at, has_time=False), MOSCOW) == "2026-03-20"
    assert echo_moment(Moment(at, has_time=True), MOSCOW) == "Fri 2026-03-20 10:00"
    assert echo_moment(Moment(at, has_time=False), MOSCOW) == "Fri 2026-03-20"


@pytest.mark.parametrize(
    ("text", "form", "expected", "has_time"),
    [
        ("2026-03-15", None, "2026-03-15 00:00", False),
        (" 15.03.2026 ", None, "2026-03-15 00:00", False),
        ("15/3/26 9:05", None, "2026-03-15 09:05", True),
        ("2026-03-15T10:00:00.000+0300", None, "2026-03-15 10:00", True),
        ("03/15/2026", "%m/%d/%Y", "2026-03-15 00:00", False),
        ("20260315", "%Y%m%d", "2026-03-15 00:00", False),
        ("15 Mar 2026 10:00 PM", "%d %b %Y %I:%M %p", "2026-03-15 22:00", True),
        ("15.03.26 10:00 +0000", "%d.%m.%y %H:%M %z", "2026-03-15 13:00", True),
    ],
)
def test_stamps_of_an_import(text: str, form: str | None, expected: str, *, has_time: bool) -> None:
    for _ in range(2):
        at, found_time = parse_stamp(text, form, MOSCOW)
        assert at.tzinfo is UTC
        assert (format_moment(at, MOSCOW), found_time) == (expected, has_time)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", None), ("today", None), ("15.03", None), ("10:00", None), ("31.02.2026", None), ("+1d", None),
        ("1899-12-31", None), ("9999-12-31T23:59-12:00", None), ("1" * 61, None), ("31.02.2026", "%d.%m.%Y"),
        ("15.03.1850", "%d.%m.%Y"), ("15.03.2026 10:00", "%d.%m.%Y"), ("\x00", "%d.%m.%Y"),
    ],
)  # fmt: skip
def test_cells_that_are_no_stamp(text: str, form: str | None) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match=r"not a date|a date not"):
            parse_stamp(text, form, MOSCOW)


@pytest.mark.parametrize("form", ["%d.%m", "%H:%M", "%d%d.%m.%Y", "%d.%m.%Y %Q", "%d.%m.%Y %", "", "%%d.%m.%Y"])
def test_forms_that_make_no_whole_date(form: str) -> None:
    with pytest.raises(InputError, match="not the form of a whole date"):
        parse_stamp("15.03.2026", form, MOSCOW)


@pytest.mark.parametrize("form", [None, "%d.%m.%Y"])
def test_a_cell_is_never_quoted(form: str | None) -> None:
    with pytest.raises(InputError) as caught:
        parse_stamp("Секрет", form, MOSCOW)
    assert "Секрет" not in f"{caught.value.message} {caught.value.hint}"


@given(at=instants, zone=zones)
def test_a_stamp_reads_what_python_writes(at: datetime, zone: ZoneInfo) -> None:
    assert parse_stamp(at.isoformat(), None, zone) == (at, True)
    assert parse_stamp(at.astimezone(zone).isoformat(" "), None, zone) == (at, True)


def test_fractions_of_a_second() -> None:
    whole = datetime(2026, 3, 15, 10, tzinfo=UTC)
    for fraction, microseconds in [("5", 500_000), ("000001", 1), ("123456789", 123_456)]:
        assert parse_stamp(f"2026-03-15T10:00:00.{fraction}Z", None, MOSCOW)[0] - whole == timedelta(0, 0, microseconds)


@given(day=days, zone=zones)
def test_stamps_and_the_grammar_agree(day: date, zone: ZoneInfo) -> None:
    expected = (day_start(day, zone), False)
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y"):
        text = day.strftime(form)
        moment = parse_moment(text, now=NOW, zone=zone)
        assert (moment.at, moment.has_time) == expected
        assert parse_stamp(text, None, zone) == parse_stamp(text, form, zone) == expected
