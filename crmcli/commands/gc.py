"""`crmcli gc`: compact small files and remove what nobody reads any more."""

from __future__ import annotations

import typer


def gc(ctx: typer.Context) -> None:
    """Compact small files, pack old commits, and remove files that left the store more than 7 days ago.

    Every writing command compacts by itself; this is for cron.
    """
    crm = ctx.obj
    with crm.reading() as store:
        done = crm.upkeep(store)
    crm.output.pairs([("files removed", done)])
