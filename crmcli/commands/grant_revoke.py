"""`crmcli grant revoke`: take a grant back."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.saving import saved_as


def grant_revoke(
    ctx: typer.Context,
    grant: Annotated[str, typer.Argument(metavar="ID", help="the grant, as crmcli grant list --all shows it")],
) -> None:
    """Take a grant back, from now on. What was exported under it stays where it went. Only an admin may do it."""
    from crmcli.storage.giving import revoke

    crm = ctx.obj
    with crm.writing() as store:
        revoked = revoke(store, grant)
    crm.output.pairs([("revoked", revoked), ("commit", saved_as(store.committed, dry_run=False))])
