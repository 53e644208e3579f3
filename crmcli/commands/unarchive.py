"""`crmcli unarchive`: bring an archived client back."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form, Who
from crmcli.commands.showing import show_records
from crmcli.model.archiving import unarchive as unarchive_rule


def unarchive(ctx: typer.Context, client: Who, form: Form = "table") -> None:
    """Bring an archived client back into sight, with the reminders that are still open."""
    crm = ctx.obj
    with crm.writing() as store:
        known = store.client(client)
        contact = store.contact(known.client_id)
        store.put(unarchive_rule(known))
    show_records(crm, [contact], form)
