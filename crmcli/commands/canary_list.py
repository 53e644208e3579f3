"""`crmcli canary list`: list the canaries, and in whose books they are."""

from __future__ import annotations

import typer

from crmcli.commands.canaries import show_canaries
from crmcli.commands.params import Form, Limit


def canary_list(ctx: typer.Context, limit: Limit = 50, form: Form = "table") -> None:
    """List the canaries in all books, the newest first (admins only): whose each is, and who it seems to be."""
    from crmcli.storage.canaries import require_admin

    crm = ctx.obj
    with crm.reading() as store:
        require_admin(store)
        show_canaries(crm, store, form, limit)
