"""`crmcli snooze`: put a reminder off."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form, ReminderId
from crmcli.commands.showing import show_records
from crmcli.model.reminding import snooze as snooze_rule


def snooze(
    ctx: typer.Context,
    reminder: ReminderId,
    date: Annotated[str, typer.Argument(metavar="DATE", help="when to be reminded instead")],
    form: Form = "table",
) -> None:
    """Put a reminder off until a date. It is delivered again then. Those that repeat go on at their own times."""
    from crmcli.storage.agenda import reminder_named

    crm = ctx.obj
    with crm.writing() as store:
        moved = snooze_rule(reminder_named(store, reminder), crm.due(store, date), store.settings.zone)
        store.put(moved)
    show_records(crm, [moved], form)
