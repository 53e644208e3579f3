"""`crmcli edit-client`: fill in, change or take away what is known of a client."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form, Who
from crmcli.model.editing import Edit, differences, edit_contact, sheet_of
from crmcli.model.editing import edit_client as edit_client_rule
from crmcli.storage.finding import refuse_known, reminders_known

COLUMNS = ("field", "before", "after")


def edit_client(
    ctx: typer.Context,
    client: Who,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="the person, or the company")] = None,
    phone: Annotated[list[str] | None, typer.Option(metavar="PHONE", help="one more; repeatable")] = None,
    remove_phone: Annotated[list[str] | None, typer.Option(metavar="PHONE", help="one less; repeatable")] = None,
    email: Annotated[list[str] | None, typer.Option(metavar="EMAIL", help="one more; repeatable")] = None,
    remove_email: Annotated[list[str] | None, typer.Option(metavar="EMAIL", help="one less; repeatable")] = None,
    company: Annotated[str | None, typer.Option(metavar="NAME", help="where they work")] = None,
    tax_id: Annotated[str | None, typer.Option(metavar="ID", help="tax number")] = None,
    address: Annotated[str | None, typer.Option(metavar="TEXT", help="where to send things")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="where they came from")] = None,
    segment: Annotated[str | None, typer.Option(metavar="SEGMENT", help="what kind of client")] = None,
    buy_by: Annotated[str | None, typer.Option(metavar="DATE", help="when they plan to buy; reminds you")] = None,
    no_contact: Annotated[
        bool | None, typer.Option("--no-contact/--contact", help="they asked to be left alone, or no more")
    ] = None,
    form: Form = "table",
) -> None:
    """Change what is known of a client. An empty value, such as --company "", takes it away.

    Nothing is planned for who asked to be left alone: no touches, no offers, no reactivation. What you promised stays.
    A day to buy by takes the place of the next purchase that was expected, and without one neither is planned.

    A phone, e-mail or tax id that somebody else has is refused with exit code 4, naming the client who has it.
    """
    crm = ctx.obj
    edit = Edit(
        name,
        company,
        tax_id,
        address,
        phones=phone or (),
        emails=email or (),
        without_phones=remove_phone or (),
        without_emails=remove_email or (),
        source=source,
        segment=segment,
        do_not_contact=no_contact,
    )
    with crm.writing() as store:
        known = store.client(client)
        contact = store.contact(known.client_id)
        edited, fresh = edit_contact(contact, edit, store.settings.region)
        refuse_known(store, fresh)
        buys = None if buy_by is None else crm.day(store, buy_by or None, "buy by", ahead=True)
        reminders = reminders_known(store, known.client_id)
        changed, records = edit_client_rule(crm.acting(store), store.process, known, edit, buys, reminders)
        rows = differences(sheet_of(known, contact), sheet_of(changed, edited))
        store.put(*([changed] if changed != known else []), *([edited] if edited != contact else []), *records)
    crm.output.rows(COLUMNS, rows, form=form, limit=0)
