"""`crmcli member show`: one member, and what the member may open."""

from __future__ import annotations

import typer

from crmcli.commands.teaming import MemberName, show_member


def member_show(ctx: typer.Context, name: MemberName) -> None:
    """Show a member's role and state, and whose books the member may open: whole, or the facts without any name."""
    from crmcli.storage.team import named

    crm = ctx.obj
    with crm.reading() as store:
        show_member(crm, store, named(store, name))
