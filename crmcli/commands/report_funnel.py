"""`crmcli report funnel`: where clients drop off, stage by stage."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.params import AsOf, Form, FromDay, PeriodText, ToDay
from crmcli.commands.reporting import show_funnel, show_standing


def report_funnel(
    ctx: typer.Context,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="which pipeline; else the first")] = None,
    by: Annotated[
        Literal["owner", "source", "segment", "repeat"] | None, typer.Option(help="one funnel for each")
    ] = None,
    view: Annotated[
        Literal["reached", "snapshot"], typer.Option(help="how far deals got, or where they stand now")
    ] = "reached",
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show how far the deals opened in a period got, and at which stage they were lost.

    Without a period it counts all deals ever opened. reached = advanced + lost + open at every stage.
    """
    crm = ctx.obj
    with crm.reading() as store:
        cohort = crm.period(store, period, from_, to)
        state = crm.as_of(store, as_of)
        chosen = store.process.pipeline(pipeline)
        show = show_funnel if view == "reached" else show_standing
        show(crm, store, chosen, cohort, state, by, form)
