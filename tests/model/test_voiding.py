"""What goes with a mistake: each cause of reminder, made, ended, moved, changed since, or ended otherwise too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crmcli.model.records import Activity, Client, Reminder, Sale
from crmcli.model.voiding import Traced, without_day, without_mistake

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SALE = Sale(1, 7, NOW, Decimal(100), 1)
CALL = Activity(2, 7, "call", NOW, 1, direction="out", result="answered")
MISSED = replace(CALL, direction="in", result="no-answer")


def planned(cause: str, status: str = "open") -> Reminder:
    """Return a reminder that was made an hour before, and is due then."""
    return Reminder(5, 7, cause, NOW - HOUR, True, 1, NOW - HOUR, 1, status=status)


def ended(cause: str) -> Traced:
    """Return a reminder that the mistake ended."""
    before = planned(cause)
    after = replace(before, status="done", done_at=NOW)
    return Traced(before, after, after)


def test_what_it_made_is_closed_by_nobody_and_the_step_of_a_deal_stays() -> None:
    made = [replace(planned(cause), reminder_id=n) for n, cause in enumerate(("promise", "next_purchase", "process"))]
    closed, stay = without_mistake([Traced(None, one, one) for one in made], made, [], [])
    assert closed == [replace(one, status="done") for one in made[:2]]
    assert stay == []


def test_what_it_moved_is_where_it_was_and_what_was_changed_since_stays() -> None:
    before = planned("next_purchase")
    after = replace(before, due_at=NOW + 100 * HOUR)
    assert without_mistake([Traced(before, after, after)], [after], [], []) == ([before], [])
    later = replace(after, due_at=NOW + 200 * HOUR)
    assert without_mistake([Traced(before, after, later)], [later], [], []) == ([], [later])
    done = replace(after, status="done")
    assert without_mistake([Traced(before, after, done)], [done], [], []) == ([], [])


@pytest.mark.parametrize("cause", ["reactivation", "next_purchase", "buy_by", "cadence", "missed_call", "manual"])
def test_what_it_ended_is_open_again_unless_something_else_ended_it_too(cause: str) -> None:
    traced = ended(cause)
    known = [traced.now]
    by_sale = cause in ("reactivation", "next_purchase", "buy_by")
    by_call = cause in ("cadence", "missed_call")
    assert without_mistake([traced], known, [], []) == ([traced.before], [])
    for sales, is_over in (
        ([SALE], by_sale),
        ([replace(SALE, voided=True)], False),
        ([replace(SALE, amount=Decimal(-1))], False),
        ([replace(SALE, sold_at=NOW - 2 * HOUR)], False),
    ):
        assert without_mistake([traced], known, sales, [])[0] == ([] if is_over else [traced.before])
    for calls, is_over in (
        ([CALL], by_call),
        ([replace(CALL, voided=True)], False),
        ([replace(CALL, direction="in", result="busy")], False),
        ([replace(CALL, happened_at=NOW - 2 * HOUR)], False),
    ):
        assert without_mistake([traced], known, [], calls)[0] == ([] if is_over else [traced.before])
    another = replace(planned(cause), reminder_id=6)
    assert without_mistake([traced], [*known, another], [], [])[0] == ([traced.before] if cause == "manual" else [])


def test_without_the_first_missed_call_the_client_waits_since_the_next_that_nobody_returned() -> None:
    made = planned("missed_call")
    traced = [Traced(None, made, made)]
    later = [replace(MISSED, activity_id=n, happened_at=NOW + n * HOUR, deal_id=n) for n in (4, 3)]
    moved = replace(made, due_at=NOW + 3 * HOUR, deal_id=3)
    assert without_mistake(traced, [made], [], later) == ([moved], [])
    back = replace(CALL, happened_at=NOW + 3.5 * HOUR)
    assert without_mistake(traced, [made], [], [*later, back])[0][0].due_at == NOW + 4 * HOUR
    back = replace(CALL, happened_at=NOW + 5 * HOUR)
    assert without_mistake(traced, [made], [], [*later, back]) == ([replace(made, status="done")], [])
    gone = [replace(call, voided=True) for call in later]
    assert without_mistake(traced, [made], [], gone) == ([replace(made, status="done")], [])


def test_the_day_that_was_named_with_it_is_the_one_before_unless_somebody_named_another() -> None:
    before = Client(7, NOW, 1, 1, buy_by=date(2026, 5, 1))
    after = replace(before, buy_by=None)
    assert without_day(before, after, replace(after, segment="cafe")) == [replace(before, segment="cafe")]
    assert without_day(before, after, replace(after, buy_by=date(2026, 6, 1))) == []
    assert (
        without_day(before, before, before) == without_day(None, None, before) == without_day(None, after, after) == []
    )
