"""`crmcli report periods`: after how many days clients buy again, by segment."""

from __future__ import annotations

import typer

from crmcli.commands.params import AsOf, Form
from crmcli.commands.returning import show_periods


def report_periods(ctx: typer.Context, as_of: AsOf = None, form: Form = "table") -> None:
    """Show the purchase period of each segment: the mean, over its clients who bought twice or more, of their own.

    A client's own period is the time from the first purchase day to the last, divided by one less than there are.
    A segment of fewer than 5 such clients goes by the whole base, and that by the setting period_days.
    Who opens but the own clients sees the periods that crmcli norms published last, by which everybody works.
    """
    crm = ctx.obj
    with crm.reading() as store:
        show_periods(crm, store, crm.as_of(store, as_of), form)
