"""`crmcli done`: close a reminder and, in one go, record the call that it was about."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import typer

from crmcli.commands.params import Form, Minutes, ReminderId, When
from crmcli.commands.showing import show_records
from crmcli.model.ids import encode_id
from crmcli.model.touching import Touch, do
from crmcli.storage.finding import client_at_work, reminders_known, text_of


def done(
    ctx: typer.Context,
    reminder: ReminderId,
    log_call: Annotated[
        Literal["answered", "no-answer", "busy", "callback", "wrong"] | None,
        typer.Option("--log-call", help="record your call too, and how it ended"),
    ] = None,
    minutes: Minutes = None,
    said: Annotated[str | None, typer.Option(metavar="TEXT", help="what was said")] = None,
    promise: Annotated[str | None, typer.Option(metavar="TEXT", help="what you promised; needs --due")] = None,
    due: Annotated[str | None, typer.Option(metavar="DATE", help="when to be reminded")] = None,
    about: Annotated[str | None, typer.Option(metavar="TEXT", help="what the call, or the reminder, is about")] = None,
    when: When = None,
    form: Form = "table",
) -> None:
    """Close a reminder. One that repeats is made anew, with its next date.

    With --log-call the call is recorded as log-call does, out, with what was said and promised.
    """
    from crmcli.storage.agenda import reminder_named

    crm = ctx.obj
    with crm.writing() as store:
        acting = crm.acting(store, when)
        found = reminder_named(store, reminder)
        if log_call is not None:
            client_at_work(store, encode_id(found.client_id))
        touch = Touch("call", "out", log_call, minutes, said, promise, crm.due(store, due), about)
        known = reminders_known(store, found.client_id)
        others = partial(store.of_client, "activities", found.client_id)
        records = do(acting, found, text_of(store, found), touch, known, store.settings.zone, others)
        store.put(*records)
    show_records(crm, records, form)
