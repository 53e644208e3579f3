"""How reactivation is shown: who is due, the plan, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmcli.commands.listing import show_rows
from crmcli.commands.returning import show_clients, tell_basis, tell_published
from crmcli.commands.revealing import Revealing
from crmcli.model.reactivating import SOON_DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmcli.commands.params import Format
    from crmcli.model.periods import Period
    from crmcli.model.reactivating import Choice, Wanted
    from crmcli.session import Session
    from crmcli.storage.view import View

_DUE = (
    "client_id", "name", "last_sale_on", "days_since_last", "period_days", "times_period", "band", "purchases",
    "average_check", "priority", "segment", "segment_days", "phone", "owner", "plan",
)  # fmt: skip
_LEADS = (
    "client_id", "name", "reason", "buy_by", "last_touch_on", "days_since_touch", "cadence_days", "segment", "source",
    "phone", "owner",
)  # fmt: skip
# Why somebody who is late is not due.
_LEFT_OUT = {
    "lost": "lost (--band lost lists them)",
    "deal": "with an open deal that is worked on",
    "reminder": f"with a reminder that is overdue or due within {SOON_DAYS} days",
    "cool-down": "called within the cool-down",
}
# Rows of a plan that a table shows: what a list shows of contacts.
_SHOWN = 50
_PLAN = ("client_id", "name", "call_on", "assignee", "about")
_RESULT = (
    "group", "clients", "returned", "returned_pct", "sum", "sum_per_client", "lift_pct", "lift_low_pct",
    "lift_high_pct",
)  # fmt: skip


def show_due(crm: Session, store: View, as_of: datetime, wanted: Wanted, form: Format) -> None:
    """Show who is due."""
    from crmcli.storage.reactivating import due

    found, left_out, norms = due(store, as_of, wanted if form == "table" else wanted._replace(limit=0))
    planned = {(True, False): "planned", (False, True): "left alone", (True, True): "planned"}
    for row in found:
        row["plan"] = planned.get((row["is_planned"], row["is_held"]))
    show_clients(crm, store, _DUE, found, form, wanted.limit)
    tell_published(crm, store, norms)
    tell_basis(crm, store, (row["basis"] for row in found))
    if not found and form == "table":
        crm.say("nobody is due")
    if left_out:
        told = (f"{left_out[reason]} {text}" for reason, text in _LEFT_OUT.items() if reason in left_out)
        crm.say("past the period, and left out: " + ", ".join(told))


def show_leads(crm: Session, store: View, as_of: datetime, segment: str | None, limit: int, form: Format) -> None:
    """Show who never bought and is overdue."""
    from crmcli.storage.reactivating import leads_due

    found = leads_due(store, as_of, segment, limit if form == "table" else 0)
    show_clients(crm, store, _LEADS, found, form, limit)
    if not store.process.cadence:
        crm.say("the process has no cadence, so that nobody is overdue for want of a touch: crmcli process apply")


def show_plan(crm: Session, store: View, choices: Sequence[Choice], total: int, form: Format) -> None:
    """Show who was planned for which day, and say how many are left."""
    ids = [choice.candidate.client_id for choice in choices]
    names = {contact.client_id: contact.name for contact in store.records("contacts", "client_id", ids)}
    called = [choice for choice in choices if choice.day is not None]
    called.sort(key=lambda choice: str(choice.day))
    rows = [
        (who.client_id, names.get(who.client_id), day, store.staff.get(who.assignee_id), who.about)
        for who, day in (called[:_SHOWN] if form == "table" else called)
    ]
    # Of a plan that is saved the log says whose it is.
    show_rows(crm, store, _PLAN, rows, form, 0, len(called), None if crm.saved else Revealing())
    crm.say(f"due: {total}; newly planned: {len(called)}; newly left alone: {len(choices) - len(called)}")


def show_result(crm: Session, store: View, period: Period | None, within: int, as_of: datetime, form: Format) -> None:
    """Show both sides of the comparison, and the lift."""
    from crmcli.model import reactivating as rules
    from crmcli.model.dates import day_start, local_day
    from crmcli.model.reports import pct
    from crmcli.storage.reactivating import results

    zone = store.settings.zone
    quarter = rules.Quarter.of(local_day(as_of, zone))
    bounds = period.bounds(zone) if period else (day_start(quarter.from_on, zone), day_start(quarter.to_on, zone))
    arms = results(store, *bounds, as_of, within)
    found = rules.lift(arms[False], arms[True])
    rows = []
    for name, arm in (("planned", arms[False]), ("left alone", arms[True])):
        each = round(arm.money / arm.clients, 2) if arm.clients else None
        ends = found if found and name == "planned" else (None, None, None)
        rows.append((name, arm.clients, arm.returned, pct(arm.returned, arm.clients), arm.money, each, *ends))
    if form == "table":
        rows = [row if row[1] >= rules.FEWEST_COMPARED else (*row[:3], None, *row[4:]) for row in rows]
    crm.output.rows(_RESULT, rows, form=form, limit=0)
    if found is None:
        crm.say(f"too few to compare: it takes {rules.FEWEST_COMPARED} clients on each side")
    elif found[1] <= 0 <= found[2]:
        crm.say("the interval has 0 in it: the difference may be chance")
