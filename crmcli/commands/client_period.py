"""`crmcli client period`: show after how many days a client is expected to buy again, or set that by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import AsOf, Form, Who
from crmcli.commands.returning import show_client_period
from crmcli.model.returning import with_period


def client_period(
    ctx: typer.Context,
    client: Who,
    set_to: Annotated[str | None, typer.Option("--set", metavar="DAYS", help="such as 45d; none takes it back")] = None,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Show a client's purchases and periods: the own one, that of the segment, and the personal one that comes of both.

    A period that is set by hand wins: it decides who is due in crmcli reactivate.
    """
    crm = ctx.obj
    with crm.writing() as store:
        known = store.client(client)
        if set_to is not None:
            known = with_period(known, set_to)
            store.put(known)
    show_client_period(crm, store, known, crm.as_of(store, as_of), form)
