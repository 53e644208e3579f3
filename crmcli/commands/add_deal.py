"""`crmcli add-deal`: open another deal for a client you know."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form, Note, When, Who, amount
from crmcli.commands.showing import show_records
from crmcli.model.entering import start
from crmcli.storage.finding import client_at_work


def add_deal(
    ctx: typer.Context,
    client: Who,
    pipeline: Annotated[str | None, typer.Option(metavar="NAME", help="which pipeline; else the first")] = None,
    expected: Annotated[str | None, typer.Option("--amount", metavar="AMOUNT", help="the sum you expect")] = None,
    interest: Annotated[str | None, typer.Option(metavar="TEXT", help="what they asked for")] = None,
    note: Note = None,
    when: When = None,
    form: Form = "table",
) -> None:
    """Open a deal at the first stage for a client who is back, or who wants something else besides."""
    crm = ctx.obj
    with crm.writing() as store:
        acting = crm.acting(store, when)
        known = client_at_work(store, client)
        total = amount(expected) if expected is not None else None
        deal, records = start(acting, store.process, known, pipeline, total)
        records += acting.note(known.client_id, deal.deal_id, "interest", interest)
        records += acting.note(known.client_id, deal.deal_id, "note", note)
        store.put(*records)
    show_records(crm, records, form)
