"""Rules of touches: a call or another activity that took place, what was said, and what was promised until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.frozen import dataclass
from crmcli.model.records import (
    ACTIVITY_KINDS,
    ANSWERED,
    CALL,
    CALL_RESULTS,
    DIRECTIONS,
    IN,
    OPEN,
    Activity,
    Record,
    Reminder,
)
from crmcli.model.reminding import CADENCE, MISSED_CALL, finish, remind, require_short, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, tzinfo
    from decimal import Decimal

    from crmcli.model.acting import Acting

_MOST_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Touch:
    """What took place, as it was typed; `due` is (instant, has a time)."""

    kind: str
    direction: str | None = None
    result: str | None = None
    minutes: Decimal | None = None
    said: str | None = None
    promise: str | None = None
    due: tuple[datetime, bool] | None = None
    about: str | None = None


def log_touch(
    acting: Acting,
    client_id: int,
    touch: Touch,
    deal_id: int | None = None,
    known: Iterable[Reminder] = (),
    activities: Callable[[], Iterable[Activity]] = tuple,
    since: datetime | None = None,
) -> list[Record]:
    """Return the activity, its texts, the reminder of what was promised, and what else it makes or settles.

    `known` are the client's reminders: one to return a missed call, or to keep in touch, may be done by this.
    `activities` gives the client's, which tell what one that is recorded late comes too late for; the client is known
    `since` then.

    Raises: InputError for an unknown kind, direction or result, or a promise without a date; RuleError for too long a
    promise.
    """
    _one_of("kind", touch.kind, ACTIVITY_KINDS)
    if touch.direction is not None:
        _one_of("direction", touch.direction, DIRECTIONS)
    if touch.kind == CALL:
        _one_of("direction", touch.direction, DIRECTIONS)
        _one_of("result", touch.result, CALL_RESULTS)
    if touch.promise and touch.due is None:
        raise InputError("a promise needs a date", "add --due DATE")
    if touch.due is not None and not (touch.promise or touch.about):
        raise InputError("a date needs something to do by then", "add --promise TEXT or --about TEXT")
    activity = Activity(
        acting.new_id(),
        client_id,
        touch.kind,
        acting.at,
        acting.by,
        deal_id,
        touch.direction,
        touch.result if touch.kind == CALL else None,
        seconds(touch.minutes),
    )
    records: list[Record] = [
        activity,
        *acting.note(client_id, activity.activity_id, "said", touch.said),
        *acting.note(client_id, activity.activity_id, "promised", touch.promise),
        *acting.note(client_id, activity.activity_id, "about", touch.about),
        *_settled(acting, activity, list(known), activities, since),
    ]
    if touch.due is not None:
        due_at, has_time = touch.due
        cause = "promise" if touch.promise else "manual"
        text = touch.promise or touch.about or ""
        require_short(text)
        records += remind(acting, client_id, cause, due_at, has_time=has_time, about=text, deal_id=deal_id)
    return records


def do(
    acting: Acting,
    reminder: Reminder,
    text: str | None,
    touch: Touch,
    known: Iterable[Reminder],
    zone: tzinfo,
    activities: Callable[[], Iterable[Activity]] = tuple,
) -> list[Record]:
    """Return a reminder as done, the next one if it repeats, and all that comes of the call that `touch` may be.

    `known` and `activities` are the client's, as `log_touch` takes them.

    Raises: RuleError if it is done; InputError for what goes with a call alone.
    """
    ended = finish(acting, reminder, text, zone)
    if touch.result is None:
        if any(cell is not None for cell in (touch.minutes, touch.said, touch.promise, touch.due, touch.about)):
            raise InputError("what was said goes with --log-call", "say how the call ended: --log-call answered")
        return ended
    others = [other for other in known if other.reminder_id != reminder.reminder_id]
    return [*ended, *log_touch(acting, reminder.client_id, touch, reminder.deal_id, others, activities)]


def is_completed(activity: Activity) -> bool:
    """Say whether somebody was really in touch: an attempt to call is none, nor what was a mistake."""
    return not activity.voided and (activity.kind != CALL or activity.result == ANSWERED)


def _settled(
    acting: Acting,
    activity: Activity,
    known: list[Reminder],
    activities: Callable[[], Iterable[Activity]],
    since: datetime | None,
) -> list[Record]:
    """Return what an activity does to reminders: a missed call makes one, talking or a touch ends one."""
    records = settle(acting, CADENCE, known) if _is_next_touch(acting, activity, known, activities, since) else []
    if activity.kind != CALL:
        return records
    waiting = [reminder for reminder in known if reminder.status == OPEN and reminder.cause == MISSED_CALL]
    if returns(activity):
        is_after = bool(waiting) and activity.happened_at >= _missed_last(waiting, activities())
        return [*records, *(settle(acting, MISSED_CALL, waiting) if is_after else [])]
    if waiting or activity.direction != IN:
        # The first call that was missed says since when the client waits; one that nobody answered ends no waiting.
        return records
    if any(returns(other) and other.happened_at > activity.happened_at for other in activities()):
        return records
    at, deal_id = activity.happened_at, activity.deal_id
    return [*records, *remind(acting, activity.client_id, MISSED_CALL, at, has_time=True, deal_id=deal_id)]


def _is_next_touch(
    acting: Acting,
    activity: Activity,
    known: list[Reminder],
    activities: Callable[[], Iterable[Activity]],
    since: datetime | None,
) -> bool:
    """Say whether an activity is a touch after the last one, from which the present cadence runs.

    A touch that was said to be done counts as one. Where there is none the cadence runs since the client is known.
    """
    planned = [reminder for reminder in known if reminder.cause == CADENCE]
    if not is_completed(activity) or not any(reminder.status == OPEN for reminder in planned):
        return False
    if acting.at >= acting.now:
        return True
    touches = [other.happened_at for other in activities() if is_completed(other)]
    touches += [reminder.done_at for reminder in planned if reminder.done_at is not None]
    last = max(touches, default=since)
    return last is None or activity.happened_at > last


def returns(activity: Activity) -> bool:
    """Say whether an activity returns the calls that were missed before: a call either way that was answered."""
    return activity.kind == CALL and activity.result == ANSWERED and not activity.voided


def _missed_last(waiting: Iterable[Reminder], activities: Iterable[Activity]) -> datetime:
    """Return when the client called last in vain: of a reminder that was put off its own time does not say it."""
    missed = (a for a in activities if a.kind == CALL and a.direction == IN and not returns(a) and not a.voided)
    times = [activity.happened_at for activity in missed]
    return max(times or [reminder.due_at for reminder in waiting])


def seconds(minutes: Decimal | None) -> int | None:
    """Return minutes as whole seconds. Raises: InputError below 0 or above a day."""
    if minutes is None:
        return None
    if not 0 <= minutes <= _MOST_MINUTES:
        raise InputError("--minutes must be between 0 and a day")
    return int(minutes * 60)


def _one_of(what: str, value: str | None, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"the {what} must be one of {', '.join(known)}")
