"""`crmcli products set`: change a product, or add one."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form
from crmcli.commands.suggesting import show_products
from crmcli.formats.numbers import parse_amount
from crmcli.model.suggesting import changed, named, new_product


def products_set(
    ctx: typer.Context,
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="its id or name")],
    price: Annotated[str | None, typer.Option(metavar="SUM", help="what one costs")] = None,
    category: Annotated[str | None, typer.Option(metavar="TEXT", help="what kind of product it is")] = None,
    use_up: Annotated[str | None, typer.Option("--use-up", metavar="DAYS", help="how long one lasts, as 30d")] = None,
    new: Annotated[bool, typer.Option("--new", help="add it")] = False,
    form: Form = "table",
) -> None:
    """Set the price, the category or the use-up days of a product. An empty value, such as --price "", takes it away.

    With --new it is added. A manager may add products; an admin also changes them. crmcli process show prints those
    that the process lists as they are now, and process apply makes them as its file has them.
    """
    crm = ctx.obj
    with crm.writing() as store:
        store.depends_on("products")
        listed = store.products
        known = new_product(listed, product, crm.acting(store).new_id) if new else named(listed, product)
        edited = changed(known, price, category, use_up, parse_amount)
        store.put(*([edited] if new or edited != known else []))
    with crm.reading() as store:
        show_products(crm, store, [edited], form, 0)
