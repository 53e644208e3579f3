"""`crmcli archive`: put a client out of sight whom nobody works with any more."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form, Who
from crmcli.commands.showing import show_records
from crmcli.model.archiving import archive as archive_rule


def archive(ctx: typer.Context, client: Who, form: Form = "table") -> None:
    """Put a client out of sight: out of `list clients`, with no reminders, and still in every figure.

    `find` and `show` find archived clients. `unarchive` brings them back, and so does whatever you record of them: a
    call, a sale, a deal, a stage, a reminder; imports do not. Who must be forgotten is erased instead.
    """
    crm = ctx.obj
    with crm.writing() as store:
        known = store.client(client)
        contact = store.contact(known.client_id)
        store.put(archive_rule(known))
    show_records(crm, [contact], form)
    crm.say("archived; crmcli unarchive brings them back")
