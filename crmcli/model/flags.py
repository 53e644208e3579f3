"""The flags of an open deal: past its stage's norm, idle, without a next step; computed when read, never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.model.dates import day_end, local_day
from crmcli.model.frozen import dataclass
from crmcli.model.records import OPEN
from crmcli.model.reminding import is_overdue
from crmcli.model.worktime import add_days, day_after

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime, tzinfo

    from crmcli.model.process import Process
    from crmcli.model.records import Activity, Deal, Reminder

FLAGS = ("deadline_on", "overdue", "idle", "no_next_step")


@dataclass(frozen=True, slots=True)
class Flags:
    """The last day of the norm and the three flags; None is what cannot be known, and all four of a closed deal."""

    deadline_on: date | None = None
    overdue: bool | None = None
    idle: bool | None = None
    no_next_step: bool | None = None


def deadline_on(process: Process, zone: tzinfo, deal: Deal) -> date | None:
    """Return the last local day within the norm of the stage at which an open deal stands, if it has one."""
    stage = process.stage_of(deal)
    if deal.status != OPEN or deal.entered_at is None or stage is None or stage.norm is None:
        return None
    return day_after(process.calendar, local_day(deal.entered_at, zone), stage.norm)


def flags(
    process: Process,
    zone: tzinfo,
    deal: Deal,
    activities: Iterable[Activity],
    reminders: Iterable[Reminder],
    as_of: datetime,
) -> Flags:
    """Return the flags of a deal at an instant; activities and reminders may be of other deals and clients too.

    Those of the deal count, and those of its client that name no deal. A deal is idle if the stage's `idle` has passed
    since its opening and its last activity, and no open reminder is still to come before the deadline or, without one,
    within `idle` from then. One that is overdue plans nothing any more.
    """
    if deal.status != OPEN:
        return Flags()
    calendar, stage = process.calendar, process.stage_of(deal)
    last_day = deadline_on(process, zone, deal)
    deadline = None if last_day is None else day_end(last_day, zone)
    is_unknown = stage is not None and stage.norm is not None and deadline is None
    steps = [r for r in reminders if _is_of(r, deal) and is_open(r, as_of)]
    is_idle: bool | None = False
    if stage is not None and stage.idle is not None:
        until = deadline or add_days(calendar, zone, as_of, stage.idle)
        if not any(step.due_at < until and not is_overdue(step, as_of, zone) for step in steps):
            touched_at = _touched_at(deal, activities, as_of)
            is_idle = None if touched_at is None else add_days(calendar, zone, touched_at, stage.idle) <= as_of
    return Flags(last_day, None if is_unknown else deadline is not None and deadline <= as_of, is_idle, not steps)


def _touched_at(deal: Deal, activities: Iterable[Activity], as_of: datetime) -> datetime | None:
    """Return when a deal was opened or, if that was later, when its last activity by an instant took place."""
    touched = [a.happened_at for a in activities if _is_of(a, deal) and not a.voided and a.happened_at <= as_of]
    return max((at for at in (deal.opened_at or deal.entered_at, *touched) if at is not None), default=None)


def is_open(reminder: Reminder, as_of: datetime) -> bool:
    """Say whether a reminder was there and open at an instant."""
    if reminder.created_at > as_of:
        return False
    return reminder.status == OPEN or (reminder.done_at is not None and reminder.done_at > as_of)


def _is_of(record: Activity | Reminder, deal: Deal) -> bool:
    return record.client_id == deal.client_id and record.deal_id in (None, deal.deal_id)
