"""Rules of entering a stage: the next step there becomes a reminder, and the step before is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmcli.model.dates import day_start, local_day
from crmcli.model.pipeline import open_deal
from crmcli.model.records import Reminder
from crmcli.model.reminding import remind, settle
from crmcli.model.worktime import day_after

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from crmcli.model.acting import Acting
    from crmcli.model.process import Process
    from crmcli.model.records import Client, Deal, Record

STEP = "process"


def start(
    acting: Acting, process: Process, client: Client, pipeline: str | None = None, amount: Decimal | None = None
) -> tuple[Deal, list[Record]]:
    """Return a new deal at the first stage of a pipeline; and it, its first entry in the history and its next step."""
    deal, change = open_deal(acting, process.pipeline(pipeline), client, amount)
    return deal, [deal, change, *next_step(acting, process, deal)]


def next_step(acting: Acting, process: Process, deal: Deal, known: Iterable[Reminder] = ()) -> list[Record]:
    """Return the reminder of what comes next at the stage that a deal has entered, and those of before as done.

    It is for the deal's owner, due on the local day that the stage's process names; `known` are the client's reminders.
    """
    before = steps_taken(acting, deal, known)
    stage = process.stage_of(deal)
    if stage is None or stage.next_step is None:
        return before
    due_on = day_after(process.calendar, local_day(acting.at, acting.zone), stage.next_step)
    due_at = day_start(due_on, acting.zone)
    made = remind(acting, deal.client_id, STEP, due_at, about=stage.next_action, deal_id=deal.deal_id)
    return [
        *(replace(record, assignee_id=deal.owner_id) if isinstance(record, Reminder) else record for record in made),
        *before,
    ]


def steps_taken(acting: Acting, deal: Deal, known: Iterable[Reminder]) -> list[Record]:
    """Return the open reminders of a deal's next step as done, for the deal went on or is over."""
    return settle(acting, STEP, (reminder for reminder in known if reminder.deal_id == deal.deal_id))
