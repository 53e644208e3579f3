"""`crmcli doctor`: check that this machine and store are in order."""

from __future__ import annotations

import typer

from crmcli.commands.params import Form
from crmcli.errors import AttentionError


def doctor(ctx: typer.Context, form: Form = "table") -> None:
    """Check the identity, the folder, the clock and the keys. Exit code 6 if something needs attention."""
    from crmcli.storage.diagnosis import diagnose

    crm = ctx.obj
    with crm.reading() as store:
        findings = list(diagnose(store.store, crm.identity_path, crm.now))
    rows = [(finding.check, "ok" if finding.ok else "attention", finding.found) for finding in findings]
    crm.output.rows(("check", "state", "found"), rows, form=form, limit=0)
    needing = [finding for finding in findings if not finding.ok]
    if needing:
        raise AttentionError(
            f"{len(needing)} of {len(findings)} checks need attention", f"{needing[0].check}: {needing[0].found}"
        )
