"""`crmcli void`: take back a sale or an activity that was a mistake."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form
from crmcli.commands.showing import say_left, show_records
from crmcli.model.selling import void as void_rule
from crmcli.storage.finding import sale_or_activity


def void(
    ctx: typer.Context,
    record: Annotated[str, typer.Argument(metavar="ID", help="the sale or activity")],
    form: Form = "table",
) -> None:
    """Take a sale or an activity out of every figure because it was a mistake. It stays in the history.

    Goods that came back are no mistake: that is a refund, log-sale --refund-of. With the record goes what it did to
    reminders, and the day that was named with it: those that it made are closed, those that it closed are open again.
    A reminder that was changed since stays, and is named.
    """
    from crmcli.storage.voiding import taken_back

    crm = ctx.obj
    with crm.writing() as store:
        found = sale_or_activity(store, record)
        voided = void_rule(found, store.of_client("sales", found.client_id))
        changed, stay = taken_back(store, voided)
        records = [voided, *changed]
        store.put(*records)
    show_records(crm, records, form)
    say_left(crm, stay)
    if getattr(voided, "amount", 0) and voided.deal_id is not None:
        crm.say("the deal that the sale belongs to stays as it is")
