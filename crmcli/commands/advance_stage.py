"""`crmcli advance-stage`: move a deal on, back, to won or to lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from crmcli.commands.params import DealId, Form, Note, When, Who, amount
from crmcli.commands.showing import show_records
from crmcli.errors import InputError
from crmcli.model.closing import lose_until, move, win_with_sale
from crmcli.model.expecting import follow_up
from crmcli.storage.finding import client_at_work, deal_unmoved, reminders_known, require_known


def advance_stage(
    ctx: typer.Context,
    client: Who,
    to: Annotated[str | None, typer.Option(metavar="STAGE", help="a stage other than the next")] = None,
    won: Annotated[str | None, typer.Option(metavar="AMOUNT", help="close it as won; writes the sale too")] = None,
    lost: Annotated[str | None, typer.Option(metavar="REASON", help="close it as lost, for a listed reason")] = None,
    return_on: Annotated[
        str | None, typer.Option("--return", metavar="DATE", help="with --lost: when to come back; reminds you")
    ] = None,
    note: Note = None,
    when: When = None,
    deal: DealId = None,
    form: Form = "table",
) -> None:
    """Move the client's deal to its next stage, or where the options say.

    A lost deal is reopened by naming the stage with --to. A deal that somebody else moves at the same time moves once.
    """
    crm = ctx.obj
    if sum(option is not None for option in (to, won, lost)) > 1:
        raise InputError("--to, --won and --lost exclude one another")
    if return_on is not None and lost is None:
        raise InputError("--return goes with --lost")
    with crm.writing() as store:
        acting = crm.acting(store, when)
        known = client_at_work(store, client)
        current = deal_unmoved(store, known, deal, crm.seen, reopening=to is not None)
        if won is not None:
            total = amount(won)
            reminders = reminders_known(store, known.client_id)
            records = win_with_sale(acting, current, total, known=reminders)
            lead_days, zone = store.settings.lead_days, store.settings.zone
            sales = partial(store.of_client, "sales", known.client_id)
            records += follow_up(acting, known, None, reminders, lead_days, zone, sales, is_said=False)
            require_known(store, known, replace(current, amount=total), is_won=True)
        elif lost is not None:
            records = lose_until(
                acting,
                store.process,
                current,
                lost,
                crm.day(store, return_on, "return", reminds=True),
                reminders_known(store, known.client_id),
            )
        else:
            records = move(acting, store.process, current, to, reminders_known(store, known.client_id))
            require_known(store, known, current, to)
        records += acting.note(known.client_id, current.deal_id, "note", note)
        store.put(*records)
    show_records(crm, records, form)
