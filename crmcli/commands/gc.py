"""`crmcli gc`: compact small files and remove what nobody reads any more."""

from __future__ import annotations

from typing import Annotated

import typer


def gc(
    ctx: typer.Context,
    now: Annotated[bool, typer.Option("--now", help="not only after 7 days; for admins")] = False,
) -> None:
    """Compact small files, pack old commits, and remove files that left the store more than 7 days ago.

    Every writing command compacts by itself; only this removes, so let it run daily (crmcli schedule). Until then
    whoever has an old key opens what a transfer or a rewriting replaced: --now removes it at once. Commands that still
    read it begin again; a backup that is running at that moment has to be run again.
    """
    crm = ctx.obj
    with crm.reading() as store:
        done = crm.upkeep(store, at_once=now)
    crm.output.pairs([("files removed", done)])
