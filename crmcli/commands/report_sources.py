"""`crmcli report sources`: where clients come from, and which of them buy."""

from __future__ import annotations

import typer

from crmcli.commands.comparing import show_sources
from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay


def report_sources(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show by where they came from how many clients were recorded in a period, and what became of them up to now.

    leads are all of them, clients those who bought; won deals, volume and average check are theirs, whenever it was.
    """
    crm = ctx.obj
    with crm.reading() as store:
        show_sources(crm, store, crm.period(store, period, from_, to), crm.as_of(store, as_of), form)
