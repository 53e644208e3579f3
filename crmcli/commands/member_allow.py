"""`crmcli member allow`: let a member open more than the role does, or no more of it."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.teaming import MemberName, Rewrite, show_changed_member


def member_allow(
    ctx: typer.Context,
    name: MemberName,
    read: Annotated[
        list[str] | None, typer.Option(metavar="OWNER", help="a lead reads this member's book; repeatable")
    ] = None,
    personal: Annotated[
        list[str] | None, typer.Option(metavar="OWNER", help="a service opens the names in this book; repeatable")
    ] = None,
    no_read: Annotated[bool, typer.Option("--no-read", help="a lead reads nobody's book any more")] = False,
    no_personal: Annotated[bool, typer.Option("--no-personal", help="a service opens no names any more")] = False,
    dispatcher: Annotated[
        bool | None,
        typer.Option("--dispatcher/--no-dispatcher", help="opens the inbox of unassigned leads", show_default=False),
    ] = None,
    rewrite: Rewrite = False,
) -> None:
    """Let a member open more. The owners named replace those named before; what is not mentioned stays as it is.

    Of books that the member may open no more crmcli shows nothing from then on, and they get new keys. Files written
    before are encrypted again as they are compacted, or at once with --rewrite. Only an admin may do it.
    """
    from crmcli.storage.enrolling import allow
    from crmcli.storage.team import named
    from crmcli.storage.view import View

    crm = ctx.obj
    store = crm.store()
    member = named(View(store), name)
    books = allow(store, member, [] if no_read else read, [] if no_personal else personal, dispatcher, crm.now)
    crm.saved = True
    show_changed_member(crm, store, member.member, books, rewrite=rewrite)
    if personal and not no_personal:
        crm.say(
            "whoever gets at the machine of that service can now read these names: keep its identity file there alone"
        )
