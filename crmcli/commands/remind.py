"""`crmcli remind`: deliver the reminders that are due, each once; for cron."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form


def remind(
    ctx: typer.Context,
    digest: Annotated[
        bool, typer.Option("--digest", help="all that is to be done today in one message, once a day")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would be delivered, and change nothing")
    ] = False,
    form: Form = "table",
) -> None:
    """Deliver what is due and not delivered yet, by the channels there are: printed, if there is none.

    Run it as often as you like, also twice at once: nothing is missed, and nothing delivered twice. What fails is tried
    again by later runs, and what was printed and nobody took by the next; the exit code is then not 0.
    Once a day it also plans the touches that are due.
    """
    from crmcli.commands.delivering import deliver, foretell, plan
    from crmcli.session import new_op_id
    from crmcli.storage.delivering import Dispatch

    crm = ctx.obj
    if dry_run:
        foretell(crm, Dispatch(crm.store(), crm.now, new_op_id, is_digest=digest), form)
        return
    plan(crm)
    deliver(crm, Dispatch(crm.store(), crm.now, new_op_id, is_digest=digest), form)
