"""Repeat sales: occasions, periods and the norms they fall back on, bands, and what is typed for them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from crmcli.errors import InputError
from crmcli.model.bands import BANDS, band, parse_bands
from crmcli.model.records import Client, Sale
from crmcli.model.returning import (
    Norm,
    Norms,
    likelihood,
    occasions,
    own_period,
    parse_days,
    period_rows,
    personal_period,
    with_period,
    without_small_shares,
)

ZONE = ZoneInfo("Europe/Moscow")
START = datetime(2025, 3, 1, 9, tzinfo=UTC)
LATER = START + timedelta(days=1000)


def sale(number: int, day: float, amount: int, **more: object) -> Sale:
    return Sale(number, 1, START + timedelta(days=day), Decimal(amount), 1, **more)  # type: ignore[arg-type]


def test_documents_of_a_day_are_one_occasion() -> None:
    sales = [sale(1, 0, 10), sale(2, 0.2, 20), sale(3, 10, 5), sale(4, 20, 5, voided=True), sale(5, 30, 0)]
    assert occasions(sales, ZONE, LATER) == [date(2025, 3, 1), date(2025, 3, 11)]
    # Half past nine in the evening of UTC is the next day in Moscow.
    assert occasions([sale(1, 0.53, 10)], ZONE, LATER) == [date(2025, 3, 2)]


def test_a_refund_counts_against_the_day_of_its_document() -> None:
    part, whole = sale(2, 9, -4, refund_of=1), sale(3, 12, -6, refund_of=1)
    kept = [sale(1, 0, 10), sale(4, 12, 3)]
    assert len(occasions([*kept, part], ZONE, LATER)) == 2
    assert occasions([*kept, part, whole], ZONE, LATER) == [date(2025, 3, 13)]
    assert len(occasions([*kept, part, whole], ZONE, START + timedelta(days=10))) == 1
    # One whose document is not known counts against its own day.
    assert occasions([sale(4, 12, 3), sale(5, 12, -3)], ZONE, LATER) == []


def test_the_own_period_needs_two_occasions() -> None:
    days = [date(2025, 3, 1), date(2025, 3, 11), date(2025, 3, 31)]
    assert own_period(days) == 15.0
    assert own_period(days[:1]) is own_period([]) is None


def test_the_personal_period_lies_between_the_own_and_that_of_the_segment() -> None:
    assert personal_period(3, 15.0, 60.0) == (2 * 15 + 5 * 60) / 7
    assert personal_period(1, None, 60.0) == 60.0
    assert personal_period(3, 15.0, 60.0, 45) == 45.0


def norm(clients: int, days: float) -> Norm:
    return Norm(clients, *[days] * 6)


def test_a_segment_of_few_clients_goes_by_the_base_and_that_by_the_default() -> None:
    segments = {"private": norm(5, 30), "business": norm(4, 10)}
    norms = Norms(date(2025, 3, 1), 90, norm(10, 40), segments)
    assert [norms.of(name).period_days for name in ("private", "business", None, "new")] == [30, 40, 40, 40]
    assert [norms.basis(name) for name in ("private", "business")] == ["segment", "base"]
    few = Norms(date(2025, 3, 1), 90, norm(4, 40), {})
    assert (few.of("private"), few.basis("private")) == (Norm.plain(90), "default")
    assert Norms(date(2025, 3, 1), 90, None, {}).of(None).period_days == 90
    published = Norms.from_plain(norms.to_plain(), 90)
    assert published.is_published
    assert (published.whole, dict(published.segments)) == (norms.whole, segments)


def test_bands() -> None:
    ends = parse_bands("1, 1.5, 2, 3, 5")
    assert [band(times, ends) for times in (0, 1, 1.1, 2, 3, 3.01, 5, 5.1)] == [
        "on time", "on time", "due", "late", "at risk", "leaving", "leaving", "lost",
    ]  # fmt: skip
    assert {band(times / 10, ends) for times in range(60)} == set(BANDS)
    for text in ("", "1 2 3 4", "1 2 3 4 5 6", "1 2 2 3 4", "0 1 2 3 4", "a b c d e", "1 2 3 4 nan", "5 4 3 2 1"):
        with pytest.raises(InputError):
            parse_bands(text)


def test_who_bought_often_and_lately_ranks_first() -> None:
    assert likelihood(5, 10, 60) > likelihood(4, 10, 60) > likelihood(4, 30, 60) > likelihood(1, 30, 60) > 0


def test_days_that_are_typed() -> None:
    assert [parse_days(text, "it") for text in ("45d", " 45 ", "1D")] == [45, 45, 1]
    for text in ("", "0", "-3", "4.5", "45 days", "٤", "10000", "none"):
        with pytest.raises(InputError):
            parse_days(text, "it")
    client = Client(1, START, 1, 1)
    assert with_period(with_period(client, "45d"), "none") == client
    assert with_period(client, "45d").period_days == 45


def test_rows_of_periods_say_what_they_rest_on() -> None:
    figures = {"period_median": 3.0, "period_p80": 4.0, "interval_mean": 2.0}
    many = {"segment": "b", "is_whole": False, "period_days": 8.0, "clients": 5, "buyers": 5, **figures}
    few = {"segment": "a", "is_whole": False, "period_days": 3.0, "clients": 4, "buyers": 9, **figures}
    whole = {"segment": None, "is_whole": True, "period_days": 7.0, "clients": 5, "buyers": 20, **figures}
    rows = period_rows([few, many, many | {"segment": None}, whole], 90)
    assert [(row[0], row[1], row[8]) for row in rows] == [
        ("a", 7.0, "base"), ("b", 8.0, "segment"), ("unknown", 7.0, "base"), ("all", 7.0, "base"),
    ]  # fmt: skip
    assert [row[6] for row in rows] == [55.6, 0.0, 0.0, 75.0]
    assert [row[6] for row in without_small_shares(rows)] == [None, None, None, 75.0]
    nobody = dict.fromkeys(few) | {"is_whole": True, "clients": 0, "buyers": 0}
    assert period_rows([nobody], 90) == [("all", 90.0, None, None, 0, 0, None, None, "default")]
