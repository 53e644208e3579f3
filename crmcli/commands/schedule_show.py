"""`crmcli schedule show`: show which jobs run by themselves, and when."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form


def schedule_show(ctx: typer.Context, form: Form = "table") -> None:
    """Show the schedules, when each last succeeded on this machine and is next, what was missed, what failed since."""
    from crmcli.commands.scheduling import COLUMNS, rows_of

    crm = ctx.obj
    with crm.reading() as store:
        crm.output.rows(COLUMNS, rows_of(store, crm.now), form=form, limit=0, id_column="schedule")
