"""`crmcli prep`: what to know before a call, on one screen."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import typer

from crmcli.commands.params import Form, Who

COLUMNS = ("section", "what", "text")


def prep(ctx: typer.Context, client: Who, form: Form = "table") -> None:
    """Show what to know before a call: stage and deadline, promises, the last touches, purchases and what to offer.

    Where the company's settings say so, it is recorded first that you looked.
    """
    from crmcli.storage.giving import record_reveal
    from crmcli.storage.preparing import prepared

    crm = ctx.obj
    with crm.writing() as store:
        known = store.client(client)
        record_reveal(store, [known.client_id])
        rows = prepared(store, known, crm.now)
    if form != "table":
        crm.output.rows(COLUMNS, rows, form=form, limit=0)
        return
    for section, found in groupby(rows, itemgetter(0)):
        crm.output.heading(section)
        crm.output.pairs([(f"  {what}", text) for _, what, text in found])
