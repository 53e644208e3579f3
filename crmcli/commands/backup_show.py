"""`crmcli backup show`: what is in one snapshot."""

from __future__ import annotations

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Snapshot, To
from crmcli.commands.params import Form


def backup_show(ctx: typer.Context, snapshot: Snapshot = "latest", to: To = None, form: Form = "table") -> None:
    """Show what is in a snapshot, table by table, as its signed log says. It takes no key, and names nobody."""
    from crmcli.storage.backups.contents import contents

    crm = ctx.obj
    found = contents(
        backing_up.one_place(crm, to, snapshot), snapshot, backing_up.known(crm, backing_up.places(crm, to))
    )
    if form == "table":
        crm.output.pairs(found.told)
        crm.output.line("")
    crm.output.rows(found.columns, found.rows, form=form, limit=0)
