"""`crmcli trash`: list what was voided, archived, changed or undone lately, and how to get it back."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form, Limit
from crmcli.commands.undoing import show_trash


def trash(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(metavar="DATE", help="how far to look back")] = "30 days ago",
    limit: Limit = 50,
    form: Form = "table",
) -> None:
    """List what you, or somebody in your book, voided, archived, changed or undid, and what brings it back.

    The newest is on top. Left out is what cannot be brought back any more: what was changed since, or erased.
    """
    from crmcli.storage.trash import lately

    crm = ctx.obj
    with crm.reading() as store:
        show_trash(crm, store, lately(store, crm.moment(store, since, "since", past=True).at), form, limit)
