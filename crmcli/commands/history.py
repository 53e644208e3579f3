"""`crmcli history`: show every change of one client's records."""

from __future__ import annotations

import typer

from crmcli.commands.auditing import show_history
from crmcli.commands.params import Form, Limit, Who


def history(ctx: typer.Context, client: Who, limit: Limit = 50, form: Form = "table") -> None:
    """Show who changed what of a client and when, field by field, newest first, as far as your keys open it.

    A table shows 50 rows; the other formats are whole. What was erased, or removed with the files that held it, is
    absent.
    """
    crm = ctx.obj
    with crm.reading() as store:
        show_history(crm, store, store.client(client).client_id, form, limit)
