"""`crmcli transfer`: move clients from one member to another."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.saving import saved_as
from crmcli.commands.teaming import say_what_stays


def transfer(
    ctx: typer.Context,
    giver: Annotated[str, typer.Option("--from", metavar="NAME", help="whose clients they are")],
    taker: Annotated[str, typer.Option("--to", metavar="NAME", help="whose they will be")],
    clients: Annotated[
        list[str] | None, typer.Argument(metavar="[CLIENT]...", help="which of them; all if none is named")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="count them and save nothing")] = False,
) -> None:
    """Move clients with their deals, reminders, notes and history to another member, in one commit.

    Who did what stays as it was; clients, open deals and open reminders have the new owner. They are encrypted anew,
    so the old owner's key opens none of it, but for copies made before and the files replaced, which stay in the folder
    until crmcli gc removes them. Only an admin may do it.
    """
    from crmcli.storage.team import named
    from crmcli.storage.transfer import move, plan

    crm = ctx.obj
    with crm.writing() as store:
        moved = plan(store, named(store, giver), named(store, taker), clients or [])
        if not dry_run:
            move(store, moved)
    crm.output.pairs(
        [
            ("clients", len(moved.clients)),
            ("records", moved.total),
            ("commit", saved_as(store.committed, dry_run=dry_run)),
        ]
    )
    if store.committed:
        say_what_stays(crm, store)
