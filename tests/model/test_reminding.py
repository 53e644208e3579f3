"""The rules of reminders: made, done, repeated, put off; one open for a cause; what a touch settles; numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmcli.errors import InputError, NotFoundError, RuleError
from crmcli.model import records as r
from crmcli.model.acting import Acting
from crmcli.model.numbering import Numbers, is_number
from crmcli.model.reminding import CAUSES, MAX_TASK, Task, add_reminder, finish, is_overdue, odd_about, remind, snooze
from crmcli.model.touching import Touch, do, is_completed, log_touch

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Moscow")
DUE = (NOW + timedelta(days=1), True)


def acting(at: datetime = NOW) -> Acting:
    return Acting(7, at, at, count(100).__next__)


def reminders(records: list[r.Record]) -> list[r.Reminder]:
    return [record for record in records if isinstance(record, r.Reminder)]


def made(cause: str = "manual", due_at: datetime = NOW, **more: object) -> r.Reminder:
    return replace(r.Reminder(1, 5, cause, due_at, True, 7, NOW, 7), **more)  # type: ignore[arg-type]


def call(direction: str, result: str, at: datetime = NOW, known: list[r.Reminder] | None = None) -> list[r.Reminder]:
    return reminders(log_touch(acting(at), 5, Touch("call", direction, result), known=known or []))


def test_a_task_becomes_a_reminder_with_its_text() -> None:
    reminder, note = add_reminder(acting(), 5, Task("call", DUE, is_promise=True, every="30D", assignee_id=9), 3)
    assert isinstance(reminder, r.Reminder)
    assert isinstance(note, r.Note)
    assert (reminder.cause, reminder.is_promise, reminder.assignee_id, reminder.created_by) == ("promise", True, 9, 7)
    assert (reminder.repeat, reminder.repeat_from) == ("30d@2026-03-03T09:00+0", "done")
    assert (reminder.deal_id, reminder.due_at) == (3, DUE[0])
    assert (note.field, note.text, note.about_id) == ("promised", "call", reminder.reminder_id)


def test_what_is_no_task() -> None:
    for task in (Task(" ", DUE), Task("call", DUE, every="often"), Task("call", DUE, start="due")):
        with pytest.raises(InputError):
            add_reminder(acting(), 5, task)


def test_what_there_is_to_do_is_no_story() -> None:
    most, more = "x" * MAX_TASK, "x" * (MAX_TASK + 1)
    add_reminder(acting(), 5, Task(f" {most}\n", DUE))
    log_touch(acting(), 5, Touch("visit", promise=most, due=DUE))
    log_touch(acting(), 5, Touch("visit", about=more))
    with pytest.raises(RuleError):
        add_reminder(acting(), 5, Task(more, DUE))
    for touch in (Touch("visit", promise=more, due=DUE), Touch("visit", about=more, due=DUE)):
        with pytest.raises(RuleError):
            log_touch(acting(), 5, touch)


def test_done_makes_the_next_one_if_it_repeats() -> None:
    ended, *none = finish(acting(), made(), "call", ZONE)
    assert isinstance(ended, r.Reminder)
    assert (ended.status, ended.done_at, none) == ("done", NOW, [])
    ended, following, note = finish(acting(), made(repeat="1w", repeat_from="done", assignee_id=9), "call", ZONE)
    assert isinstance(following, r.Reminder)
    assert isinstance(note, r.Note)
    assert (following.status, following.due_at, following.assignee_id) == ("open", NOW + timedelta(days=7), 9)
    assert following.reminder_id not in {1, note.note_id}
    assert (note.about_id, note.text) == (following.reminder_id, "call")


def test_what_is_done_cannot_be_done_again_nor_put_off() -> None:
    for rule in (lambda x: finish(acting(), x, None, ZONE), lambda x: snooze(x, DUE, ZONE)):
        with pytest.raises(RuleError):
            rule(made(status="done"))
    assert snooze(made(), DUE, ZONE) == made(due_at=DUE[0])


@pytest.mark.parametrize("cause", CAUSES)
def test_one_is_open_for_a_client_and_cause_but_for_what_may_be_many(cause: str) -> None:
    (found, *_) = remind(acting(), 5, cause, DUE[0], known=[made(cause)])
    assert isinstance(found, r.Reminder)
    assert (found.reminder_id == 1) == (cause not in {"manual", "promise"})
    (fresh, *_) = remind(acting(), 5, cause, DUE[0], known=[made(cause, status="done")])
    assert isinstance(fresh, r.Reminder)
    assert fresh.reminder_id != 1


@pytest.mark.parametrize("cause", ["process", "return"])
def test_a_step_and_a_return_are_due_once_for_each_deal(cause: str) -> None:
    known = [made(cause, deal_id=3)]
    same, other = (reminders(remind(acting(), 5, cause, DUE[0], deal_id=deal, known=known))[0] for deal in (3, 4))
    assert (same.reminder_id, other.reminder_id == 1) == (1, False)


def test_a_day_is_overdue_when_it_is_over_and_a_time_when_it_is_past() -> None:
    midnight = datetime(2026, 3, 2, tzinfo=ZONE).astimezone(UTC)
    assert not is_overdue(made(due_at=midnight, has_time=False), NOW, ZONE)
    assert is_overdue(made(due_at=midnight, has_time=False), midnight + timedelta(days=1), ZONE)
    assert not is_overdue(made(), NOW, ZONE)
    assert is_overdue(made(), NOW + timedelta(seconds=1), ZONE)


def test_what_is_past_or_far_ahead_is_said() -> None:
    def odd(days: int, *, has_time: bool = True) -> str | None:
        return odd_about(NOW + timedelta(days=days), NOW, ZONE, has_time=has_time)

    assert [odd(days, has_time=False) for days in (0, 1, 366)] == [None] * 3
    assert odd_about(NOW - timedelta(hours=3), NOW, ZONE, has_time=False) is None
    assert odd(-1) == odd(-1, has_time=False) == "that is past: it is due at once"
    assert odd(367) == odd(366 * 173) == "that is more than a year away"


@pytest.mark.parametrize("result", ["no-answer", "busy", "callback", "wrong"])
def test_a_missed_call_is_to_be_returned_once(result: str) -> None:
    (missed,) = call("in", result)
    assert (missed.cause, missed.status, missed.due_at, missed.has_time) == ("missed_call", "open", NOW, True)
    later = NOW + timedelta(hours=1)
    assert call("in", result, later, [missed]) == []
    # Nobody has talked yet.
    assert call("out", result, later, [missed]) == []
    (settled,) = call("out", "answered", later, [missed])
    assert (settled.reminder_id, settled.status) == (missed.reminder_id, "done")
    assert [x.status for x in call("in", "answered", later, [missed])] == ["done"]
    # A call of before does not return it.
    assert call("out", "answered", NOW - timedelta(hours=1), [missed]) == []


def test_only_talking_after_the_last_call_in_vain_ends_the_waiting() -> None:
    (missed,) = call("in", "busy")
    hour = timedelta(hours=1)
    first, second = (r.Activity(n, 5, "call", NOW + n * hour, 7, direction="in", result="busy") for n in (0, 2))

    def ends(hours: int, known: r.Reminder, others: list[r.Activity]) -> bool:
        touch = Touch("call", "out", "answered")
        return bool(reminders(log_touch(acting(NOW + hours * hour), 5, touch, None, [known], lambda: others)))

    assert [ends(hours, missed, [first]) for hours in (-1, 0, 1)] == [False, True, True]
    # The client has called again since, though that made no reminder of its own.
    assert [ends(hours, missed, [first, second]) for hours in (1, 2, 3)] == [False, True, True]
    assert ends(1, missed, [first, replace(second, voided=True)])
    assert ends(1, missed, [first, replace(second, direction="out")])
    # One that was put off to tomorrow is done by a call today.
    assert ends(1, replace(missed, due_at=NOW + 24 * hour), [first])


def test_a_completed_touch_settles_the_reminder_to_keep_in_touch() -> None:
    known = [made("cadence", NOW + timedelta(days=9)), made("promise")]
    assert [(x.cause, x.status) for x in call("out", "answered", NOW, known)] == [("cadence", "done")]
    assert call("out", "no-answer", NOW, known) == []
    visit = log_touch(acting(), 5, Touch("visit"), known=known)
    assert [(x.cause, x.status) for x in reminders(visit)] == [("cadence", "done")]


def test_a_touch_that_is_recorded_late_settles_only_what_it_comes_after() -> None:
    """The cadence runs from the last touch, from one that was said to be done, or since the client is known."""
    hour = timedelta(hours=1)
    open_one, done = made("cadence"), made("cadence", reminder_id=2, status="done", done_at=NOW - 5 * hour)
    visit, missed = (
        r.Activity(9, 5, kind, NOW - 5 * hour, 7, result=x) for kind, x in (("visit", None), ("call", "busy"))
    )

    def ends(hours: int, known: list[r.Reminder], others: list[r.Activity], since: datetime | None = None) -> bool:
        late = replace(acting(NOW - hours * hour), now=NOW)
        touch = Touch("call", "out", "answered")
        return bool(reminders(log_touch(late, 5, touch, None, known, lambda: others, since)))

    assert [ends(hours, [open_one], [visit]) for hours in (0, 4, 5, 6)] == [True, True, False, False]
    assert [ends(hours, [open_one, done], []) for hours in (0, 4, 5, 6)] == [True, True, False, False]
    assert [ends(hours, [open_one], [], NOW - 5 * hour) for hours in (0, 4, 6)] == [True, True, False]
    # What was no touch is none that the cadence runs from, nor what was a mistake.
    assert ends(6, [open_one], [missed, replace(visit, voided=True)], NOW - 9 * hour)


def test_which_activities_are_touches() -> None:
    visit, answered, tried = (
        r.Activity(1, 5, kind, NOW, 7, result=result)
        for kind, result in (("visit", None), ("call", "answered"), ("call", "busy"))
    )
    assert [is_completed(activity) for activity in (visit, answered, tried)] == [True, True, False]
    assert not is_completed(replace(visit, voided=True))


def test_done_with_a_call_is_both() -> None:
    touch = Touch("call", "out", "answered", None, "fine", "a sample", DUE)
    records = do(acting(), made("missed_call"), None, touch, [made("missed_call")], ZONE)
    assert [(x.cause, x.status) for x in reminders(records)] == [("missed_call", "done"), ("promise", "open")]
    assert [x.result for x in records if isinstance(x, r.Activity)] == ["answered"]
    with pytest.raises(InputError):
        do(acting(), made(), None, Touch("call", "out", None, said="fine"), [], ZONE)


def test_a_missed_call_that_is_recorded_late_may_have_been_returned() -> None:
    missed = Touch("call", "in", "no-answer")

    def after(result: str, direction: str, hours: int, **more: object) -> list[r.Reminder]:
        at = NOW + timedelta(hours=hours)
        other = replace(r.Activity(9, 5, "call", at, 7, direction=direction, result=result), **more)  # type: ignore[arg-type]
        return reminders(log_touch(acting(), 5, missed, activities=lambda: [other]))

    assert after("answered", "out", 1) == after("answered", "in", 1) == []
    assert len(after("answered", "out", -1)) == len(after("busy", "in", 1)) == len(after("no-answer", "out", 1)) == 1
    assert len(after("answered", "out", 1, voided=True)) == len(after("answered", "out", 1, kind="visit")) == 1


@given(st.lists(st.lists(st.integers(1, 30), unique=True), max_size=6))
def test_numbers_of_a_day_never_move(agendas: list[list[int]]) -> None:
    numbers = Numbers("2026-03-01", {99: 1})
    before: dict[int, int] = {}
    for ids in agendas:
        numbers = numbers.with_more("2026-03-02", ids)
        assert set(ids) <= set(numbers.by_id)
        assert before.items() <= numbers.by_id.items()
        assert len(set(numbers.by_id.values())) == len(numbers.by_id)
        assert all(numbers.find(str(number)) == known for known, number in numbers.by_id.items())
        before = dict(numbers.by_id)
    assert 99 not in before
    with pytest.raises(NotFoundError):
        numbers.find("31")


def test_a_number_is_shorter_than_an_id() -> None:
    assert [is_number(text) for text in ("1", "99999", "123456", "ABC", "-1")] == [True, True, False, False, False]
    with pytest.raises(InputError):
        is_number("0")
