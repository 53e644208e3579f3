"""`crmcli find`: find clients by any text."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.listing import show_rows
from crmcli.commands.params import Form, GrantId, Limit, Reveal, Yes
from crmcli.commands.revealing import Revealing


def find(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="part of a name, phone, e-mail, tax id or note")],
    limit: Limit = 50,
    form: Form = "table",
    reveal: Reveal = False,
    grant: GrantId = None,
    yes: Yes = False,
) -> None:
    """Find the clients that have a text anywhere: in names, phones, e-mails, tax ids or what was said.

    Names, phones and e-mails are masked after the first 50 rows, a number that crmcli settings sets.
    """
    from crmcli.storage.archiving import archived_clients
    from crmcli.storage.listing import KINDS, rows_of

    crm = ctx.obj
    with crm.reading() as store:
        found = store.matching(text)
        store.require_any(found)
        shown = found[:limit] if form == "table" and limit else found
        archived = set(archived_clients(store.reader, shown).to_pylist())
        mark = {at: "archived" for at, number in enumerate(shown) if number in archived}
        rows = rows_of(store, "clients", shown, crm.now)
        asked = Revealing(reveal, grant, yes)
        show_rows(crm, store, KINDS["clients"].columns, rows, form, limit, len(found), asked, mark)
