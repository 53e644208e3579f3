"""`crmcli reactivate plan`: make those who are due reminders, spread over working days."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form
from crmcli.commands.reactivating import show_plan
from crmcli.commands.saving import saved_as


def reactivate_plan(
    ctx: typer.Context,
    per_day: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="calls of a person on a day")] = 10,
    assign: Annotated[bool, typer.Option("--assign", help="to the owner of each client, not to you")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan and save nothing")] = False,
    form: Form = "table",
) -> None:
    """Make those who are due reminders on the working days that are left of the quarter, the most valuable first.

    From 200 on who are due, a tenth is left alone for the quarter, so that crmcli reactivate result has something to
    compare with; a hash chooses them. Who is planned already, or left alone, stays so: run it again, by cron, and it
    adds but what is new. You plan your own clients, an admin all.
    """
    from crmcli.storage.reactivating import plan

    crm = ctx.obj
    with crm.writing() as store:
        choices, total = plan(store, crm.acting(store), per_day, assign=assign)
        if dry_run:
            store.discard()
    show_plan(crm, store, choices, total, form)
    crm.say(f"commit: {saved_as(store.committed, dry_run=dry_run)}")
