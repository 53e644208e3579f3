"""`crmcli report lost`: why and at which stage deals are lost."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.comparing import show_lost
from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay


def report_lost(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="which pipeline; else all")] = None,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show the deals that were lost in a period by reason and stage, with the sum expected of them.

    lost_pct is of all that were lost; with_return are those for which a date to come back is set. Reason, sum and that
    date are those that a deal has now.
    """
    crm = ctx.obj
    with crm.reading() as store:
        chosen = store.process.pipeline(pipeline) if pipeline is not None else None
        show_lost(crm, store, chosen, crm.period(store, period, from_, to), crm.as_of(store, as_of), form)
