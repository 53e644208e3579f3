"""`crmcli reactivate`: list who bought, is due to buy again and has not come."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from crmcli.commands.params import AsOf, Form, Limit
from crmcli.commands.reactivating import show_due, show_leads
from crmcli.errors import InputError
from crmcli.model.reactivating import Wanted


def reactivate(
    ctx: typer.Context,
    leads: Annotated[bool, typer.Option("--leads", help="those who never bought, instead")] = False,
    segment: Annotated[str | None, typer.Option(metavar="SEGMENT", help="only those of this segment")] = None,
    rule: Annotated[
        Literal["segment", "own"], typer.Option(help="due after the period of the segment, or after the personal one")
    ] = "segment",
    band: Annotated[
        Literal["on time", "due", "late", "at risk", "leaving", "lost"] | None,
        typer.Option(help="only those in this band; without it all but the lost"),
    ] = None,
    limit: Limit = 50,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """List who is due to buy again and has not come, the most valuable first.

    Of those who bought longer ago than the period says are left out, and counted: the lost; who has an open
    deal with a completed activity within the period of the segment (a call that nobody answered is none); who has an
    open reminder that is overdue or due within 14 days, but of cadence, process or reactivation; and whose reactivation
    was done within cooldown_days, a setting. Not counted are the archived and those who asked to be left alone. The
    band says how late somebody is, in personal periods; settings set where each ends.
    """
    crm = ctx.obj
    with crm.reading() as store:
        chosen, state = store.listed_value("segment", segment), crm.as_of(store, as_of)
        if leads and (band or rule != "segment"):
            raise InputError("--leads goes without --band and --rule")
        if leads:
            show_leads(crm, store, state, chosen, limit, form)
        else:
            show_due(crm, store, state, Wanted(rule, chosen, band, limit), form)
