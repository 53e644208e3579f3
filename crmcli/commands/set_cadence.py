"""`crmcli set-cadence`: say how often a client is to hear from you."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Who
from crmcli.model.cadence import parse_cadence
from crmcli.model.cadence import set_cadence as set_cadence_rule
from crmcli.storage.finding import client_at_work, reminders_known


def set_cadence(
    ctx: typer.Context,
    client: Who,
    cadence: Annotated[str, typer.Argument(help="30d, 2w, 1m (30 days), none, or segment for that of the segment")],
) -> None:
    """Say how often a client is to hear from you, whatever the process file says of the segment.

    Whenever you were in touch it starts anew. `crmcli remind` makes a reminder when the next touch is due.
    """
    from crmcli.storage.planning import touch_due

    crm = ctx.obj
    days = parse_cadence(cadence)
    with crm.writing() as store:
        known = client_at_work(store, client) if days else store.client(client)
        changed, settled = set_cadence_rule(known, days, reminders_known(store, known.client_id))
        store.put(changed, *settled)
        due = touch_due(store, changed)
    crm.output.pairs([("cadence", f"{days}d" if days else cadence), ("next touch", due or "none")])
