"""Rules of reminders: made, done, put off and repeated; one that has a single cause a client moves the open one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from crmcli.errors import InputError, RuleError
from crmcli.model.dates import day_start, local_day
from crmcli.model.frozen import dataclass
from crmcli.model.ids import encode_id
from crmcli.model.records import DONE, OPEN, Note, Record, Reminder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, tzinfo

    from crmcli.model.acting import Acting

PROMISE, CADENCE, RETURN, MISSED_CALL, BUY_BY = "promise", "cadence", "return", "missed_call", "buy_by"
CAUSES = (
    "manual",
    PROMISE,
    "process",
    CADENCE,
    "next_purchase",
    "reactivation",
    RETURN,
    MISSED_CALL,
    BUY_BY,
)
MAX_TASK = 1_000
_YEAR = timedelta(days=366)
# A client may be promised many things, but comes back from a lost deal or buys next only once at a time.
_MANY = ("manual", PROMISE)
# What is planned for a client who asked for nothing.
ROUTINE = (CADENCE, "next_purchase", "reactivation")
# What a deal's stage asks for, and a lost one's return, is due once for each deal.
_PER_DEAL = ("process", RETURN)


@dataclass(frozen=True, slots=True)
class Task:
    """What somebody is to be reminded of, as it was typed; `due` is (instant, has a time), `start` done or due."""

    text: str
    due: tuple[datetime, bool]
    is_promise: bool = False
    every: str | None = None
    start: str | None = None
    assignee_id: int | None = None


def add_reminder(acting: Acting, client_id: int, task: Task, deal_id: int | None = None) -> list[Record]:
    """Return the reminder of a task and its text.

    Raises: InputError without a text, or for no repetition; RuleError for too long a text.
    """
    if not task.text.strip():
        raise InputError("what is there to do?")
    require_short(task.text)
    if task.start is not None and task.every is None:
        raise InputError("--from goes with --every")
    repeat = None
    if task.every is not None:
        from crmcli.model.repeating import in_series, parse_repeat

        repeat = parse_repeat(task.every)
    made = replace(
        _made(acting, client_id, PROMISE if task.is_promise else "manual", task.due, deal_id),
        assignee_id=task.assignee_id or acting.by,
        repeat=repeat,
        repeat_from=(task.start or "done") if repeat else None,
    )
    if repeat is not None:
        made = in_series(made, acting.zone)
    return [made, *_text(acting, made, task.text)]


def require_short(text: str) -> None:
    """Raise RuleError for a text that is too long to be a line of an agenda."""
    if len(text.strip()) > MAX_TASK:
        raise RuleError(
            f"what there is to do takes more than {MAX_TASK} characters",
            "put it in short; the rest goes into --said of log-call or log-activity",
        )


def finish(acting: Acting, reminder: Reminder, text: str | None, zone: tzinfo) -> list[Record]:
    """Return a reminder as done and, if it repeats, the next one with its text. Raises: RuleError if it is done."""
    _check_open(reminder)
    ended: list[Record] = [replace(reminder, status=DONE, done_at=acting.at)]
    if reminder.repeat is None:
        return ended
    from crmcli.model.repeating import following

    due = following(reminder, acting.at, zone)
    if due is None:
        return ended
    made = replace(due, reminder_id=acting.new_id(), created_at=acting.now, created_by=acting.by)
    return [*ended, made, *_text(acting, made, text)]


def snooze(reminder: Reminder, due: tuple[datetime, bool], zone: tzinfo) -> Reminder:
    """Return a reminder that is due at another time; those that follow it in its series stay where they were.

    Raises: RuleError if it is done.
    """
    _check_open(reminder)
    if reminder.repeat is not None:
        from crmcli.model.repeating import in_series

        reminder = in_series(reminder, zone)
    return replace(reminder, due_at=due[0], has_time=due[1])


def in_other_zone(reminder: Reminder, before: tzinfo, after: tzinfo) -> Reminder:
    """Return a reminder of a whole day as that of the same day in another zone."""
    return replace(reminder, due_at=day_start(local_day(reminder.due_at, before), after))


def is_overdue(reminder: Reminder, now: datetime, zone: tzinfo) -> bool:
    """Say whether a reminder's time, or its day where it has none, is over."""
    return is_over(reminder.due_at, now, zone, has_time=reminder.has_time)


def is_over(due_at: datetime, now: datetime, zone: tzinfo, *, has_time: bool) -> bool:
    """Say whether a time, or the day that it stands for, is over."""
    return due_at < now if has_time else local_day(due_at, zone) < local_day(now, zone)


def odd_about(due_at: datetime, now: datetime, zone: tzinfo, *, has_time: bool) -> str | None:
    """Return what is odd about a time to be reminded at, for whoever typed it; None if nothing is."""
    if is_over(due_at, now, zone, has_time=has_time):
        return "that is past: it is due at once"
    return "that is more than a year away" if due_at - now > _YEAR else None


def _check_open(reminder: Reminder) -> None:
    if reminder.status != OPEN:
        raise RuleError(f"reminder {encode_id(reminder.reminder_id)} is done already")


def settle(acting: Acting, cause: str, known: Iterable[Reminder]) -> list[Record]:
    """Return the open reminders of a cause as done, for what they were to bring about has happened."""
    return [
        replace(reminder, status=DONE, done_at=acting.at)
        for reminder in known
        if reminder.status == OPEN and reminder.cause == cause
    ]


def let_alone(known: Iterable[Reminder]) -> list[Record]:
    """Return the open reminders that routine made as closed, done by nobody, for the client asked to be let alone."""
    return [replace(r, status=DONE) for r in known if r.status == OPEN and r.cause in ROUTINE]


def remind(
    acting: Acting,
    client_id: int,
    cause: str,
    due_at: datetime,
    *,
    has_time: bool = False,
    about: str | None = None,
    deal_id: int | None = None,
    known: Iterable[Reminder] = (),
) -> list[Record]:
    """Return the reminder and its text; `known` are the client's reminders, one of which may be moved instead."""
    open_one = next((r for r in known if r.status == OPEN and r.cause == cause and is_same(r, deal_id)), None)
    if open_one is not None:
        # It is planned anew, and what happened before that does not end it.
        moved = replace(
            open_one, due_at=due_at, has_time=has_time, deal_id=deal_id or open_one.deal_id, created_at=acting.now
        )
        return [moved, *_text(acting, moved, about)]
    made = _made(acting, client_id, cause, (due_at, has_time), deal_id)
    return [made, *_text(acting, made, about)]


def _made(acting: Acting, client_id: int, cause: str, due: tuple[datetime, bool], deal_id: int | None) -> Reminder:
    return Reminder(
        acting.new_id(), client_id, cause, *due, acting.by, acting.now, acting.by, deal_id, cause == PROMISE
    )


def _text(acting: Acting, reminder: Reminder, text: str | None) -> list[Note]:
    """Return the note that says what a reminder is about, written now even if what it comes of was earlier."""
    field = "promised" if reminder.is_promise else "about"
    return acting.when(acting.now).note(reminder.client_id, reminder.reminder_id, field, text)


def is_same(reminder: Reminder, deal_id: int | None) -> bool:
    """Say whether another reminder of the same cause, about that deal, would be this one."""
    return reminder.cause not in _MANY and (reminder.cause not in _PER_DEAL or reminder.deal_id == deal_id)
