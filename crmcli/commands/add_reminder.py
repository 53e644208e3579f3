"""`crmcli add-reminder`: be reminded of something about a client, once or again and again."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.params import DealId, Form, Who
from crmcli.commands.showing import show_records
from crmcli.model.reminding import Task
from crmcli.model.reminding import add_reminder as add_reminder_rule
from crmcli.storage.finding import assignee_named, client_at_work, deal_touched


def add_reminder(
    ctx: typer.Context,
    client: Who,
    text: Annotated[str, typer.Argument(help="what there is to do, in at most 1000 characters")],
    due: Annotated[str, typer.Option(metavar="DATE", help="when to be reminded")],
    promise: Annotated[bool, typer.Option("--promise", help="it was promised to the client")] = False,
    every: Annotated[
        str | None, typer.Option(metavar="REPEAT", help="repeat it: 30d, 2w, 1m, 1y, or a cron expression")
    ] = None,
    from_: Annotated[
        Literal["done", "due"] | None, typer.Option("--from", help="count --every from when it was done, or due")
    ] = None,
    assignee: Annotated[str | None, typer.Option(metavar="NAME", help="who is to do it, if not you")] = None,
    deal: DealId = None,
    form: Form = "table",
) -> None:
    """Remind yourself, or a colleague, of something about a client.

    One that repeats is made anew when the last is done, so that it never piles up.
    """
    crm = ctx.obj
    with crm.writing() as store:
        acting = crm.acting(store)
        known = client_at_work(store, client)
        task = Task(text, crm.due(store, due), promise, every, from_, assignee_named(store, known, assignee))
        records = add_reminder_rule(acting, known.client_id, task, deal_touched(store, known, deal))
        store.put(*records)
    show_records(crm, records, form)
