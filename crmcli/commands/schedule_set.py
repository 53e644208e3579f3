"""`crmcli schedule set`: say when a job runs by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.saving import saved_as


def schedule_set(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="remind, digest, intake, backup, drill, gc, reactivate or norms")],
    cron: Annotated[str, typer.Argument(help="minute hour day month weekday, or none")],
) -> None:
    """Say when a job runs, for everybody, in the company's time zone. Only an admin may do it.

    A time that a change of the clocks skips is later by the gap; one that comes twice is the first. Where the hour is *
    a job runs in every hour, the one that comes twice too.
    """
    from crmcli.commands import COMMANDS
    from crmcli.model.schedules import parse_schedule
    from crmcli.storage.scheduling import set_schedule

    crm = ctx.obj
    wanted = parse_schedule(name, cron, COMMANDS)
    with crm.writing() as store:
        set_schedule(store, crm.acting(store), name, wanted)
    crm.output.pairs([(name, wanted), ("commit", saved_as(store.committed, dry_run=False))])
