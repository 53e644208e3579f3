"""`crmcli edit-deal`: fill in or change what is known of a deal."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.edit_client import COLUMNS
from crmcli.commands.params import DealId, Form, Who, amount
from crmcli.model.editing import deal_sheet, differences
from crmcli.model.editing import edit_deal as edit_deal_rule
from crmcli.storage.finding import deal_to_move


def edit_deal(
    ctx: typer.Context,
    client: Who,
    expected: Annotated[str | None, typer.Option("--amount", metavar="AMOUNT", help="the sum you expect")] = None,
    product: Annotated[str | None, typer.Option(metavar="NAME", help="what they will buy, a listed product")] = None,
    interest: Annotated[str | None, typer.Option(metavar="TEXT", help="what they asked for")] = None,
    deal: DealId = None,
    form: Form = "table",
) -> None:
    """Change what is known of a deal: the sum, the product, what they asked for. Its stage is for advance-stage."""
    crm = ctx.obj
    with crm.writing() as store:
        known = store.client(client)
        before = deal_to_move(store, known, deal)
        said = store.texts([before.deal_id], ("interest",)).get(before.deal_id)
        total = None if expected is None else amount(expected)
        after = edit_deal_rule(before, total, product, store.products)
        notes = crm.acting(store).note(known.client_id, before.deal_id, "interest", interest)
        now_said = notes[0].text if notes else said
        rows = differences(deal_sheet(before, store.products, said), deal_sheet(after, store.products, now_said))
        store.put(*([after] if after != before else []), *notes)
    crm.output.rows(COLUMNS, rows, form=form, limit=0)
