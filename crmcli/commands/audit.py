"""`crmcli audit`: who did what, from the signed log."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.auditing import show_audit, show_flags
from crmcli.commands.params import Form, Limit, PeriodText
from crmcli.errors import InputError


def commit_type(text: str) -> str:
    """Return a type of commit. Raises: InputError naming those there are."""
    from crmcli.storage.log import BODIES

    if text not in BODIES:
        raise InputError("there is no commit of that type", f"--type is one of {', '.join(BODIES)}")
    return text


def audit(
    ctx: typer.Context,
    who: Annotated[str | None, typer.Option(metavar="NAME", help="only what this person did")] = None,
    client: Annotated[str | None, typer.Option(metavar="CLIENT", help="only what touched this client")] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="only commits of this type; repeatable", parser=commit_type),
    ] = None,
    period: PeriodText = None,
    since: Annotated[
        str | None, typer.Option("--since", "--from", metavar="DATE", help="the first day of the period")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", "--to", metavar="DATE", help="the day after the last one")
    ] = None,
    flags: Annotated[bool, typer.Option("--flags", help="only what is unusual, with the rule and the figures")] = False,
    limit: Limit = 50,
    form: Form = "table",
) -> None:
    """Show who did what and when, newest first, as the signed log tells it: ids and numbers, no client's data.

    Rows are counted by table: + new, ~ changed, - gone. A table shows 50 rows; the other formats are whole.

    Flagged are: more than 30 clients or lists looked at within an hour, more than 3 exports within 7 days, a member's
    first export, an export of 500 rows or more, and a person's changes between 22:00 and 6:00 of the company's time
    zone. A flag is a reason to ask.
    """
    from crmcli.storage.auditing import Audit, Wanted

    crm = ctx.obj
    with crm.reading() as store:
        person = store.person(who)
        number = store.client(client).client_id if client is not None else None
        chosen = crm.period(store, period, since, until)
        bounds = None if chosen is None else chosen.bounds(store.settings.zone)
        wanted = Wanted(person, number, types or (), bounds)
        show = show_flags if flags else show_audit
        show(crm, Audit(store), wanted, form, limit)
