"""`crmcli history`: show every change of one client's records."""

from __future__ import annotations

import typer

from crmcli.commands.auditing import show_history
from crmcli.commands.params import Form, Limit, Who


def history(ctx: typer.Context, client: Who, limit: Limit = 50, form: Form = "table") -> None:
    """Show who changed what of a client and when, field by field, newest first, as far as your keys open it.

    A table shows 50 rows; the other formats are whole. What was erased, or removed with the files that held it, is
    absent. Where the company's settings say so, it is recorded first that you looked.
    """
    from crmcli.storage.erasure import anybody
    from crmcli.storage.giving import record_reveal

    crm = ctx.obj
    with crm.writing() as store:
        known = anybody(store, client)
        record_reveal(store, [known.client_id])
    show_history(crm, store, known.client_id, form, limit)
