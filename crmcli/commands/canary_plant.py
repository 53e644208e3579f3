"""`crmcli canary plant`: give each book a client who does not exist, to name the source of a leak."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.canaries import show_planted
from crmcli.commands.params import Form


def canary_plant(
    ctx: typer.Context,
    owner: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="only in this person's book; repeatable")
    ] = None,
    email_domain: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="a domain of yours, for e-mails that reach you")
    ] = None,
    phone: Annotated[
        list[str] | None, typer.Option(metavar="PHONE", help="a number of yours, one for a book; repeatable")
    ] = None,
    form: Form = "table",
) -> None:
    """Give each member's book a plausible client of its own who does not exist (admins only).

    Canaries are in lists, find, show and exports like anybody. Reports leave them out, but for those of the book's
    owner, who would tell them by that, and nothing reminds of them. A book that has one gets no other. Without --phone
    they have numbers that are assigned to nobody, without --email-domain no e-mail.
    """
    from crmcli.storage.canaries import books_of, plant, require_admin
    from crmcli.storage.view import View

    crm = ctx.obj
    store = crm.store()
    view = View(store)
    require_admin(view)
    books = books_of(view, owner or ())
    planted = plant(store, crm.acting(view), books, email_domain, phone or ())
    crm.saved = bool(planted)
    show_planted(crm, planted, len(books) - len(planted), form)
