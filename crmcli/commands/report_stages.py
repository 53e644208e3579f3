"""`crmcli report stages`: how long deals stay at each stage, and how they stand there now."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay
from crmcli.commands.reporting import show_stages


def report_stages(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="which pipeline; else the first")] = None,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show how long the deals opened in a period stayed at each stage, how many within its norm, and who is there now.

    Without a period it counts all deals ever opened. A visit that has not ended counts up to now. in_norm_pct is of the
    visits that ended and of those past the norm already; norm_days is 2d for calendar days, 2bd for working days.
    """
    crm = ctx.obj
    with crm.reading() as store:
        cohort = crm.period(store, period, from_, to)
        show_stages(crm, store, store.process.pipeline(pipeline), cohort, crm.as_of(store, as_of), form)
