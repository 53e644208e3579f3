"""`crmcli log-sale`: record a sale, or give back part or all of one."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.expecting import planned
from crmcli.commands.params import Form, When, Who, amount, item
from crmcli.commands.showing import show_records
from crmcli.model.closing import win_with_sale
from crmcli.model.records import Record
from crmcli.model.selling import refund, refuse_items, require_listed, sell, total_of
from crmcli.storage.finding import client_at_work, deal_named, open_deals, reminders_known, sale_named


def log_sale(
    ctx: typer.Context,
    client: Who,
    total: Annotated[str, typer.Argument(metavar="AMOUNT", help="the sum of the document")],
    items: Annotated[
        list[str] | None, typer.Option("--item", metavar="NAME:QTY:PRICE", help="a line of it; repeatable")
    ] = None,
    unlisted: Annotated[bool, typer.Option("--unlisted", help="items may be no listed products")] = False,
    next_on: Annotated[
        str | None, typer.Option("--next", metavar="DATE", help="when they buy next; auto, or none; reminds you before")
    ] = None,
    refund_of: Annotated[str | None, typer.Option(metavar="ID", help="the sale that AMOUNT is given back of")] = None,
    deal: Annotated[str | None, typer.Option(metavar="ID", help="the deal that this sale wins")] = None,
    when: When = None,
    form: Form = "table",
) -> None:
    """Record a sale. With --deal it wins that deal, so that nothing is counted twice.

    On a terminal it asks when the client buys next; --next auto takes the day that their goods, their rhythm or their
    segment suggest. You are reminded lead_days before, a setting, to prepare the offer. The sale ends what was planned
    before it to bring it about: reminders of reactivation, of the planned purchase and of the one expected last. A day
    that was named with an earlier sale stays until they buy on it or later, unless --next says otherwise.
    """
    crm = ctx.obj
    with crm.writing() as store:
        acting = crm.acting(store, when)
        known = client_at_work(store, client)
        sold, lines = amount(total), [item(text) for text in items or ()]
        require_listed(() if unlisted else lines, store.products)
        if refund_of is not None:
            refuse_items(lines)
            before = store.of_client("sales", known.client_id)
            records: list[Record] = [refund(acting, sale_named(store, known, refund_of), sold, before)]
        elif deal is not None:
            won = deal_named(store, known, deal)
            records = win_with_sale(acting, won, sold, lines, store.products, reminders_known(store, known.client_id))
        else:
            records = sell(acting, known.client_id, sold, lines, store.products)
        if refund_of is None:
            records += planned(crm, store, acting, known, records, reminders_known(store, known.client_id), next_on)
        left_open = [] if deal or refund_of else open_deals(store, known)
        store.put(*records)
    show_records(crm, records, form)
    if left_open:
        crm.say("the sale is linked to no deal, and one is open: if it was that deal, void the sale and use --deal ID")
    if lines and total_of(lines) != sold:
        crm.say(f"the items come to {total_of(lines)}, not to the amount: a discount, or a slip")
