"""`crmcli agenda`: show what is to be done: whom to call when, about what, and what was promised."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.listing import show_rows
from crmcli.commands.params import Form, GrantId, Limit, Reveal, Yes
from crmcli.commands.revealing import Revealing
from crmcli.errors import InputError


def agenda(
    ctx: typer.Context,
    day: Annotated[bool, typer.Option("--day", help="only what is due today")] = False,
    week: Annotated[bool, typer.Option("--week", help="only what is due within seven days")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="only what is overdue")] = False,
    everybody: Annotated[bool, typer.Option("--all", help="everybody's, as far as your keys open it")] = False,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="what was there and open then, by the due dates it has now")
    ] = None,
    limit: Limit = 50,
    form: Form = "table",
    reveal: Reveal = False,
    grant: GrantId = None,
    yes: Yes = False,
) -> None:
    """Show your open reminders, those overdue and those of today, by when they are due.

    What was given to somebody who left, or who cannot close it any more, is the client's owner's again: "instead of".

    --as-of leaves out what was made later and shows what was closed later. What was put off meanwhile is where it is
    due now; names, texts and stages are those of now, too.

    The numbers are for `done` and `snooze`. They stay what they are until the day is over.
    """
    from crmcli.storage.agenda import COLUMNS, INSTANT, SHOWN, Lines, chosen, in_order, numbered

    crm = ctx.obj
    asked_for = [name for name, wanted in (("day", day), ("week", week), ("overdue", overdue)) if wanted]
    if len(asked_for) > 1:
        raise InputError("--day, --week and --overdue exclude one another")
    with crm.reading() as store:
        at = crm.as_of(store, as_of)
        now, then = at - INSTANT, None if as_of is None else at
        rows = chosen(
            store, now, None if everybody else store.store.member_number, asked_for[0] if asked_for else "due", then
        )
        ids = in_order(rows, limit if form == "table" else 0)
        lines = Lines(store, ids, now)
        columns: tuple[str, ...] = SHOWN if form == "table" else COLUMNS
        numbers = numbered(store, now, ids) if form == "table" and as_of is None else None
        cells = lines.rows(ids, columns, numbers)
        columns = columns if numbers is None else ("number", *columns)
        asked = Revealing(reveal, grant, yes, lines.clients(ids))
        show_rows(crm, store, columns, cells, form, limit, rows.num_rows, asked, lines.marks(ids), "reminder_id")
