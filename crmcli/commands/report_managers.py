"""`crmcli report managers`: everybody's sales, calls and deals, side by side."""

from __future__ import annotations

import typer

from crmcli.commands.comparing import show_managers
from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay


def report_managers(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show what each person sold, whom they called, and which of their deals were won and lost in a period.

    Sales and calls count for who made them, deals for who owns them now. A deal is of the day that it closed
    on; open_now are those that are open, whatever the period.
    """
    crm = ctx.obj
    with crm.reading() as store:
        show_managers(crm, store, crm.period(store, period, from_, to), crm.as_of(store, as_of), form)
