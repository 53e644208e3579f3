"""`crmcli grant list`: list grants."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form


def grant_list(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="also those revoked, used or expired")] = False,
    form: Form = "table",
) -> None:
    """List the grants that are valid, or all there ever were. Who is no admin sees the own ones."""
    from crmcli.storage.giving import LISTED, listed

    crm = ctx.obj
    with crm.reading() as store:
        rows = listed(store, crm.now, everything=everything)
    crm.output.rows(LISTED, rows, form=form, limit=0, id_column="grant_id")
