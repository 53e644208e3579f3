"""`crmcli grant erase`: let a member have clients erased."""

from __future__ import annotations

import typer

from crmcli.commands.granting import Books, Expires, MaxRows, Once, Purpose, To, expiry, give_grant


def grant_erase(
    ctx: typer.Context,
    to: To,
    book: Books = None,
    max_rows: MaxRows = None,
    expires: Expires = "24h",
    once: Once = False,
    purpose: Purpose = None,
) -> None:
    """Let a member have clients erased, within limits and until a time. Only an admin may do it.

    Rows are clients here. On a machine of one's own a grant binds the program, not the holder of the key.
    """
    from crmcli.storage.giving import Terms, give

    crm = ctx.obj
    with crm.writing() as store:
        terms = Terms(to, "erase", book or (), None, max_rows, expiry(crm, store, expires), once, purpose)
        grant = give(store, crm.acting(store), terms)
    give_grant(crm, store, grant, terms)
