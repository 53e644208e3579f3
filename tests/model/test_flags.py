"""The three flags of a deal, with answers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crmcli.model import records as r
from crmcli.model.flags import Flags, flags
from crmcli.model.process import Pipeline, Process, Stage

MOSCOW = ZoneInfo("Europe/Moscow")
STAGES = (
    Stage("both", "Both", norm="2bd", idle="3d"),
    Stage("norm", "Norm", norm="1d"),
    Stage("idle", "Idle", idle="2bd"),
    Stage("free", "Free"),
)
PROCESS = Process((Pipeline("new", "New", STAGES),), (), (), ())
# Thursday, 12:00 in Moscow.
ENTERED = datetime(2026, 3, 5, 9, tzinfo=UTC)


def deal(stage: str = "both", **changes: object) -> r.Deal:
    return replace(r.Deal(1, 10, 7, "new", stage, opened_at=ENTERED, entered_at=ENTERED), **changes)  # type: ignore[arg-type]


def local(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=MOSCOW).astimezone(UTC)


def touch(at: datetime, **changes: object) -> r.Activity:
    return replace(r.Activity(5, 10, "call", at, 7), **changes)  # type: ignore[arg-type]


def reminder(due: datetime, **changes: object) -> r.Reminder:
    made = r.Reminder(6, 10, "manual", due, False, 7, ENTERED, 7)
    return replace(made, **changes)  # type: ignore[arg-type]


def told(
    known: r.Deal, as_of: datetime, activities: tuple[r.Activity, ...] = (), reminders: tuple[r.Reminder, ...] = ()
) -> Flags:
    return flags(PROCESS, MOSCOW, known, activities, reminders, as_of)


@pytest.mark.parametrize(
    ("as_of", "is_overdue"),
    [(local(5, 13), False), (local(9, 23, 59), False), (local(10), True), (local(11), True)],
)
def test_overdue_from_the_end_of_the_second_working_day(as_of: datetime, is_overdue: bool) -> None:
    found = told(deal(), as_of)
    assert (found.deadline_on, found.overdue) == (date(2026, 3, 9), is_overdue)


def test_idle_counts_from_the_last_touch() -> None:
    assert not told(deal(), local(8, 23, 59)).idle
    assert told(deal(), local(9)).idle
    # A call on Friday night counts three days from Friday.
    call = touch(local(6, 23, 59))
    assert not told(deal(), local(9, 23, 59), (call,)).idle
    assert told(deal(), local(10), (call,)).idle
    # Not: one voided, of another deal or client, still to come; nor one from before the deal.
    for other in ({"voided": True}, {"deal_id": 2}, {"client_id": 11}, {"happened_at": local(9, 0, 1)}):
        assert told(deal(), local(9), (replace(call, **other),)).idle
    assert not told(deal(), local(8, 12), (touch(local(1)),)).idle
    assert not told(deal(), local(9), (replace(call, deal_id=1),)).idle


def test_moving_on_is_no_activity() -> None:
    moved = deal(entered_at=local(9, 12))
    assert told(moved, local(9, 13)).idle
    assert not told(moved, local(9, 13)).overdue


def test_a_reminder_before_the_deadline_keeps_from_idleness() -> None:
    before, after = reminder(local(9)), reminder(local(10))
    assert not told(deal(), local(9, 12), (), (before,)).idle
    assert told(deal(), local(9, 12), (), (after,)).idle
    for other in (
        {"deal_id": 2},
        {"client_id": 11},
        {"status": "done", "done_at": local(6)},
        {"created_at": local(10)},
    ):
        assert told(deal(), local(9, 12), (), (replace(before, **other),)).idle
    assert not told(deal(), local(9, 12), (), (replace(before, status="done", done_at=local(9, 13)),)).idle


def test_an_overdue_reminder_does_not_keep_from_idleness() -> None:
    # One of a whole day keeps from it until that day is over, one with a time until then.
    whole, timed = reminder(local(9)), reminder(local(9, 12), has_time=True)
    assert not told(deal(), local(9, 23, 59), (), (whole,)).idle
    assert told(deal(), local(10), (), (whole,)).idle
    assert not told(deal(), local(9, 12), (), (timed,)).idle
    assert told(deal(), local(9, 12, 1), (), (timed,)).idle
    assert not told(deal(), local(9, 12, 1), (), (timed, whole)).idle
    # The step that the process asked for on entering the stage, eleven months ago and never done.
    step = reminder(local(6), cause="process", deal_id=1)
    found = told(deal(), local(5) + timedelta(days=335), (), (step,))
    assert (found.overdue, found.idle, found.no_next_step) == (True, True, False)


def test_without_a_norm_a_reminder_within_the_idle_term_does() -> None:
    # Monday: two working days on is the end of Wednesday.
    assert told(deal("idle"), local(10)).idle
    assert not told(deal("idle"), local(9, 23, 59)).idle
    assert not told(deal("idle"), local(10), (), (reminder(local(12, 23, 59)),)).idle
    assert told(deal("idle"), local(10), (), (reminder(local(13)),)).idle


def test_no_next_step_is_no_open_reminder() -> None:
    assert told(deal("free"), local(5, 13)).no_next_step
    assert not told(deal("free"), local(5, 13), (), (reminder(local(30)),)).no_next_step
    assert not told(deal("free"), local(5, 13), (), (reminder(local(1), deal_id=1),)).no_next_step
    closed = reminder(local(9), status="done", done_at=local(6))
    assert told(deal("free"), local(7), (), (closed,)).no_next_step
    # One of somebody erased is closed without a time.
    assert told(deal("free"), local(7), (), (replace(closed, done_at=None),)).no_next_step


def test_what_has_no_term_is_never_late() -> None:
    late = local(5) + timedelta(days=900)
    assert told(deal("free"), late) == Flags(None, False, False, True)
    assert told(deal("norm"), late) == Flags(date(2026, 3, 6), True, False, True)
    assert told(deal("gone"), late) == Flags(None, False, False, True)
    assert told(deal(pipeline="gone"), late) == Flags(None, False, False, True)


def test_closed_deals_have_no_flags() -> None:
    assert told(deal(status="lost"), local(30)) == Flags()
    assert told(deal(status="won"), local(30)) == Flags()


def test_what_cannot_be_known_is_none() -> None:
    undated = deal(opened_at=None, entered_at=None)
    assert told(undated, local(30)) == Flags(None, None, None, True)
    assert told(undated, local(30), (touch(local(6)),)).idle
    assert told(undated, local(30), (), (reminder(local(30)),)) == Flags(None, None, False, False)
    assert told(deal(opened_at=None), local(9)).idle
