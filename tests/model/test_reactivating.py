"""Reactivation: quarters, the hold-out, the spread over days and people, what counts as coming back, the lift."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.model.acting import Acting
from crmcli.model.reactivating import (
    Arm,
    Candidate,
    Choice,
    Quarter,
    bought_since,
    carry_out,
    choose,
    is_held_out,
    lift,
)
from crmcli.model.records import Note, Reminder, Sale
from crmcli.model.worktime import Calendar, is_working

ZONE = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUARTER = Quarter.of(date(2026, 3, 2))
DAYS = QUARTER.working_days(Calendar(), date(2026, 3, 2))


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_every_day_is_in_one_quarter(day: date) -> None:
    quarter = Quarter.of(day)
    assert quarter.from_on <= day < quarter.to_on
    assert 90 <= (quarter.to_on - quarter.from_on).days <= 92
    assert Quarter.of(quarter.to_on).from_on == quarter.to_on
    assert quarter.label == f"{day.year:04}-Q{(day.month + 2) // 3}"


def test_working_days_are_those_left_of_the_quarter() -> None:
    calendar = Calendar(holidays=("03-09", "2026-03-10"))
    days = QUARTER.working_days(calendar, date(2026, 3, 7))
    assert (days[0], days[-1]) == (date(2026, 3, 11), date(2026, 3, 31))
    assert all(is_working(calendar, day) for day in days)
    assert QUARTER.working_days(calendar, date(2026, 3, 31)) == [date(2026, 3, 31)]


def test_a_tenth_is_left_alone_and_another_one_each_quarter() -> None:
    clients = [Random(1).getrandbits(60) for _ in range(1)] + list(range(1, 20_000))
    quarters = [QUARTER, Quarter.of(date(2026, 4, 1))]
    held = [{number for number in clients if is_held_out(number, quarter, 10)} for quarter in quarters]
    assert [1800 < len(each) < 2200 for each in held] == [True, True]
    assert 120 < len(held[0] & held[1]) < 290
    assert not any(is_held_out(number, QUARTER, 0) for number in clients)


def people(count: int, **more: bool) -> list[Candidate]:
    return [Candidate(number, 1 + number % 2, "", **more) for number in range(1, count + 1)]


def test_nobody_is_left_alone_where_few_are_due() -> None:
    assert None not in [choice.day for choice in choose(people(199), QUARTER, DAYS, 100, Counter(), 10)]
    held = [choice for choice in choose(people(2000), QUARTER, DAYS, 100, Counter(), 10) if choice.day is None]
    assert 150 < len(held) < 250


@given(st.integers(0, 600), st.integers(1, 7), st.integers(0, 50), st.lists(st.integers(0, len(DAYS) - 1), max_size=30))
def test_no_day_has_more_than_it_may_and_the_best_come_first(
    count: int, per_day: int, share: int, busy: list[int]
) -> None:
    taken = Counter((1, DAYS[place]) for place in busy)
    choices = choose(people(count), QUARTER, DAYS, per_day, taken, share)
    calls = Counter((choice.candidate.assignee_id, choice.day) for choice in choices if choice.day)
    for person in (1, 2):
        mine = [choice.day for choice in choices if choice.day and choice.candidate.assignee_id == person]
        assert mine == sorted(mine)
        for day in DAYS:
            assert calls[person, day] <= max(0, per_day - taken[person, day])
    assert len({choice.candidate.client_id for choice in choices}) == len(choices)
    room = 2 * per_day * len(DAYS) - sum(min(per_day, number) for number in taken.values())
    assert sum(calls.values()) <= room


def test_what_was_decided_stays() -> None:
    due = [Candidate(1, 1, "", is_planned=True), Candidate(2, 1, "", is_held=True), Candidate(3, 1, "")]
    assert choose(due, QUARTER, DAYS, 1, Counter(), 10) == [Choice(due[2], DAYS[0])]
    assert choose(due, QUARTER, [], 1, Counter(), 10) == []


def test_a_plan_becomes_reminders_and_those_left_alone_are_noted() -> None:
    numbers = iter(range(100, 200))
    acting = Acting(7, NOW, NOW, lambda: next(numbers))
    who = Candidate(1, 5, "bought twice")
    records = carry_out(acting, [Choice(who, date(2026, 3, 4)), Choice(who._replace(client_id=2), None)], ZONE)
    reminders = [record for record in records if isinstance(record, Reminder)]
    assert [(r.client_id, r.cause, r.status, r.assignee_id) for r in reminders] == [
        (1, "reactivation", "open", 5),
        (2, "reactivation", "held", 5),
    ]
    assert reminders[0].due_at == datetime(2026, 3, 3, 21, tzinfo=UTC)
    assert [note.text for note in records if isinstance(note, Note)] == ["bought twice"]


def test_only_what_came_after_the_plan_counts() -> None:
    def sale(number: int, day: float, amount: int, **more: object) -> Sale:
        return Sale(number, 1, NOW + timedelta(days=day), Decimal(amount), 1, **more)  # type: ignore[arg-type]

    until = NOW + timedelta(days=90)
    before, later = sale(1, -1, 100), sale(2, 5, 50)
    assert bought_since([before, later, sale(3, 91, 9), sale(4, 6, 9, voided=True)], ZONE, NOW, until) == (
        1,
        Decimal(50),
    )
    assert bought_since([before, later, sale(5, 6, -100, refund_of=1)], ZONE, NOW, until) == (1, Decimal(50))
    assert bought_since([before, later, sale(5, 6, -20, refund_of=2)], ZONE, NOW, until) == (1, Decimal(30))
    assert bought_since([before, later, sale(5, 6, -50, refund_of=2)], ZONE, NOW, until) == (0, Decimal(0))
    assert bought_since([], ZONE, NOW, until) == (0, Decimal(0))


def test_the_lift_has_the_interval_of_newcombe() -> None:
    # His example (a): 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339.
    money = Decimal(0)
    assert lift(Arm(70, 56, money), Arm(80, 48, money)) == (20.0, 5.2, 33.4)
    # And (c): 9 of 10 against 3 of 10 are too few here.
    assert lift(Arm(10, 9, money), Arm(10, 3, money)) is None
    assert lift(Arm(500, 100, money), Arm(0, 0, money)) is None
    nothing = lift(Arm(30, 0, money), Arm(30, 0, money))
    assert nothing is not None
    assert nothing[0] == 0 == pytest.approx(nothing[1] + nothing[2])
