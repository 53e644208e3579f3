"""`crmcli products`: list what the company sells."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form, Limit
from crmcli.commands.suggesting import show_products


def products(ctx: typer.Context, limit: Limit = 50, form: Form = "table") -> None:
    """List the products: category, price, and for how many days one lasts."""
    crm = ctx.obj
    with crm.reading() as store:
        show_products(crm, store, store.products, form, limit)
