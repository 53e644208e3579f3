"""`crmcli add-client`: record somebody who showed interest."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form, Note, When
from crmcli.commands.showing import show_records
from crmcli.model.capture import Introduction, interest, introduce
from crmcli.storage.finding import refuse_known


def add_client(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="the person, or the company if there is no person yet")],
    phone: Annotated[list[str] | None, typer.Option(metavar="PHONE", help="in any form; repeatable")] = None,
    email: Annotated[list[str] | None, typer.Option(metavar="EMAIL", help="repeatable")] = None,
    company: Annotated[str | None, typer.Option(metavar="NAME", help="where they work")] = None,
    tax_id: Annotated[str | None, typer.Option(metavar="ID", help="tax number")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="where they came from")] = None,
    segment: Annotated[str | None, typer.Option(metavar="SEGMENT", help="what kind of client")] = None,
    interest_in: Annotated[str | None, typer.Option("--interest", metavar="TEXT", help="what they asked for")] = None,
    buy_by: Annotated[str | None, typer.Option(metavar="DATE", help="when they plan to buy; reminds you")] = None,
    note: Note = None,
    no_deal: Annotated[bool, typer.Option("--no-deal", help="open no deal at the first stage")] = False,
    when: When = None,
    form: Form = "table",
) -> None:
    """Record somebody who showed interest, and open a deal at the first stage.

    A phone, e-mail or tax id that you know already is refused with exit code 4, naming the client who has it.
    """
    crm = ctx.obj
    person = Introduction(name, phone or (), email or (), company, tax_id, None, source, segment)
    with crm.writing() as store:
        acting = crm.acting(store, when)
        buy_on, remind_at = crm.day(store, buy_by, "buy by", ahead=True)
        client, contact = introduce(acting, store.process, person, store.settings.region, buy_on)
        refuse_known(store, contact)
        records = interest(
            acting, store.process, client, wants=interest_in, note=note, remind_at=remind_at, with_deal=not no_deal
        )
        store.put(client, contact, *records)
    show_records(crm, [contact, *records], form)
