"""`crmcli reactivate result`: compare those who were called back with those who were left alone."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay
from crmcli.commands.reactivating import show_result
from crmcli.model.returning import parse_days


def reactivate_result(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    within: Annotated[str, typer.Option(metavar="DAYS", help="purchases within so many days of the plan")] = "90d",
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show how many of those planned in a period bought again, and for how much, beside those left alone.

    lift_pct is by how many points of a hundred more of those planned came back, with the ends of a 95 % interval: some
    come back by themselves. Everybody planned counts, called or not. Without a period it is the present quarter.
    """
    crm = ctx.obj
    days = parse_days(within, "--within")
    with crm.reading() as store:
        state = crm.as_of(store, as_of)
        show_result(crm, store, crm.period(store, period, from_, to), days, state, form)
