"""`crmcli member add`: make the owner of a card a member of the team."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmcli.commands.teaming import Role, show_member


def member_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="the name, as the staff list is to show it")],
    card: Annotated[Path, typer.Option(metavar="FILE", help="the card that crmcli identity card printed")],
    role: Annotated[Role, typer.Option(help="what the member may open and write")],
) -> None:
    """Enrol somebody by a card: with a role, the keys of all that it opens, and a book for clients (not for analysts).

    Make sure that the card is theirs: whoever's card it is will open those books. Run again after an interruption, it
    does what is missing. Only an admin may do it.
    """
    from crmcli.storage.cards import read_card
    from crmcli.storage.enrolling import enrol
    from crmcli.storage.team import require_admin
    from crmcli.storage.view import View

    crm = ctx.obj
    store = crm.store()
    require_admin(store)
    owner = read_card(card, store.genesis.store)
    enrol(store, name, owner, role, crm.now)
    crm.saved = True
    show_member(crm, View(store), store.state.members[owner.member])
