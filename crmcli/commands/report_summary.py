"""`crmcli report summary`: the standard figures of a period on one page."""

from __future__ import annotations

import typer

from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay
from crmcli.commands.reporting import show_funnel, show_summary


def report_summary(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show sales, volume, average check, clients, calls, won and lost deals, beside the period before.

    The period before is the calendar unit before, or as many days. On a terminal the funnel of the period follows.
    """
    crm = ctx.obj
    with crm.reading() as store:
        chosen = crm.period(store, period, from_, to)
        state = crm.as_of(store, as_of)
        show_summary(crm, store, chosen, state, form)
        if crm.output.tty and form == "table":
            crm.output.line("")
            show_funnel(crm, store, store.process.pipeline(), chosen, state, None, form)
