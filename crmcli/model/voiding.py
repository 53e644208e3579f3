"""Rules of what goes with a mistake: the reminders that it made, ended or moved, and the day that was named with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from crmcli.model.records import DONE, OPEN, Activity, Client, Record, Reminder, Sale
from crmcli.model.reminding import BUY_BY, CADENCE, MISSED_CALL, is_same
from crmcli.model.touching import is_completed, is_missed, returns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BY_SALES = ("reactivation", "next_purchase", BUY_BY)


class Traced(NamedTuple):
    """What a commit did to a reminder: how it was before, None if that made it, how it was left, and how it is now."""

    before: Reminder | None
    after: Reminder
    now: Reminder


def without_mistake(
    traced: Iterable[Traced],
    known: Sequence[Reminder],
    sales: Iterable[Sale],
    activities: Iterable[Activity],
) -> tuple[list[Reminder], list[Reminder]]:
    """Return the reminders as they are without the record, and those open ones that were changed since, which stay.

    What came with the record is closed, done by nobody; what it ended or moved is as it was, unless something else
    ended it too. `known`, `sales` and `activities` are the client's, the record itself not among them. The next step of
    a deal stays, as the deal does.
    """
    sales, activities = list(sales), list(activities)
    changed, stay = [], []
    for before, after, now in traced:
        if now.cause == "process":
            continue
        if now != _of(after, now):
            stay += [now] if now.status == OPEN else []
        elif before is None:
            if now.status == OPEN:
                changed.append(_without_cause(now, activities))
        elif after.status == OPEN or not _is_over(before, known, sales, activities):
            changed.append(_of(before, now))
    return changed, stay


def _of(reminder: Reminder, now: Reminder) -> Reminder:
    """Return a reminder as that of who is to do it now: the client may have been given to somebody else."""
    return replace(reminder, assignee_id=now.assignee_id)


def without_day(before: Client | None, after: Client | None, now: Client) -> list[Record]:
    """Return the client with the day that was named before a commit changed it, if nobody changed it since."""
    if before is None or after is None or before.buy_by == after.buy_by or after.buy_by != now.buy_by:
        return []
    return [replace(now, buy_by=before.buy_by)]


def _without_cause(reminder: Reminder, activities: Sequence[Activity]) -> Reminder:
    """Return a reminder as closed or, if the client waits for a call back all the same, due since that call."""
    if reminder.cause == MISSED_CALL:
        back = [call.happened_at for call in activities if returns(call)]
        waits = [call for call in activities if is_missed(call) and (not back or call.happened_at > max(back))]
        if waits:
            first = min(waits, key=lambda call: call.happened_at)
            return replace(reminder, due_at=first.happened_at, deal_id=first.deal_id)
    return replace(reminder, status=DONE)


def _is_over(
    reminder: Reminder, known: Sequence[Reminder], sales: Sequence[Sale], activities: Sequence[Activity]
) -> bool:
    """Say whether there is nothing to reopen: something else ended it, or another reminder is in its place."""
    if any(
        other.status == OPEN and other.cause == reminder.cause and is_same(other, reminder.deal_id) for other in known
    ):
        return True
    if reminder.cause == CADENCE:
        return any(is_completed(act) and act.happened_at >= reminder.created_at for act in activities)
    if reminder.cause == MISSED_CALL:
        return any(returns(call) and call.happened_at >= reminder.due_at for call in activities)
    bought = (sale for sale in sales if sale.amount > 0 and not sale.voided)
    return reminder.cause in _BY_SALES and any(sale.sold_at >= reminder.created_at for sale in bought)
