"""`crmcli log-activity`: record a touch that was no call."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import typer

from crmcli.commands.params import DealId, Form, Minutes, When, Who
from crmcli.commands.showing import show_records
from crmcli.model.touching import Touch, log_touch
from crmcli.storage.finding import client_at_work, deal_touched, reminders_known


def log_activity(
    ctx: typer.Context,
    client: Who,
    kind: Annotated[Literal["meeting", "email", "message", "visit", "web_request"], typer.Argument(help="what it was")],
    direction: Annotated[Literal["in", "out"] | None, typer.Option(help="in came from them, out from you")] = None,
    minutes: Minutes = None,
    said: Annotated[str | None, typer.Option(metavar="TEXT", help="what was said or written")] = None,
    promise: Annotated[str | None, typer.Option(metavar="TEXT", help="what you promised; needs --due")] = None,
    due: Annotated[str | None, typer.Option(metavar="DATE", help="when to be reminded")] = None,
    about: Annotated[str | None, typer.Option(metavar="TEXT", help="what it, or the reminder, is about")] = None,
    when: When = None,
    deal: DealId = None,
    form: Form = "table",
) -> None:
    """Record a meeting, e-mail, message, visit or web request. A promise becomes a reminder on its date."""
    crm = ctx.obj
    with crm.writing() as store:
        acting = crm.acting(store, when)
        known = client_at_work(store, client)
        touch = Touch(kind, direction, None, minutes, said, promise, crm.due(store, due), about)
        number, deal_id = known.client_id, deal_touched(store, known, deal)
        reminders = reminders_known(store, number)
        others = partial(store.of_client, "activities", number)
        records = log_touch(acting, number, touch, deal_id, reminders, others, known.created_at)
        store.put(*records)
    show_records(crm, records, form)
