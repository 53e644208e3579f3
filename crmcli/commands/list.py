"""`crmcli list`: list clients, deals, calls, sales or reminders."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.listing import show_rows
from crmcli.commands.params import Form, FromDay, GrantId, Limit, PeriodText, Reveal, ToDay, Yes
from crmcli.commands.revealing import Revealing

Word = Annotated[str | None, typer.Option(metavar="VALUE", help="only those with this value")]
Person = Annotated[str | None, typer.Option(metavar="NAME", help="only those of this person")]


def list_(
    ctx: typer.Context,
    what: Annotated[
        Literal["clients", "deals", "calls", "sales", "reminders"], typer.Argument(metavar="WHAT", help="what to list")
    ],
    client: Annotated[str | None, typer.Option(metavar="CLIENT", help="only those of this client")] = None,
    owner: Person = None,
    by: Person = None,
    segment: Word = None,
    source: Word = None,
    pipeline: Word = None,
    stage: Word = None,
    status: Word = None,
    direction: Word = None,
    result: Word = None,
    cause: Word = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="deals past the norm of their stage")] = False,
    idle: Annotated[
        bool, typer.Option("--idle", help="deals untouched for too long, with no reminder still to come in time")
    ] = False,
    no_next: Annotated[bool, typer.Option("--no-next", help="deals without an open reminder")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="the archived clients instead")] = False,
    no_contact: Annotated[bool, typer.Option("--no-contact", help="clients who asked to be left alone")] = False,
    period: PeriodText = None,
    from_: FromDay = None,
    to: ToDay = None,
    limit: Limit = 50,
    form: Form = "table",
    reveal: Reveal = False,
    grant: GrantId = None,
    yes: Yes = False,
) -> None:
    """List clients, deals, calls, sales or reminders: the newest first, open reminders by when they are due.

    A table shows 50 rows; the other formats are whole. The period is that of creation, opening, call, sale or due date.
    Names, phones, e-mails and texts are masked after the first 50 rows, a number that crmcli settings sets.
    """
    from crmcli.storage.listing import KINDS, choose, rows_of

    crm = ctx.obj
    words = {"segment": segment, "source": source, "pipeline": pipeline, "stage": stage, "status": status}
    words |= {"direction": direction, "result": result, "cause": cause}
    asked_for = {"overdue": overdue, "idle": idle, "no-next": no_next}
    flags = [name for name, is_asked in asked_for.items() if is_asked]
    with crm.reading() as store:
        wanted = {
            "client": store.client(client).client_id if client is not None else None,
            "owner": store.person(owner),
            "by": store.person(by),
        } | {name: store.listed_value(name, word) for name, word in words.items()}
        equal = {name: value for name, value in wanted.items() if value is not None}
        equal |= {name: True for name, is_asked in (("archived", archived), ("no-contact", no_contact)) if is_asked}
        chosen = crm.period(store, period, from_, to)
        bounds = None if chosen is None else chosen.bounds(store.settings.zone)
        kind = KINDS[what]
        ids, total = choose(store, kind, equal, bounds, limit if form == "table" else 0, (flags, crm.now))
        asked = Revealing(reveal, grant, yes)
        show_rows(crm, store, kind.columns, rows_of(store, what, ids, crm.now), form, limit, total, asked)
