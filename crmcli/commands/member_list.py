"""`crmcli member list`: who is in the team."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form


def member_list(
    ctx: typer.Context,
    gone_too: Annotated[bool, typer.Option("--all", help="those who were removed, too")] = False,
    form: Form = "table",
) -> None:
    """List the members: role, state, clients (where you open the book), and what is allowed beyond the role."""
    from crmcli.storage.team import COLUMNS, roster

    crm = ctx.obj
    with crm.reading() as store:
        rows = roster(store, gone_too=gone_too)
    crm.output.rows(COLUMNS, rows, form=form, limit=0, id_column="member")
