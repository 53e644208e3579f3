"""`crmcli report calls`: calls in and out, how many were missed, and how soon those were returned."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.comparing import show_calls
from crmcli.commands.params import AsOf, Form, FromDay, Limit, PeriodText, ToDay


def report_calls(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    by: Annotated[
        Literal["manager", "day", "week", "month", "hour", "result"] | None,
        typer.Option(help="one row for each"),
    ] = None,
    as_of: AsOf = None,
    limit: Limit = 50,
    form: Form = "table",
) -> None:
    """Show how many calls came in and went out, how many were answered, and what became of those that were missed.

    A call that came in and was not answered is missed. It is returned by the next call to that client, even if nobody
    answers, or by one of theirs that is answered: within an hour; else on the same day; else later; or never up to now.
    A call of 0 seconds was not answered, whatever its result; one without a result was if it took longer.
    attempts_per_client is of those who were called.
    """
    crm = ctx.obj
    with crm.reading() as store:
        show_calls(crm, store, crm.period(store, period, from_, to), by, crm.as_of(store, as_of), form, limit)
