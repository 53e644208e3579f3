"""`crmcli grant export`: let a member export rows."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.granting import Books, Expires, MaxRows, Once, Purpose, To, expiry, give_grant
from crmcli.model.exporting import granted_columns


def grant_export(
    ctx: typer.Context,
    to: To,
    book: Books = None,
    columns: Annotated[str | None, typer.Option(metavar="a,b,…", help="only these columns, such as name,phone")] = None,
    max_rows: MaxRows = None,
    expires: Expires = "24h",
    once: Once = False,
    purpose: Purpose = None,
) -> None:
    """Let a member export, or see long lists unmasked, within limits and until a time. Only an admin may do it.

    Each use is recorded in the signed log. On a machine of one's own a grant binds the program, not the holder of the
    key: a member can read what their key opens with another program. It opens nothing that the key does not.
    """
    from crmcli.storage.giving import Terms, give

    crm = ctx.obj
    with crm.writing() as store:
        until = expiry(crm, store, expires)
        terms = Terms(to, "export", book or (), granted_columns(columns), max_rows, until, once, purpose)
        grant = give(store, crm.acting(store), terms)
    give_grant(crm, store, grant, terms)
