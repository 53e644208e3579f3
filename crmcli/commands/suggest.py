"""`crmcli suggest`: what to offer a client, or whom to offer a product, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import AsOf, Form, Limit
from crmcli.commands.suggesting import show_offers, show_suggestions
from crmcli.errors import InputError


def suggest(
    ctx: typer.Context,
    client: Annotated[
        str | None, typer.Argument(metavar="[CLIENT]", help="an id, a phone, an e-mail or part of a name")
    ] = None,
    product: Annotated[str | None, typer.Option(metavar="PRODUCT", help="who could be offered this, instead")] = None,
    limit: Limit = 50,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """Suggest what to offer a client, by what others bought who bought the same, and the next price in a category.

    Two products go together if 20 clients and 1 % of all bought both, 1.2 times more than chance has it. Left out is
    what the client bought within two use-up periods; what has no use-up days lasts for ever.
    """
    crm = ctx.obj
    with crm.reading() as store:
        state = crm.as_of(store, as_of)
        if client is not None and product is None:
            show_suggestions(crm, store, store.client(client), state, limit, form)
        elif product is not None and client is None:
            show_offers(crm, store, product, state, limit, form)
        else:
            raise InputError("name a client, or a product with --product")
