"""`crmcli report repeat`: how many of those who bought, bought again."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay
from crmcli.commands.returning import show_repeat
from crmcli.model.returning import parse_days


def report_repeat(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    by: Annotated[Literal["segment", "source", "owner"] | None, typer.Option(help="one row for each")] = None,
    horizon: Annotated[str, typer.Option(metavar="DAYS", help="H: who bought again within so many days")] = "90d",
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show how many clients bought twice or more of all who bought, and how many within H days of the first time.

    repeat_h_pct counts only clients whose first purchase is at least H days ago, so that all had the same time. The
    period is that of the first purchase.
    """
    crm = ctx.obj
    days = parse_days(horizon, "--horizon")
    with crm.reading() as store:
        show_repeat(crm, store, crm.period(store, period, from_, to), by, days, crm.as_of(store, as_of), form)
