"""`crmcli expected`: list who is expected to buy soon, and who is overdue."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.expecting import show_expected
from crmcli.commands.params import AsOf, Form, Limit
from crmcli.model.returning import parse_days


def expected(
    ctx: typer.Context,
    within: Annotated[str, typer.Option(metavar="DAYS", help="who is expected within so many days")] = "14d",
    limit: Limit = 50,
    as_of: AsOf = None,
    form: Form = "table",
) -> None:
    """List who is expected to buy, as a window in which half of such purchases lie; overdue ones first.

    Where that is known from: stated, the day the client named; use-up, the day on which what they bought is used up;
    rhythm, the last purchase and their own gaps; segment, after one purchase, which is weak. With fewer than 5
    clients who bought twice there is no window, and such a day is weak. A day that has passed stays passed.
    """
    crm = ctx.obj
    days = parse_days(within, "--within")
    with crm.reading() as store:
        show_expected(crm, store, crm.as_of(store, as_of), days, limit, form)
