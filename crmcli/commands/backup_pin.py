"""`crmcli backup pin`: keep a snapshot whatever its age."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands import backing_up
from crmcli.commands.backing_up import Snapshot, To


def backup_pin(
    ctx: typer.Context,
    snapshot: Snapshot,
    to: To = None,
    remove: Annotated[bool, typer.Option("--remove", help="take the pin out again")] = False,
) -> None:
    """Keep a snapshot whatever its age, until the pin is taken out. Erased files are removed from it all the same."""
    from crmcli.storage.backups.judging import pin

    crm = ctx.obj
    place = backing_up.one_place(crm, to, snapshot)
    name = pin(place, snapshot, backing_up.known(crm, backing_up.places(crm, to)), remove=remove)
    crm.output.pairs([("snapshot", name), ("place", place.text), ("pinned", not remove)])
