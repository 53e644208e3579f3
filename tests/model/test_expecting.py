"""The next purchase: which origin comes first, the window, what is used up, and what a sale settles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median, quantiles
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from crmcli.model.acting import Acting
from crmcli.model.expecting import Expected, follow_up, next_purchase, quantile, used_up_on
from crmcli.model.records import Client, Note, Product, Reminder, Sale, SaleLine
from crmcli.model.returning import Norm

ZONE = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
NORM = Norm(50, 60, 40, 70, 20, 30, 50)
DAYS = [date(2026, 1, 1), date(2026, 1, 11), date(2026, 2, 10)]


def days(day: date, origin: str) -> Expected:
    """Return a next purchase on one day."""
    return Expected(day, day, day, origin)


def test_a_named_day_comes_first_then_goods_then_the_rhythm() -> None:
    stated, used_up = date(2026, 3, 20), date(2026, 3, 5)
    assert next_purchase(DAYS, NORM, stated, used_up) == days(stated, "stated")
    assert next_purchase(DAYS, NORM, None, used_up) == days(used_up, "use-up")
    found = next_purchase(DAYS, NORM)
    # Own gaps 10 and 30: median 20, quartiles 15 and 25; (2 x 20 + 5 x 30) / 7 = 27.1, and 18.6, and 42.9.
    assert found == Expected(date(2026, 3, 9), date(2026, 3, 1), date(2026, 3, 25), "rhythm")
    assert next_purchase(DAYS, NORM, by_hand=45) == days(date(2026, 3, 27), "rhythm")


def test_what_was_named_or_used_up_before_the_last_purchase_is_over() -> None:
    found = next_purchase(DAYS, NORM, date(2026, 2, 10), date(2026, 2, 10))
    assert found == next_purchase(DAYS, NORM)


def test_one_purchase_says_little_and_none_nothing() -> None:
    found = next_purchase(DAYS[:1], NORM)
    assert found == Expected(date(2026, 3, 2), date(2026, 2, 10), date(2026, 3, 12), "segment", is_weak=True)
    skewed = next_purchase(DAYS[:1], replace(NORM, period_high=50))
    assert skewed is not None
    assert skewed.from_on is not None
    assert skewed.from_on < skewed.on == skewed.to_on
    assert next_purchase([], NORM) is None
    assert next_purchase([], NORM, date(2026, 4, 1)) == days(date(2026, 4, 1), "stated")


def test_where_too_few_bought_twice_there_is_no_window() -> None:
    plain = Norm.plain(90)
    # (2 x 20 + 5 x 90) / 7 = 70 days.
    assert next_purchase(DAYS, plain) == Expected(date(2026, 4, 21), None, None, "rhythm", is_weak=True)
    assert next_purchase(DAYS[:1], plain) == Expected(date(2026, 4, 1), None, None, "segment", is_weak=True)
    assert next_purchase(DAYS, plain, by_hand=45) == days(date(2026, 3, 27), "rhythm")


@given(st.lists(st.integers(0, 1000), min_size=2).map(sorted))
def test_quantiles_are_interpolated(values: list[int]) -> None:
    low, _, high = quantiles(values, method="inclusive")
    found = [quantile(values, share) for share in (0.25, 0.5, 0.75)]
    assert found == [low, median(values), high]


def test_goods_are_used_up_by_how_many_were_bought_last() -> None:
    tea, pot = Product(1, "Tea", use_up_days=30), Product(2, "Pot")
    sales = [Sale(n, 9, NOW + ago * DAY, Decimal(100), 1) for n, ago in ((1, -40), (2, -10), (3, -5))]
    lines = [
        SaleLine(10, 1, 9, 1, Decimal(5), None, Decimal(1)),
        SaleLine(11, 2, 9, 1, Decimal("0.5"), None, Decimal(1)),
        SaleLine(12, 2, 9, 1, Decimal(1), None, Decimal(1)),
        SaleLine(13, 3, 9, 2, Decimal(1), None, Decimal(1)),
        SaleLine(14, 3, 9, None, Decimal(1), None, Decimal(1)),
    ]
    products = {1: tea, 2: pot}
    last = date(2026, 2, 25)
    assert used_up_on(sales, lines, products, ZONE, last) == date(2026, 2, 20) + 45 * DAY
    assert used_up_on(sales, lines, products, ZONE, date(2026, 5, 1)) is None
    assert used_up_on(sales, lines, {2: pot}, ZONE, last) is None
    back = Sale(4, 9, NOW, Decimal(-100), 1, refund_of=2)
    assert used_up_on([*sales, back], lines, products, ZONE, last) == date(2026, 1, 21) + 150 * DAY
    for many in (Decimal(10**9), Decimal(2000)):
        lines[2] = replace(lines[2], quantity=many)
        assert used_up_on(sales, lines, products, ZONE, last) == date(2026, 2, 20) + 36_500 * DAY


def test_a_sale_settles_what_was_to_bring_it_about_and_plans_the_next() -> None:
    numbers = iter(range(100, 200))
    acting = Acting(7, NOW, NOW, lambda: next(numbers))
    client = Client(1, NOW, 1, 1, buy_by=date(2026, 3, 10))
    causes = ("reactivation", "buy_by", "next_purchase", "promise")
    made = [Reminder(n, 1, cause, NOW + DAY, False, 1, NOW - DAY, 1) for n, cause in enumerate(causes, 1)]
    later = replace(made[0], reminder_id=9, cause="manual", created_at=NOW + DAY)
    expected = Expected(date(2026, 4, 10), date(2026, 4, 1), date(2026, 4, 20), "rhythm")
    found = follow_up(acting, client, expected, [*made, later], 7, ZONE)
    changed = {record.reminder_id: record for record in found if isinstance(record, Reminder)}
    assert {number: reminder.status for number, reminder in changed.items()} == {1: "done", 2: "done", 3: "open"}
    assert changed[3].due_at == datetime(2026, 4, 2, 21, tzinfo=UTC)
    assert [note.about_id for note in found if isinstance(note, Note)] == [3]
    assert [record.buy_by for record in found if isinstance(record, Client)] == [None]
    nothing = follow_up(acting, replace(client, buy_by=None), None, [*made, later], 7, ZONE)
    assert [(record.reminder_id, record.status) for record in nothing if isinstance(record, Reminder)] == [
        (1, "done"), (2, "done"), (3, "done"),
    ]  # fmt: skip
    assert len(nothing) == 3
    # A day that is nearer than the lead is for today.
    soon = Expected(date(2026, 3, 4), date(2026, 3, 4), date(2026, 3, 4), "stated")
    reminder, _, kept = follow_up(acting, client, soon, [], 7, ZONE)
    assert isinstance(reminder, Reminder)
    assert isinstance(kept, Client)
    assert reminder.due_at == datetime(2026, 3, 1, 21, tzinfo=UTC)
    assert kept.buy_by == date(2026, 3, 4)


def test_a_sale_recorded_late_leaves_what_was_planned_since() -> None:
    late = Acting(7, NOW - 5 * DAY, NOW, iter(range(100, 200)).__next__)
    client = Client(1, NOW, 1, 1, buy_by=date(2026, 7, 20))
    offer = Reminder(3, 1, "next_purchase", NOW + 90 * DAY, False, 1, NOW - DAY, 1)
    auto = replace(client, buy_by=None)
    assert follow_up(late, client, None, [offer], 7, ZONE, is_said=False) == []
    assert follow_up(late, auto, None, [offer], 7, ZONE, is_said=False) == []
    # Said to be none, there is none, whenever it was planned.
    assert follow_up(late, client, None, [offer], 7, ZONE) == [
        replace(offer, status="done", done_at=late.at),
        replace(client, buy_by=None),
    ]
    # What was planned with an older sale and moved since was planned since.
    moved, text, _ = follow_up(
        late, auto, days(date(2026, 7, 20), "stated"), [replace(offer, created_at=NOW - 9 * DAY)], 7, ZONE
    )
    assert isinstance(moved, Reminder)
    assert isinstance(text, Note)
    assert (moved.reminder_id, moved.created_at, text.noted_at) == (3, NOW, NOW)


def test_a_named_day_stays_until_they_buy_on_it_or_later_and_a_first_purchase_is_the_planned_one() -> None:
    acting = Acting(7, NOW, NOW, iter(range(100, 200)).__next__)
    client = Client(1, NOW, 1, 1, buy_by=date(2026, 7, 20))
    offer = Reminder(3, 1, "next_purchase", NOW + 90 * DAY, False, 1, NOW - DAY, 1)
    assert follow_up(acting, client, None, [offer], 7, ZONE, is_said=False) == []
    passed = replace(client, buy_by=date(2026, 3, 2))
    ended = replace(offer, status="done", done_at=NOW)
    assert follow_up(acting, passed, None, [offer], 7, ZONE, is_said=False) == [ended, replace(passed, buy_by=None)]
    planned = replace(offer, cause="buy_by")
    found = follow_up(acting, client, None, [planned], 7, ZONE, is_said=False)
    assert found == [replace(planned, status="done", done_at=NOW), replace(client, buy_by=None)]
    later = replace(planned, created_at=NOW + DAY)
    assert follow_up(acting, client, None, [later], 7, ZONE, is_said=False) == []


def test_a_planned_call_back_ends_with_a_purchase_later_than_those_that_it_rests_on() -> None:
    late = Acting(7, NOW - 5 * DAY, NOW, iter(range(100, 200)).__next__)
    plan = Reminder(3, 1, "reactivation", NOW + DAY, False, 1, NOW - DAY, 1)

    def ended(*sold_at: datetime) -> bool:
        sales = [Sale(n, 1, at, Decimal(5), 1) for n, at in enumerate(sold_at)]
        return bool(follow_up(late, Client(1, NOW, 1, 1), None, [plan], 7, ZONE, lambda: sales, is_said=False))

    assert ended()
    assert ended(NOW - 100 * DAY)
    assert not ended(NOW - 3 * DAY)
    assert ended(NOW - 6 * DAY, NOW)
