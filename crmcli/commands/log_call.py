"""`crmcli log-call`: record a call, what was said, and what was promised until when."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import typer

from crmcli.commands.params import DealId, Form, Minutes, When, Who
from crmcli.commands.showing import show_records
from crmcli.model.touching import Touch, log_touch
from crmcli.storage.finding import client_or_new, deal_touched, reminders_known


def log_call(
    ctx: typer.Context,
    client: Who,
    direction: Annotated[Literal["in", "out"], typer.Argument(help="who called: in is them, out is you")],
    result: Annotated[
        Literal["answered", "no-answer", "busy", "callback", "wrong"], typer.Option(help="how it ended")
    ] = "answered",
    minutes: Minutes = None,
    said: Annotated[str | None, typer.Option(metavar="TEXT", help="what was said")] = None,
    promise: Annotated[str | None, typer.Option(metavar="TEXT", help="what you promised; needs --due")] = None,
    due: Annotated[str | None, typer.Option(metavar="DATE", help="when to be reminded")] = None,
    about: Annotated[str | None, typer.Option(metavar="TEXT", help="what the call, or the reminder, is about")] = None,
    when: When = None,
    new: Annotated[str | None, typer.Option(metavar="NAME", help="record an unknown number as a new client")] = None,
    deal: DealId = None,
    form: Form = "table",
) -> None:
    """Record a call. A promise becomes a reminder on its date.

    CLIENT may be a phone that nobody has yet: --new NAME records the caller as a new client with a deal.
    """
    crm = ctx.obj
    with crm.writing() as store:
        acting = crm.acting(store, when)
        known, introduced = client_or_new(store, acting, client, new)
        touch = Touch("call", direction, result, minutes, said, promise, crm.due(store, due), about)
        number, deal_id = known.client_id, deal_touched(store, known, deal)
        reminders = reminders_known(store, number)
        calls = partial(store.of_client, "activities", number)
        records = [*introduced, *log_touch(acting, number, touch, deal_id, reminders, calls, known.created_at)]
        store.put(*records)
    show_records(crm, records, form)
