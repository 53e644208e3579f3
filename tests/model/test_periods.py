"""Periods: what is one, where it begins and ends, and which one came before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError
from crmcli.model.dates import local_day
from crmcli.model.periods import Period, Unit, parse_period, span, units

UNITS: tuple[Unit, ...] = ("day", "week", "month", "quarter", "year")
MOSCOW = ZoneInfo("Europe/Moscow")
ZONES = [MOSCOW, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Pacific/Apia")]
# 01:30 on 16 March in Moscow.
NOW = datetime(2026, 3, 15, 22, 30, tzinfo=UTC)


def parse(text: str) -> Period:
    return parse_period(text, now=NOW, zone=MOSCOW)


@pytest.mark.parametrize(
    ("text", "from_on", "to_on", "unit"),
    [
        ("2026", date(2026, 1, 1), date(2027, 1, 1), "year"),
        ("2026-Q1", date(2026, 1, 1), date(2026, 4, 1), "quarter"),
        ("2026-Q4", date(2026, 10, 1), date(2027, 1, 1), "quarter"),
        ("2026-03", date(2026, 3, 1), date(2026, 4, 1), "month"),
        ("2026-12", date(2026, 12, 1), date(2027, 1, 1), "month"),
        ("2026-03-15", date(2026, 3, 15), date(2026, 3, 16), "day"),
        ("7d", date(2026, 3, 10), date(2026, 3, 17), "span"),
        ("1d", date(2026, 3, 16), date(2026, 3, 17), "span"),
    ],
)
def test_what_is_a_period(text: str, from_on: date, to_on: date, unit: str) -> None:
    period = parse(text)
    assert (period.from_on, period.to_on, period.unit, period.label) == (from_on, to_on, unit, text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "all", "26", "2026 ", "2026-Q0", "2026-Q5", "2026-q1", "2026Q1", "2026-13", "2026-00", "2026-3",
        "2026-02-30",
        "0d", "07d", "d", "-7d", "7 d", "7D", "99999d", "9999d" * 9, "today", "15.03.2026", "1899", "2201", "0000",
        "9999",         "٢٠٢٦", "2026\n", "2026-01-01..2026-02-01", "\ud800", "x" * 100_000,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 90


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("2026", "2025"),
        ("2026-Q1", "2025-Q4"),
        ("2026-Q3", "2026-Q2"),
        ("2026-01", "2025-12"),
        ("2026-03", "2026-02"),
        ("2026-03-01", "2026-02-28"),
        ("7d", "2026-03-03..2026-03-10"),
    ],
)
def test_the_period_before(text: str, label: str) -> None:
    period = parse(text)
    before = period.previous()
    assert before.label == label
    assert before.unit == period.unit
    assert before.to_on == period.from_on


@given(
    text=st.one_of(
        st.integers(1901, 2199).map(str),
        st.builds("{}-Q{}".format, st.integers(1901, 2199), st.integers(1, 4)),
        st.builds("{}-{:02}".format, st.integers(1901, 2199), st.integers(1, 12)),
        st.dates(date(1901, 1, 1), date(2199, 12, 31)).map(str),
        st.builds("{}d".format, st.integers(1, 9999)),
    )
)
def test_periods_join_without_gap_or_overlap(text: str) -> None:
    period = parse(text)
    before = period.previous()
    assert before.from_on < before.to_on == period.from_on < period.to_on
    if period.unit in {"day", "span"}:
        assert before.to_on - before.from_on == period.to_on - period.from_on
    if period.unit != "span":
        assert parse(before.label) == before


@given(at=st.datetimes(datetime(1971, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)), zone=st.sampled_from(ZONES))  # noqa: DTZ001
def test_an_instant_is_within_the_bounds_of_its_periods(at: datetime, zone: ZoneInfo) -> None:
    day = local_day(at, zone)
    labels = [str(day), f"{day:%Y-%m}", f"{day:%Y}", f"{day.year}-Q{(day.month + 2) // 3}", "1d"]
    for text in labels:
        period = parse_period(text, now=at, zone=zone)
        from_at, to_at = period.bounds(zone)
        assert from_at <= at < to_at
        assert from_at.tzinfo is to_at.tzinfo is UTC
        assert period.previous().bounds(zone)[1] == from_at


def test_bounds_are_local_midnights() -> None:
    assert parse("2026").bounds(MOSCOW) == (
        datetime(2025, 12, 31, 21, tzinfo=UTC),
        datetime(2026, 12, 31, 21, tzinfo=UTC),
    )


def test_a_span_has_its_end_outside() -> None:
    period = span("2026-03-01", "2026-03-15", now=NOW, zone=MOSCOW)
    assert period == Period(date(2026, 3, 1), date(2026, 3, 15), "span", "2026-03-01..2026-03-15")
    assert period.previous().from_on == date(2026, 3, 1) - timedelta(days=14)


@pytest.mark.parametrize(
    ("unit", "labels"),
    [
        ("day", ["2026-12-31", "2027-01-01"]),
        ("week", ["2026-W53"]),
        ("month", ["2026-12", "2027-01"]),
        ("quarter", ["2026-Q4", "2027-Q1"]),
        ("year", ["2026", "2027"]),
    ],
)
def test_units_have_their_names(unit: Unit, labels: list[str]) -> None:
    assert [each.label for each in units(date(2026, 12, 31), date(2027, 1, 2), unit)] == labels


@given(st.dates(date(1901, 1, 1), date(2199, 12, 31)), st.integers(0, 900), st.sampled_from(UNITS))
def test_units_join_and_none_is_left_out(day: date, days: int, unit: Unit) -> None:
    found = units(day, day + timedelta(days=days), unit)
    assert bool(found) == bool(days)
    for before, after in pairwise(found):
        assert before.to_on == after.from_on
        assert after.previous() == before
    assert not found or (found[0].from_on <= day and found[-1].from_on < day + timedelta(days=days) <= found[-1].to_on)


def test_a_span_without_an_end_reaches_through_today() -> None:
    assert span("01.03", None, now=NOW, zone=MOSCOW).to_on == date(2026, 3, 17)


def test_a_span_looks_back() -> None:
    period = span("1 декабря", "вчера", now=NOW, zone=MOSCOW)
    assert (period.from_on, period.to_on) == (date(2025, 12, 1), date(2026, 3, 15))


@pytest.mark.parametrize(
    ("from_text", "to_text"),
    [
        (None, None),
        (None, "2026-03-01"),
        ("2026-03-02", "2026-03-01"),
        ("2026-03-01", "2026-03-01"),
        ("tomorrow", None),
        ("2026-03-01 10:00", None),
        ("2026-03-01", "now"),
        ("everything", None),
    ],
)
def test_spans_that_are_refused(from_text: str | None, to_text: str | None) -> None:
    with pytest.raises(InputError):
        span(from_text, to_text, now=NOW, zone=MOSCOW)
