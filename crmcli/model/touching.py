"""Rules of touches: a call or another activity that took place, what was said, and what was promised until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.errors import InputError
from crmcli.model.frozen import dataclass
from crmcli.model.records import ACTIVITY_KINDS, CALL, CALL_RESULTS, DIRECTIONS, Activity, Record
from crmcli.model.reminding import remind

if TYPE_CHECKING:
    from datetime import datetime
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


def log_touch(acting: Acting, client_id: int, touch: Touch, deal_id: int | None = None) -> list[Record]:
    """Return the activity, its texts, and the reminder of what was promised.

    Raises: InputError for an unknown kind, direction or result, or a promise without a date.
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
    ]
    if touch.due is not None:
        due_at, has_time = touch.due
        cause = "promise" if touch.promise else "manual"
        text = touch.promise or touch.about
        records += remind(acting, client_id, cause, due_at, has_time=has_time, about=text, deal_id=deal_id)
    return records


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
