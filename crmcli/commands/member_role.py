"""`crmcli member role`: give a member another role."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.teaming import MemberName, Rewrite, Role, show_changed_member


def member_role(
    ctx: typer.Context,
    name: MemberName,
    role: Annotated[Role, typer.Argument(help="the new role", show_default=False)],
    rewrite: Rewrite = False,
) -> None:
    """Give a member another role. What it opens more is opened at once; of what it opens no more nothing is shown.

    Books that it opens no more get new keys; --rewrite encrypts again at once what was written before. What was allowed
    beyond the old role and does not go with the new one is gone. Only an admin may do it, and nobody to oneself.
    """
    from crmcli.storage.enrolling import give_role
    from crmcli.storage.team import named
    from crmcli.storage.view import View

    crm = ctx.obj
    store = crm.store()
    member = named(View(store), name)
    books = give_role(store, member, role, crm.now)
    crm.saved = True
    show_changed_member(crm, store, member.member, books, rewrite=rewrite)
