"""`crmcli show`: show everything about one client."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form, Limit, Who
from crmcli.commands.showing import show_deals, show_sheet, show_story, show_to_do


def show(ctx: typer.Context, client: Who, limit: Limit = 50, form: Form = "table") -> None:
    """Show everything about one client: open promises on top, then who it is, the deals, and the story, newest first.

    Formats other than the table give the story alone, whole. Where the company's settings say so, it is recorded first
    that you looked.
    """
    from crmcli.storage.erasure import anybody
    from crmcli.storage.giving import record_reveal

    crm = ctx.obj
    with crm.writing() as store:
        known = anybody(store, client)
        record_reveal(store, [known.client_id])
    if form == "table":
        show_to_do(crm, store, known)
        show_sheet(crm, store, known)
        show_deals(crm, store, known)
    show_story(crm, store, known, form, limit)
