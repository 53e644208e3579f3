"""`crmcli doctor`: check that this machine and store are in order."""

from __future__ import annotations

from typing import Annotated

import typer

from crmcli.commands.params import Form
from crmcli.errors import AttentionError


def doctor(
    ctx: typer.Context,
    quarantine: Annotated[
        str | None, typer.Option(metavar="FILE", help="take out a signed file that cannot be read or be true (admins)")
    ] = None,
    form: Form = "table",
) -> None:
    """Check the identity, the folder, the clock, the keys, deliveries and schedules.

    Exit code 6 if something needs attention.

    With --quarantine, take a file out of the store that its author signed and that nobody can read, so that the rest
    opens again, or none of whose rows can be true, as verify says. The rows in it are lost; the log says for ever who
    brought it and who took it out.
    """
    from crmcli.commands.scheduling import in_force
    from crmcli.storage.diagnosis import diagnose
    from crmcli.storage.scheduling import diagnose_reminders

    crm = ctx.obj
    if quarantine is not None:
        commit = crm.quarantine(quarantine)
        crm.output.pairs([("file", quarantine), ("commit", commit)])
        return
    with crm.reading() as store:
        findings = list(diagnose(store.store, crm.identity_path, crm.now))
        findings += diagnose_reminders(store, crm.identity_path, in_force(store), crm.now)
    rows = [(finding.check, "ok" if finding.ok else "attention", finding.found) for finding in findings]
    crm.output.rows(("check", "state", "found"), rows, form=form, limit=0)
    needing = [finding for finding in findings if not finding.ok]
    if needing:
        raise AttentionError(
            f"{len(needing)} of {len(findings)} checks need attention", f"{needing[0].check}: {needing[0].found}"
        )
