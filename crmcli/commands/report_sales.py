"""`crmcli report sales`: how much was sold, by time, people, sources, segments or products."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.comparing import show_sales
from crmcli.commands.params import AsOf, Form, FromDay, Limit, PeriodText, ToDay


def report_sales(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    by: Annotated[
        Literal["day", "week", "month", "quarter", "year", "manager", "source", "segment", "product"] | None,
        typer.Option(help="one row for each"),
    ] = None,
    as_of: AsOf = None,
    limit: Limit = 50,
    form: Form = "table",
) -> None:
    """Show how many sales there were, of what sum, how much was refunded, and to how many clients, old and new.

    They stand beside those of the period before: the calendar unit before, or as many days. With --by each day, week,
    month, quarter or year stands beside the whole one before it, and each group beside itself in the period before. A
    unit that is not over, or not all in the period, has no change_pct.
    average_check is gross / sales; a refund counts on its own day. A sale of several products counts for each of them
    by its share of the lines, and what has no lines or no listed product is unknown.
    """
    crm = ctx.obj
    with crm.reading() as store:
        show_sales(crm, store, crm.period(store, period, from_, to), by, crm.as_of(store, as_of), form, limit)
